//! Standard streams whose other end is elsewhere: a terminal that stays while the program moves.
//!
//! Each byte of a stream has a number. Output is kept until the other end says that it has reached
//! its place, and is sent again to whoever comes back; what it has seen already is not sent, not even
//! when the program says it once more after its host was killed. Input is taken in by its number too,
//! so that none comes twice.
//!
//! ```text
//! output   0 ....... seen |=== kept ===| written          at most 1 MiB is kept: then the guest waits
//! input    0 .. consumed |=== here ===| received
//! ```
//!
//! Guest and node meet here: the guest's side never waits, the node's side waits on `changed`.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Readiness, Waker};

use crate::lanes::Lanes;

/// So much of each stream is kept; a terminal that reads at all is quicker than that.
pub const KEPT_BYTES: usize = 1 << 20;

/// Both ends of three streams. A copy is the same streams.
#[derive(Clone, Default)]
pub struct Remote(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Connections whose sockets are elsewhere too.
    lanes: Lanes,
}

#[derive(Default)]
struct State {
    input: VecDeque<u8>,
    /// How many bytes of input the guest has read.
    consumed: u64,
    input_ended: bool,
    outputs: [Kept; 2],
    /// Nobody will come for the output: the oldest makes room.
    is_let_go: bool,
    terminals: [bool; 3],
    waker: Option<Arc<dyn Waker>>,
    /// Counts all that the node has to be told about besides output.
    news: u64,
}

/// Output that was written and perhaps not seen.
#[derive(Default)]
struct Kept {
    /// The number of the first byte that is kept.
    start: u64,
    /// How many bytes were written.
    written: u64,
    bytes: VecDeque<u8>,
}

impl Kept {
    fn room(&self) -> usize {
        KEPT_BYTES - self.bytes.len()
    }

    /// Takes bytes in, but for those that were seen before they were written here.
    fn write(&mut self, bytes: &[u8]) {
        let known = self.start.saturating_sub(self.written).min(bytes.len() as u64);
        self.written += bytes.len() as u64;
        self.bytes.extend(&bytes[known as usize..]);
    }

    fn seen(&mut self, position: u64) {
        let gone = position.saturating_sub(self.start).min(self.bytes.len() as u64);
        self.bytes.drain(..gone as usize);
        self.start = self.start.max(position);
    }
}

/// A piece of output on its way to the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// 0 for standard output, 1 for standard error.
    pub stream: usize,
    /// How many bytes came before.
    pub position: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// No piece is larger.
const PIECE_BYTES: usize = 64 << 10;

impl Remote {
    /// Streams of which the guest thinks that these are terminals.
    pub fn new(terminals: [bool; 3]) -> Remote {
        let remote = Remote::default();
        remote.lock().terminals = terminals;
        remote
    }

    /// Whether these are the same streams.
    pub fn is(&self, other: &Remote) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The connections whose sockets are elsewhere.
    pub fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every call, so a panic elsewhere does not spoil it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits on the node's side.
    fn tell(&self) {
        self.0.changed.notify_all();
    }

    // ---- The guest's side ----

    pub(crate) fn set_waker(&self, waker: Arc<dyn Waker>) {
        self.0.lanes.set_waker(waker.clone());
        self.lock().waker = Some(waker);
    }

    pub(crate) fn is_terminal(&self, stream: usize) -> bool {
        self.lock().terminals[stream]
    }

    /// The guest has read or written so much of a stream on other hosts.
    pub(crate) fn resume(&self, stream: usize, bytes: u64) {
        let mut state = self.lock();
        match stream.checked_sub(1) {
            None => state.consumed = bytes,
            Some(index) => {
                let kept = &mut state.outputs[index];
                kept.written = bytes;
                // What came along was written before.
                kept.start = kept.start.max(bytes - (kept.bytes.len() as u64).min(bytes));
            }
        }
    }

    pub(crate) fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize> {
        let mut state = self.lock();
        let wanted = buffers.iter().any(|buffer| !buffer.is_empty());
        if wanted && state.input.is_empty() {
            return if state.input_ended { Ok(0) } else { Err(Errno::Again) };
        }
        let mut count = 0;
        for buffer in buffers {
            let part = buffer.len().min(state.input.len());
            for (place, byte) in buffer.iter_mut().zip(state.input.drain(..part)) {
                *place = byte;
            }
            count += part;
        }
        state.consumed += count as u64;
        state.news += 1;
        drop(state);
        self.tell();
        Ok(count)
    }

