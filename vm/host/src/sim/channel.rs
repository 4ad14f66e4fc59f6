//! Streams and connections: what comes in is a script, what goes out is kept.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Mutex, PoisonError};

use brant_kernel::errno::Errno;
use brant_kernel::host::{Answer, Kind, Shutdown, Stat};

/// More than this is not kept.
const MOST_RECORDED_BYTES: usize = 1 << 30;

/// Bytes that a guest has written. A copy is the same record.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<Mutex<Vec<u8>>>);

impl Recorded {
    /// What was written so far.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was written so far as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn write(&self, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = buffers.iter().map(|buffer| buffer.len()).sum();
        if bytes.len() + count > MOST_RECORDED_BYTES {
            return Err(Errno::NoSpace);
        }
        buffers.iter().for_each(|buffer| bytes.extend_from_slice(buffer));
        Ok(count)
    }
}

/// What comes in, and when.
#[derive(Debug, Default)]
pub(super) struct Script {
    parts: VecDeque<(u64, VecDeque<u8>)>,
    stays_open: bool,
    heard: Recorded,
}

impl Script {
    pub fn push(&mut self, at_ns: u64, bytes: &[u8]) {
        let not_before = self.parts.back().map_or(0, |&(last_ns, _)| last_ns);
        self.parts.push_back((at_ns.max(not_before), bytes.iter().copied().collect()));
    }

    pub fn keep_open(&mut self) {
        self.stays_open = true;
    }

    /// When its first part comes.
    pub fn first_ns(&self) -> u64 {
        self.parts.front().map_or(0, |&(at_ns, _)| at_ns)
    }

    /// What is sent to whoever made the script.
    pub fn heard(&self) -> Recorded {
        self.heard.clone()
    }
}

/// An open stream or connection.
pub(super) struct Channel {
    input: Option<Script>,
    output: Option<Recorded>,
    kind: Kind,
}

impl Channel {
    pub fn input(script: Script) -> Channel {
        Channel { input: Some(script), output: None, kind: Kind::Unknown }
    }

    pub fn output(record: Recorded) -> Channel {
        Channel { input: None, output: Some(record), kind: Kind::Unknown }
    }

    pub fn connection(script: Script) -> Channel {
        let output = Some(script.heard());
        Channel { input: Some(script), output, kind: Kind::StreamSocket }
    }

    pub fn is_connection(&self) -> bool {
        self.kind == Kind::StreamSocket
    }

    /// How many bytes can be read at `now_ns`, and whether the end is all that is left.
    pub fn readable(&self, now_ns: u64) -> (u64, bool) {
        let Some(input) = &self.input else { return (0, true) };
        let come = input.parts.iter().take_while(|&&(at_ns, _)| at_ns <= now_ns);
        let bytes = come.map(|(_, part)| part.len() as u64).sum();
        let waiting = input.parts.iter().any(|(at_ns, part)| *at_ns > now_ns && !part.is_empty());
        (bytes, bytes == 0 && !waiting && !input.stays_open)
    }

    /// Leaves out bytes that were read elsewhere.
    pub fn skip(&mut self, mut bytes: u64) {
        let parts = self.input.iter_mut().flat_map(|input| &mut input.parts);
        for (_, part) in parts {
            let count = part.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            part.drain(..count);
            bytes -= count as u64;
        }
    }

    /// When more comes in.
    pub fn next_ns(&self) -> Option<u64> {
        let parts = self.input.iter().flat_map(|input| &input.parts);
        parts.filter(|(_, part)| !part.is_empty()).map(|&(at_ns, _)| at_ns).next()
    }

    pub fn read(
        &mut self, buffers: &mut [IoSliceMut<'_>], now_ns: u64, peek: bool,
    ) -> Answer<usize> {
        match self.readable(now_ns) {
            _ if self.input.is_none() && self.kind != Kind::StreamSocket => {
                return Err(Errno::BadDescriptor);
            }
            (0, true) => return Ok(0),
            (0, false) => return Err(Errno::Again),
            _ => {}
        }
        let Some(input) = &mut self.input else { return Ok(0) };
        let come = input.parts.iter_mut().take_while(|part| part.0 <= now_ns);
        let mut come = come.map(|part| &mut part.1);
        let mut part = come.next();
        let (mut done, mut peeked) = (0, 0);
        for slot in buffers.iter_mut().flat_map(|buffer| buffer.iter_mut()) {
            while part.as_ref().is_some_and(|part| part.len() == if peek { peeked } else { 0 }) {
                (part, peeked) = (come.next(), 0);
            }
            let Some(bytes) = &mut part else { break };
            let byte = if peek { bytes.get(peeked).copied() } else { bytes.pop_front() };
            let Some(byte) = byte else { break };
            *slot = byte;
            peeked += 1;
            done += 1;
        }
        Ok(done)
    }

    pub fn write(&mut self, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        match &self.output {
            Some(record) => record.write(buffers),
            None if self.is_connection() => Err(Errno::BrokenPipe),
            None => Err(Errno::BadDescriptor),
        }
    }

    pub fn shut_down(&mut self, what: Shutdown) {
        if what != Shutdown::Write {
            self.input = None;
        }
        if what != Shutdown::Read {
            self.output = None;
        }
    }

    pub fn stat(&self, number: u64) -> Stat {
        stat(self.kind, number)
    }
}

/// What is known of an object that is no file.
pub(super) fn stat(kind: Kind, number: u64) -> Stat {
    Stat {
        device: 0,
        inode: number,
        kind,
        link_count: 1,
        size_bytes: 0,
        accessed_ns: 0,
        modified_ns: 0,
        changed_ns: 0,
    }
}
