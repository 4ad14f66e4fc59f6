//! A pipe: bytes in the order in which they were written, and who has its ends.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};

use super::Pid;
use crate::errno::Errno;
use crate::host::{Answer, Direction, Readiness};

/// How much a pipe holds, as on Linux.
pub const CAPACITY_BYTES: usize = 64 << 10;
/// So much is written whole or not at all. Spec: POSIX, `PIPE_BUF`.
pub const ATOMIC_BYTES: usize = 4096;

/// A pipe whose ends are open or closed as a whole: duplicates of a descriptor are counted by it.
#[derive(Debug)]
pub struct Pipe {
    bytes: VecDeque<u8>,
    has_reader: bool,
    has_writer: bool,
    /// Who waits for either end, to be woken by the next change.
    pub waiting: Vec<Pid>,
}

impl Pipe {
    /// An empty pipe with both ends open.
    pub fn empty() -> Pipe {
        Pipe { bytes: VecDeque::new(), has_reader: true, has_writer: true, waiting: Vec::new() }
    }

    /// A pipe with something in it, of which nobody has an end yet.
    pub fn restore(bytes: &[u8]) -> Pipe {
        let bytes = bytes.iter().copied().collect();
        Pipe { bytes, has_reader: false, has_writer: false, waiting: Vec::new() }
    }

    /// Opens an end of a pipe that was restored; false if it is open.
    pub fn open(&mut self, direction: Direction) -> bool {
        let end = match direction {
            Direction::Read => &mut self.has_reader,
            Direction::Write => &mut self.has_writer,
        };
        !std::mem::replace(end, true)
    }

    /// Whether an end is open.
    pub fn is_open(&self) -> bool {
        self.has_reader || self.has_writer
    }

    /// What is in it.
    pub fn content(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }

    /// Closes an end; says whether the pipe is gone.
    pub fn close(&mut self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.has_reader = false,
            Direction::Write => self.has_writer = false,
        }
        !self.has_reader && !self.has_writer
    }

    /// Takes out what is there; nothing at the end.
    ///
    /// # Errors
    /// [`Errno::Again`] if something may still come.
    pub fn read(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Answer<usize> {
        let wanted: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if self.bytes.is_empty() && self.has_writer && wanted > 0 {
            return Err(Errno::Again);
        }
        let mut count = 0;
        for buffer in buffers {
            let part = buffer.len().min(self.bytes.len());
            for slot in &mut buffer[..part] {
                // There are as many.
                *slot = self.bytes.pop_front().unwrap_or_default();
            }
            count += part;
        }
        Ok(count)
    }

    /// Puts in what has room.
    ///
    /// # Errors
    /// [`Errno::Again`] if nothing has, or not all of a short message; [`Errno::BrokenPipe`].
    pub fn write(&mut self, buffers: &[IoSlice<'_>]) -> Answer<usize> {
        let offered: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if !self.has_reader {
            return Err(Errno::BrokenPipe);
        }
        let room = CAPACITY_BYTES.saturating_sub(self.bytes.len());
        if offered > 0 && room < offered.min(ATOMIC_BYTES) {
            return Err(Errno::Again);
        }
        let mut left = offered.min(room);
        for buffer in buffers {
            let part = buffer.len().min(left);
            self.bytes.extend(&buffer[..part]);
            left -= part;
        }
        Ok(offered.min(room))
    }

    /// What can be done at an end at once.
    pub fn readiness(&self, direction: Direction) -> Option<Readiness> {
        let room = CAPACITY_BYTES.saturating_sub(self.bytes.len());
        let (bytes, is_ready, hung_up) = match direction {
            Direction::Read => (self.bytes.len(), !self.bytes.is_empty(), !self.has_writer),
            Direction::Write => (room, room >= ATOMIC_BYTES, !self.has_reader),
        };
        (is_ready || hung_up).then_some(Readiness { bytes: bytes as u64, hung_up })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(pipe: &mut Pipe, bytes: &[u8]) -> Answer<usize> {
        pipe.write(&[IoSlice::new(bytes)])
    }

    #[test]
    fn short_messages_are_whole_and_long_ones_fill_what_is_left() {
        let mut pipe = Pipe::empty();
        let most = vec![7; CAPACITY_BYTES - 100];
        assert_eq!(write(&mut pipe, &most), Ok(most.len()));
        assert_eq!(write(&mut pipe, &[1; 101]), Err(Errno::Again));
        assert_eq!(write(&mut pipe, &[1; 60]), Ok(60));
        assert_eq!(pipe.readiness(Direction::Write), None);
        assert_eq!(write(&mut pipe, &[2; ATOMIC_BYTES + 1]), Err(Errno::Again));
        let mut buffer = vec![0; CAPACITY_BYTES];
        assert_eq!(pipe.read(&mut [IoSliceMut::new(&mut buffer)]), Ok(CAPACITY_BYTES - 40));
        assert_eq!(&buffer[CAPACITY_BYTES - 101..CAPACITY_BYTES - 98], [7, 1, 1]);
    }

    #[test]
    fn an_end_that_is_closed_is_told_at_the_other_one() {
        let mut pipe = Pipe::empty();
        let mut buffer = [0; 4];
        assert_eq!(pipe.read(&mut [IoSliceMut::new(&mut buffer)]), Err(Errno::Again));
        assert_eq!(write(&mut pipe, b"ab"), Ok(2));
        assert!(!pipe.close(Direction::Write));
        assert_eq!(pipe.read(&mut [IoSliceMut::new(&mut buffer)]), Ok(2));
        assert_eq!(pipe.read(&mut [IoSliceMut::new(&mut buffer)]), Ok(0));
        assert_eq!(pipe.readiness(Direction::Read), Some(Readiness { bytes: 0, hung_up: true }));
        let mut other = Pipe::empty();
        assert!(!other.close(Direction::Read));
        assert_eq!(write(&mut other, b"ab"), Err(Errno::BrokenPipe));
        assert!(other.close(Direction::Write));
    }
}