    pub(crate) fn write(&self, index: usize, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        let mut state = self.lock();
        let is_let_go = state.is_let_go;
        let kept = &mut state.outputs[index];
        let mut count = 0;
        for buffer in buffers {
            if is_let_go {
                // Only its end would be kept.
                let excess = buffer.len().saturating_sub(kept.room()).min(kept.bytes.len());
                kept.bytes.drain(..excess);
                kept.start += excess as u64;
            }
            let part = buffer.len().min(kept.room());
            kept.write(&buffer[..part]);
            count += part;
        }
        let is_full = count == 0 && buffers.iter().any(|buffer| !buffer.is_empty());
        drop(state);
        self.tell();
        if is_full { Err(Errno::Again) } else { Ok(count) }
    }

    /// Whether a stream can go on: 0 is read, 1 and 2 are written.
    pub(crate) fn readiness(&self, stream: usize) -> Option<Readiness> {
        let state = self.lock();
        match stream.checked_sub(1) {
            None if state.input.is_empty() && !state.input_ended => None,
            None => {
                let bytes = state.input.len() as u64;
                Some(Readiness { bytes, hung_up: bytes == 0 })
            }
            Some(index) => (state.is_let_go || state.outputs[index].room() > 0)
                .then_some(Readiness { bytes: 1, hung_up: false }),
        }
    }

    // ---- The node's side ----

    /// Nobody will come for the output, or somebody will again.
    pub fn let_go(&self, is_let_go: bool) {
        let mut state = self.lock();
        state.is_let_go = is_let_go;
        let waker = state.waker.clone();
        drop(state);
        waker.inspect(|waker| waker.wake());
    }

    /// Output that came along with the process, before the guest goes on.
    pub fn came_along(&self, piece: &Piece) {
        let mut state = self.lock();
        let kept = &mut state.outputs[piece.stream.min(1)];
        let room = kept.room();
        if kept.bytes.is_empty() {
            kept.start = piece.position;
            kept.written = piece.position;
        }
        if kept.written == piece.position {
            kept.written += piece.bytes.len().min(room) as u64;
            kept.bytes.extend(&piece.bytes[..piece.bytes.len().min(room)]);
        }
    }

    /// All output that is kept, in pieces.
    pub fn kept(&self) -> Vec<Piece> {
        let state = self.lock();
        let mut sent = [state.outputs[0].start, state.outputs[1].start];
        let mut pieces = Vec::new();
        while let Some(piece) = next_piece(&state, &mut sent) {
            pieces.push(piece);
        }
        pieces
    }

    /// The next output behind what was sent; waits for it, or for anything else that is new since
    /// `news`, for at most `time`.
    pub fn next(&self, sent: &mut [u64; 2], news: &mut u64, time: Duration) -> Option<Piece> {
        let state = self.lock();
        let idle = |state: &mut State| {
            let has_output =
                state.outputs.iter().zip(&*sent).any(|(kept, &sent)| {
                    kept.start + kept.bytes.len() as u64 > sent.max(kept.start)
                });
            !has_output && state.news == *news
        };
        let waited = self.0.changed.wait_timeout_while(state, time, idle);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *news = state.news;
        next_piece(&state, sent)
    }

    /// Something has happened that whoever waits in [`Remote::next`] or for news of a lane has to look
    /// at.
    pub fn has_news(&self) {
        self.lock().news += 1;
        self.tell();
        self.0.lanes.has_news();
    }

    /// Output up to these numbers has reached its place.
    pub fn seen(&self, seen: [u64; 2]) {
        let mut state = self.lock();
        for (kept, seen) in state.outputs.iter_mut().zip(seen) {
            kept.seen(seen);
        }
        // How a program ended is said once this is so.
        state.news += u64::from(state.outputs.iter().all(|kept| kept.bytes.is_empty()));
        let waker = state.waker.clone();
        drop(state);
        waker.inspect(|waker| waker.wake());
        self.tell();
    }

    /// Where the kept output of both streams begins.
    pub fn output_start(&self) -> [u64; 2] {
        let state = self.lock();
        [state.outputs[0].start, state.outputs[1].start]
    }

    /// Whether all that was written has been seen.
    pub fn is_all_seen(&self) -> bool {
        self.lock().outputs.iter().all(|kept| kept.bytes.is_empty())
    }

    /// Takes input whose first byte has the number `position`, as far as it is new and has room, and
    /// says how many bytes have come in all.
    pub fn input(&self, position: u64, bytes: &[u8]) -> u64 {
        let mut state = self.lock();
        let received = state.consumed + state.input.len() as u64;
        let known = received.saturating_sub(position);
        if position <= received && known <= bytes.len() as u64 {
            let room = KEPT_BYTES - state.input.len();
            let fresh = &bytes[known as usize..];
            state.input.extend(&fresh[..fresh.len().min(room)]);
        }
        let received = state.consumed + state.input.len() as u64;
        let waker = state.waker.clone();
        drop(state);
        waker.inspect(|waker| waker.wake());
        received
    }

