//! A connection that speaks in messages.
//!
//! Its two directions can be used by two threads. A peer has a time in which each frame has to come
//! as a whole, so that nobody holds a thread by sending a byte now and then.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brant_mobility::SnapshotError;
use brant_mobility::migration::{
    FrameError, Message, PAGES, PROTOCOL_VERSION, PagesFrame, read_frame, write_frame,
};

use super::tls::Tls;
use super::{Address, isolate};

/// In this time a frame has to come or to leave, once it has begun, and an answer has to come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A stranger has this long to say who it is.
pub const STRANGER_PATIENCE: Duration = Duration::from_secs(5);

/// Why something cannot be done with a node.
#[derive(Debug)]
pub enum NodeError {
    /// It cannot be reached, or the connection broke.
    Io(io::Error),
    /// It says what no peer says, or not in time.
    Peer(String),
    /// It says no.
    Refused {
        /// Why.
        why: String,
        /// What would help; empty if nothing would.
        remedy: String,
    },
    /// The process, or the node's own state, does not allow it.
    Process(crate::Error),
    /// It needs certificates.
    Credentials(String),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::Io(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    f.write_str("the node does not answer in time")
                }
                io::ErrorKind::UnexpectedEof => f.write_str("the connection was closed"),
                _ => error.fmt(f),
            },
            NodeError::Peer(text) => f.write_str(text),
            NodeError::Refused { why, .. } => f.write_str(why),
            NodeError::Process(error) => error.fmt(f),
            NodeError::Credentials(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for NodeError {}

impl From<io::Error> for NodeError {
    fn from(error: io::Error) -> NodeError {
        NodeError::Io(error)
    }
}

impl From<FrameError> for NodeError {
    fn from(error: FrameError) -> NodeError {
        match error {
            FrameError::Io(error) => NodeError::Io(error),
            other => NodeError::Peer(other.to_string()),
        }
    }
}

impl From<SnapshotError> for NodeError {
    fn from(error: SnapshotError) -> NodeError {
        NodeError::Process(error.into())
    }
}

impl From<crate::Error> for NodeError {
    fn from(error: crate::Error) -> NodeError {
        NodeError::Process(error)
    }
}

impl NodeError {
    /// The node says no.
    pub fn refused(why: impl Into<String>, remedy: impl Into<String>) -> NodeError {
        NodeError::Refused { why: why.into(), remedy: remedy.into() }
    }

    /// What would help, if that is known.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            NodeError::Refused { remedy, .. } if !remedy.is_empty() => Some(remedy),
            _ => None,
        }
    }

    /// Whether the connection is gone, so that another one may help.
    pub fn is_cut(&self) -> bool {
        matches!(self, NodeError::Io(_))
    }
}

/// What proves to a node who somebody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Certificate of who signs certificates of nodes and clients, as PEM.
    pub authority: String,
    /// Our own certificate, as PEM.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: String,
}

