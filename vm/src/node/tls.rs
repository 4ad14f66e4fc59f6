//! What connections go through over the network: TLS 1.3 in which both sides show certificates of
//! one authority.
//!
//! A connection has two directions that two threads use: bytes are encrypted under one lock, and
//! leave under another one in the order in which they were encrypted, so that a peer that does not
//! read never keeps us from reading.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore};
use rustls::{ServerConfig, ServerConnection};

use super::Credentials;
use super::peer::{NodeError, STRANGER_PATIENCE, Socket};

/// The name in certificates of nodes. Who a node is follows from the authority; where it is does
/// not matter.
const NODE_NAME: &str = "brant-node";

/// The name in certificates of clients.
const CLIENT_NAME: &str = "brant-client";

/// So much is read from the socket at once.
const READ_BYTES: usize = 64 << 10;

/// An encrypted connection.
#[derive(Debug)]
pub(super) struct Tls {
    socket: Socket,
    connection: Mutex<Connection>,
    /// Held while encrypted bytes leave.
    outgoing: Mutex<Vec<u8>>,
    incoming: Mutex<Incoming>,
}

/// What came and was not taken yet.
#[derive(Debug)]
struct Incoming {
    raw: Vec<u8>,
    plain: Vec<u8>,
    /// So much of `plain` was taken.
    taken: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn wrong(error: impl std::fmt::Display) -> NodeError {
    NodeError::Credentials(format!("the certificates cannot be used: {error}"))
}

/// An authority, and a certificate with its key.
type Chain = (RootCertStore, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn chain(credentials: &Credentials) -> Result<Chain, NodeError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(credentials.authority.as_bytes()) {
        roots.add(certificate.map_err(wrong)?).map_err(wrong)?;
    }
    let own = CertificateDer::pem_slice_iter(credentials.certificate.as_bytes());
    let own = own.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes()).map_err(wrong)?;
    Ok((roots, own, key))
}

impl Tls {
    /// Calls a node.
    pub fn connect(socket: Socket, credentials: &Credentials) -> Result<Tls, NodeError> {
        let (roots, own, key) = chain(credentials)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_root_certificates(roots)
            .with_client_auth_cert(own, key)
            .map_err(wrong)?;
        let name = ServerName::try_from(NODE_NAME).map_err(wrong)?;
        let connection = ClientConnection::new(Arc::new(config), name).map_err(wrong)?;
        Tls::shake_hands(socket, connection.into())
    }

    /// Is called by a client, or by another node.
    pub fn accept(socket: Socket, credentials: &Credentials) -> Result<Tls, NodeError> {
        let (roots, own, key) = chain(credentials)?;
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_client_cert_verifier(clients.build().map_err(wrong)?)
            .with_single_cert(own, key)
            .map_err(wrong)?;
        let connection = ServerConnection::new(Arc::new(config)).map_err(wrong)?;
        Tls::shake_hands(socket, connection.into())
    }

    fn shake_hands(socket: Socket, mut connection: Connection) -> Result<Tls, NodeError> {
        // Before the first byte: a handshake is several short words in turn, and each that the system
        // keeps back waits for a delayed acknowledgement, 40 ms.
        if let Socket::Tcp(stream) = &socket {
            stream.set_nodelay(true)?;
        }
        connection.set_buffer_limit(None);
        let mut limited = Limited { socket: &socket, until: Instant::now() + STRANGER_PATIENCE };
        while connection.is_handshaking() {
            connection.complete_io(&mut limited)?;
        }
        // The first words may have come with the last ones of the handshake.
        let state = connection.process_new_packets().map_err(wrong)?;
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        connection.reader().read_exact(&mut plain)?;
        let incoming = Incoming { raw: vec![0; READ_BYTES], plain, taken: 0 };
        Ok(Tls {
            socket,
            connection: Mutex::new(connection),
            outgoing: Mutex::default(),
            incoming: Mutex::new(incoming),
        })
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut incoming = lock(&self.incoming);
        let Incoming { raw, plain, taken } = &mut *incoming;
        while *taken == plain.len() {
            (*taken, _) = (0, plain.clear());
            let count = (&self.socket).read(raw)?;
            if count == 0 {
                return Ok(0);
            }
            let wants_write = self.decrypt(&raw[..count], plain)?;
            if wants_write {
                self.write(&[])?;
            }
        }
        let count = buffer.len().min(plain.len() - *taken);
        buffer[..count].copy_from_slice(&plain[*taken..*taken + count]);
        *taken += count;
        Ok(count)
    }

    /// Decrypts what came; says whether something has to be answered.
    fn decrypt(&self, mut raw: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
        let mut connection = lock(&self.connection);
        while !raw.is_empty() {
            if connection.read_tls(&mut raw)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            let state = connection.process_new_packets().map_err(invalid)?;
            let from = plain.len();
            plain.resize(from + state.plaintext_bytes_to_read(), 0);
            connection.reader().read_exact(&mut plain[from..])?;
        }
        Ok(connection.wants_write())
    }

    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut outgoing = lock(&self.outgoing);
        outgoing.clear();
        // A piece at a time, so that what is encrypted stays near.
        let piece = &bytes[..bytes.len().min(READ_BYTES)];
        {
            let mut connection = lock(&self.connection);
            connection.writer().write_all(piece)?;
            while connection.wants_write() {
                connection.write_tls(&mut *outgoing)?;
            }
        }
        (&self.socket).write_all(&outgoing)?;
        Ok(piece.len())
    }
}

/// A socket of a stranger, who has a time in which hands are shaken.
struct Limited<'a> {
    socket: &'a Socket,
    until: Instant,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_patience(Some(left))?;
        self.socket.read(buffer)
    }
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Certificates for nodes and clients that shall trust each other: names of files and their texts.
/// A client cannot pass for a node with its own.
///
/// # Errors
/// The system has no random numbers to give.
pub fn make_certificates() -> Result<[(&'static str, String); 6], NodeError> {
    let authority_key = KeyPair::generate().map_err(wrong)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, "brant development authority");
    let authority = params.self_signed(&authority_key).map_err(wrong)?;
    let issue = |name: &str, purposes: Vec<ExtendedKeyUsagePurpose>| {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(wrong)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = purposes;
        let certificate = params.signed_by(&key, &authority, &authority_key).map_err(wrong)?;
        Ok::<_, NodeError>((certificate.pem(), key.serialize_pem()))
    };
    let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let node = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let (node, node_key) = issue(NODE_NAME, node)?;
    let (client, client_key) = issue(CLIENT_NAME, client)?;
    Ok([
        ("authority.pem", authority.pem()),
        ("authority.key", authority_key.serialize_pem()),
        ("node.pem", node),
        ("node.key", node_key),
        ("client.pem", client),
        ("client.key", client_key),
    ])
}