    /// The input ends behind this byte.
    pub fn end_input(&self, position: u64) {
        let mut state = self.lock();
        if state.consumed + state.input.len() as u64 == position {
            state.input_ended = true;
        }
        let waker = state.waker.clone();
        drop(state);
        waker.inspect(|waker| waker.wake());
    }

    /// How many bytes of input the guest has read, and how many have come.
    pub fn input_position(&self) -> (u64, u64) {
        let state = self.lock();
        (state.consumed, state.consumed + state.input.len() as u64)
    }
}

/// The output behind what was sent, which is counted up.
fn next_piece(state: &State, sent: &mut [u64; 2]) -> Option<Piece> {
    for (stream, (kept, sent)) in state.outputs.iter().zip(sent).enumerate() {
        let position = (*sent).max(kept.start);
        let skip = (position - kept.start) as usize;
        if skip < kept.bytes.len() {
            let bytes: Vec<u8> = kept.bytes.range(skip..).take(PIECE_BYTES).copied().collect();
            *sent = position + bytes.len() as u64;
            return Some(Piece { stream, position, bytes });
        }
    }
    None
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(remote: &Remote, text: &str) -> Answer<usize> {
        remote.write(0, &[IoSlice::new(text.as_bytes())])
    }

    fn next(remote: &Remote, sent: &mut [u64; 2]) -> Option<(u64, String)> {
        let piece = remote.next(sent, &mut 0, Duration::ZERO)?;
        Some((piece.position, String::from_utf8_lossy(&piece.bytes).into_owned()))
    }

    #[test]
    fn output_stays_until_it_was_seen_and_is_sent_again_to_who_comes_back() {
        let remote = Remote::new([false; 3]);
        write(&remote, "abc").expect("room");
        let mut sent = [0; 2];
        assert_eq!(next(&remote, &mut sent), Some((0, "abc".to_owned())));
        assert_eq!(next(&remote, &mut sent), None);
        remote.seen([2, 0]);
        assert_eq!(next(&remote, &mut [0; 2]), Some((2, "c".to_owned())));
        write(&remote, "d").expect("room");
        assert_eq!(next(&remote, &mut sent), Some((3, "d".to_owned())));
    }

    #[test]
    fn what_was_seen_before_a_host_died_is_not_said_twice() {
        // The checkpoint was made after 2 bytes; the terminal has seen 5.
        let remote = Remote::new([false; 3]);
        remote.resume(1, 2);
        remote.seen([5, 0]);
        write(&remote, "cd").expect("room");
        assert_eq!(next(&remote, &mut [5, 0]), None);
        write(&remote, "efg").expect("room");
        assert_eq!(next(&remote, &mut [5, 0]), Some((5, "fg".to_owned())));
    }

    #[test]
    fn who_waits_hears_that_all_was_seen() {
        let remote = Remote::default();
        assert_eq!(remote.write(0, &[IoSlice::new(b"last")]), Ok(4));
        let (mut sent, mut news) = ([0, 0], 0);
        assert!(remote.next(&mut sent, &mut news, Duration::ZERO).is_some());
        remote.seen([4, 0]);
        let known = news;
        assert_eq!(remote.next(&mut sent, &mut news, Duration::from_secs(60)), None);
        assert_ne!(news, known);
    }

    #[test]
    fn a_full_log_makes_the_guest_wait_unless_it_was_let_go() {
        let remote = Remote::new([false; 3]);
        let text = "x".repeat(KEPT_BYTES);
        assert_eq!(write(&remote, &text), Ok(KEPT_BYTES));
        assert_eq!(write(&remote, "y"), Err(Errno::Again));
        assert!(remote.readiness(1).is_none());
        remote.let_go(true);
        assert_eq!(write(&remote, "y"), Ok(1));
        remote.let_go(false);
        remote.seen([1 << 10, 0]);
        assert!(remote.readiness(1).is_some());
    }

    #[test]
    fn input_is_taken_by_its_number() {
        let remote = Remote::new([false; 3]);
        remote.resume(0, 10);
        assert_eq!(remote.input(12, b"xx"), 10, "a gap is not taken");
        assert_eq!(remote.input(8, b"..abc"), 13);
        assert_eq!(remote.input(10, b"abcd"), 14);
        let mut buffer = [0; 8];
        let read = remote.read(&mut [IoSliceMut::new(&mut buffer)]);
        assert_eq!((read, &buffer[..4]), (Ok(4), &b"abcd"[..]));
        assert_eq!(remote.read(&mut [IoSliceMut::new(&mut buffer)]), Err(Errno::Again));
        remote.end_input(14);
        assert_eq!(remote.read(&mut [IoSliceMut::new(&mut buffer)]), Ok(0));
    }
}