/// A socket of either kind.
#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Socket {
    pub(super) fn set_read_patience(&self, time: Option<Duration>) -> io::Result<()> {
        // A time of nothing would mean none at all.
        let time = time.map(|time| time.max(Duration::from_millis(1)));
        match self {
            Socket::Unix(stream) => stream.set_read_timeout(time),
            Socket::Tcp(stream) => stream.set_read_timeout(time),
        }
    }

    fn set_write_patience(&self, time: Option<Duration>) -> io::Result<()> {
        match self {
            Socket::Unix(stream) => stream.set_write_timeout(time),
            Socket::Tcp(stream) => stream.set_write_timeout(time),
        }
    }

    fn close(&self) {
        // It may be closed already.
        let _ = match self {
            Socket::Unix(stream) => stream.shutdown(Shutdown::Both),
            Socket::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => (&*stream).read(buffer),
            Socket::Tcp(stream) => (&*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Unix(stream) => (&*stream).write(bytes),
            Socket::Tcp(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What bytes go through on their way to the socket and back.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Plain(Arc<Socket>),
    Tls(Arc<Tls>),
}

impl Transport {
    fn socket(&self) -> &Socket {
        match self {
            Transport::Plain(socket) => socket,
            Transport::Tls(tls) => tls.socket(),
        }
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => (&**socket).read(buffer),
            Transport::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(socket) => (&**socket).write(bytes),
            Transport::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection to a node, or of a node to whoever called.
#[derive(Debug)]
pub struct Peer {
    pub(super) receiver: Receiver,
    pub(super) sender: Sender,
}

/// The direction towards us.
#[derive(Debug)]
pub(super) struct Receiver {
    reader: Deadline,
    payload: Vec<u8>,
    /// How long the first byte of a frame may take.
    patience: Option<Duration>,
    /// Frames that make a process are written here too.
    kept: Option<Sender<File>>,
}

/// The direction away from us, or a file that is written like one.
#[derive(Debug)]
pub(super) struct Sender<W: Write = Transport> {
    writer: BufWriter<W>,
    /// Bytes that were sent.
    pub bytes: u64,
}

/// What a frame is.
pub(super) enum Incoming<'a> {
    Pages(&'a [u8]),
    Message(Message),
}

/// A reader that gives up at a time.
#[derive(Debug)]
struct Deadline {
    transport: Transport,
    until: Option<Instant>,
    /// Set by the first byte that comes.
    whole_frame: Option<Duration>,
}

impl Read for Deadline {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.transport.socket().set_read_patience(left)?;
        let count = self.transport.read(buffer)?;
        if let Some(whole) = self.whole_frame.take() {
            self.until = Some(Instant::now() + whole);
        }
        Ok(count)
    }
}

impl Receiver {
    /// How long to wait for a frame to begin; for ever without a time.
    pub fn set_patience(&mut self, patience: Option<Duration>) {
        self.patience = patience;
    }

    pub fn receive(&mut self) -> Result<Message, NodeError> {
        match self.receive_frame()? {
            Incoming::Message(message) => Ok(message),
            Incoming::Pages(_) => Err(unexpected("pages")),
        }
    }

    /// The next frame as it came: its kind and its payload.
    pub fn receive_raw(&mut self) -> Result<(u8, &[u8]), NodeError> {
        let kind = self.read()?;
        Ok((kind, &self.payload))
    }

    fn read(&mut self) -> Result<u8, NodeError> {
        self.reader.until = self.patience.map(|patience| Instant::now() + patience);
        self.reader.whole_frame = Some(self.patience.unwrap_or(PATIENCE).min(PATIENCE));
        Ok(read_frame(&mut self.reader, &mut self.payload)?)
    }

    pub fn receive_frame(&mut self) -> Result<Incoming<'_>, NodeError> {
        let kind = self.read()?;
        let incoming = incoming(kind, &self.payload)?;
        if let Some(kept) = self.kept.as_mut().filter(|_| makes_a_process(&incoming)) {
            kept.frame(kind, &[&self.payload]).map_err(cannot_keep)?;
        }
        Ok(incoming)
    }

    /// Writes all frames that make a process to a file too.
    pub fn keep(&mut self, kept: Sender<File>) {
        self.kept = Some(kept);
    }

    /// What was kept until now.
    pub fn take_kept(&mut self) -> Option<Sender<File>> {
        self.kept.take()
    }
}

/// What a frame is.
///
/// # Errors
/// Nothing that is known.
pub(super) fn incoming(kind: u8, payload: &[u8]) -> Result<Incoming<'_>, NodeError> {
    match kind {
        PAGES => Ok(Incoming::Pages(payload)),
        kind => Ok(Incoming::Message(Message::read(kind, payload)?)),
    }
}

/// Whether a frame is a part of the process, and not of the conversation. Code is kept elsewhere.
fn makes_a_process(incoming: &Incoming<'_>) -> bool {
    match incoming {
        Incoming::Pages(_) => true,
        Incoming::Message(message) => matches!(
            message,
            Message::Sizes { .. }
                | Message::Output { .. }
                | Message::Lane { .. }
                | Message::Door { .. }
                | Message::State { .. }
        ),
    }
}

impl Sender {
    /// Ends both directions, so that whoever waits on the other one wakes up.
    pub fn close(&self) {
        self.writer.get_ref().socket().close();
    }
}

impl Sender<File> {
    /// Writes frames to a file.
    pub fn to_file(file: File) -> Sender<File> {
        Sender { writer: BufWriter::with_capacity(64 << 10, file), bytes: 0 }
    }

    /// The file, with all that was written in it.
    pub fn into_file(self) -> io::Result<File> {
        self.writer.into_inner().map_err(std::io::IntoInnerError::into_error)
    }
}

impl<W: Write> Sender<W> {
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        let (kind, payload) = message.write();
        self.frame(kind, &[&payload])?;
        self.writer.flush()
    }

    /// Sends pages; they leave with the next message at the latest.
    pub fn send_pages(&mut self, frame: &mut PagesFrame) -> io::Result<()> {
        self.frame(PAGES, &[&frame.runs(), frame.contents()])?;
        frame.clear();
        Ok(())
    }

    /// Sends what was not sent yet.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Sends a frame as it was read.
    pub fn pass_on(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        self.frame(kind, &[payload])?;
        self.writer.flush()
    }

    fn frame(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        self.bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>() + 5;
        write_frame(&mut self.writer, kind, parts)
    }
}

impl Peer {
    /// Connects to a node and says hello.
    ///
    /// # Errors
    /// It cannot be reached, or speaks another version.
    pub fn connect(
        address: &Address, credentials: Option<&Credentials>,
    ) -> Result<Peer, NodeError> {
        if let Some(dialled) = isolate::dial(address) {
            return Peer::greet(dialled?);
        }
        let mut peer = match address {
            Address::Unix(path) => {
                Peer::over(Transport::Plain(Arc::new(Socket::Unix(UnixStream::connect(path)?))))?
            }
            Address::Tcp(address) => {
                let credentials = credentials.ok_or_else(no_credentials)?;
                let socket = Socket::Tcp(TcpStream::connect(address)?);
                Peer::over(Transport::Tls(Arc::new(Tls::connect(socket, credentials)?)))?
            }
        };
        peer.send(&Message::Hello { version: PROTOCOL_VERSION })?;
        peer.greeted()?;
        Ok(peer)
    }

    /// Says hello over a socket that leads to a node already.
    pub(super) fn greet(stream: UnixStream) -> Result<Peer, NodeError> {
        let mut peer = Peer::over(Transport::Plain(Arc::new(Socket::Unix(stream))))?;
        peer.send(&Message::Hello { version: PROTOCOL_VERSION })?;
        peer.greeted()?;
        Ok(peer)
    }

    /// Somebody has called in vain: says why instead of hello.
    pub(super) fn turn_away(socket: Socket, why: &str) -> io::Result<()> {
        let mut peer = Peer::over(Transport::Plain(Arc::new(socket)))?;
        peer.send(&Message::Failed { why: why.to_owned(), remedy: String::new() })
    }

    /// Somebody has called.
    pub(super) fn called(
        socket: Socket, credentials: Option<&Credentials>,
    ) -> Result<Peer, NodeError> {
        let mut peer = match socket {
            Socket::Unix(_) => Peer::over(Transport::Plain(Arc::new(socket)))?,
            Socket::Tcp(_) => {
                let credentials = credentials.ok_or_else(no_credentials)?;
                Peer::over(Transport::Tls(Arc::new(Tls::accept(socket, credentials)?)))?
            }
        };
        peer.receiver.set_patience(Some(STRANGER_PATIENCE));
        peer.greeted()?;
        peer.send(&Message::Hello { version: PROTOCOL_VERSION })?;
        peer.receiver.set_patience(Some(PATIENCE));
        Ok(peer)
    }

    fn over(transport: Transport) -> io::Result<Peer> {
        transport.socket().set_write_patience(Some(PATIENCE))?;
        let writer = BufWriter::with_capacity(64 << 10, transport.clone());
        let reader = Deadline { transport, until: None, whole_frame: None };
        let (payload, patience) = (Vec::new(), Some(PATIENCE));
        let receiver = Receiver { reader, payload, patience, kept: None };
        Ok(Peer { receiver, sender: Sender { writer, bytes: 0 } })
    }

    fn greeted(&mut self) -> Result<(), NodeError> {
        match self.receive()? {
            Message::Hello { version: PROTOCOL_VERSION } => Ok(()),
            Message::Hello { version } => {
                Err(NodeError::Peer(format!("the peer speaks version {version} of the protocol")))
            }
            // What stands between us and the node cannot reach it.
            Message::Failed { why, .. } => Err(NodeError::Io(io::Error::other(why))),
            other => Err(unexpected(&name(&other))),
        }
    }

    pub(super) fn send(&mut self, message: &Message) -> io::Result<()> {
        self.sender.send(message)
    }

    pub(super) fn receive(&mut self) -> Result<Message, NodeError> {
        self.receiver.receive()
    }

    /// Says something and takes the answer; an answer that says no is an error.
    pub(super) fn ask(&mut self, message: &Message) -> Result<Message, NodeError> {
        self.send(message)?;
        match self.receive()? {
            Message::Failed { why, remedy } => Err(NodeError::Refused { why, remedy }),
            answer => Ok(answer),
        }
    }
}

fn no_credentials() -> NodeError {
    NodeError::Credentials("there are no certificates for calls over the network".to_owned())
}

/// The name of a message, for errors.
pub(super) fn name(message: &Message) -> String {
    let text = format!("{message:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
}

/// What comes cannot be brought to the disk, which is no matter of the connection's.
pub(super) fn cannot_keep(error: io::Error) -> NodeError {
    NodeError::Peer(format!("the node cannot keep it: {error}"))
}

/// A peer says what makes no sense here.
pub(super) fn unexpected(what: &str) -> NodeError {
    NodeError::Peer(format!("the peer says `{what}`, which makes no sense here"))
}
