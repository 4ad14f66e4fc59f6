//! Frames: bytes with a length and a kind in front.
//!
//! ```text
//! length of the payload, 4 bytes, lowest first | kind, 1 byte | payload
//! ```
//!
//! A length is looked at before a byte of room is made for it.

use std::fmt;
use std::io::{self, Read, Write};

/// No payload is longer: a frame of pages has 128 of them, and all else is shorter.
pub const FRAME_LIMIT_BYTES: usize = 600 << 10;

const HEADER_BYTES: usize = 5;

/// Why there is no frame.
#[derive(Debug)]
pub enum FrameError {
    /// The transport says no, or is at its end.
    Io(io::Error),
    /// A frame claims more than any frame has.
    TooLong(u32),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Io(error) => error.fmt(f),
            FrameError::TooLong(bytes) => write!(f, "a frame claims to have {bytes} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> FrameError {
        FrameError::Io(error)
    }
}

/// Writes a frame whose payload is given in parts.
///
/// # Errors
/// What the writer says; a payload that is too long for a frame.
pub fn write_frame(writer: &mut impl Write, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    if bytes > FRAME_LIMIT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much for one frame"));
    }
    let mut header = [kind; HEADER_BYTES];
    header[..4].copy_from_slice(&(bytes as u32).to_le_bytes());
    match parts {
        // Small frames leave in one piece.
        [only] if only.len() <= 4096 => {
            let mut whole = Vec::with_capacity(HEADER_BYTES + only.len());
            whole.extend_from_slice(&header);
            whole.extend_from_slice(only);
            writer.write_all(&whole)
        }
        _ => {
            writer.write_all(&header)?;
            parts.iter().try_for_each(|part| writer.write_all(part))
        }
    }
}

/// Reads a frame: its payload replaces what is in `payload`, its kind is the answer.
///
/// # Errors
/// What the reader says; a length that no frame has.
pub fn read_frame(reader: &mut impl Read, payload: &mut Vec<u8>) -> Result<u8, FrameError> {
    let mut header = [0; HEADER_BYTES];
    reader.read_exact(&mut header)?;
    let [a, b, c, d, kind] = header;
    let bytes = u32::from_le_bytes([a, b, c, d]);
    if bytes as usize > FRAME_LIMIT_BYTES {
        return Err(FrameError::TooLong(bytes));
    }
    payload.resize(bytes as usize, 0);
    reader.read_exact(payload)?;
    Ok(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_one_behind_the_other() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, 7, &[b"ab", b"c"]).expect("a vector takes all");
        write_frame(&mut bytes, 8, &[]).expect("a vector takes all");
        let (mut reader, mut payload) = (&bytes[..], vec![9; 100]);
        assert_eq!(read_frame(&mut reader, &mut payload).ok(), Some(7));
        assert_eq!(payload, b"abc");
        assert_eq!(read_frame(&mut reader, &mut payload).ok(), Some(8));
        assert_eq!(payload, b"");
        assert!(read_frame(&mut reader, &mut payload).is_err());
    }

    #[test]
    fn a_length_that_no_frame_has_is_refused_before_there_is_room_for_it() {
        let mut payload = Vec::new();
        let answer = read_frame(&mut &[0xFF, 0xFF, 0xFF, 0xFF, 1][..], &mut payload);
        assert!(matches!(answer, Err(FrameError::TooLong(u32::MAX))));
        assert_eq!(payload.capacity(), 0);
    }
}
