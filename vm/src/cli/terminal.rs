//! A filter between a guest and the terminal its output goes to.
//!
//! A terminal obeys what it is sent: a control sequence can retitle the window, write the
//! clipboard, or make the terminal type an answer into the shell.
//! Colours, cursor movement and erasing pass, so that programs which draw still work; every other
//! control sequence loses its power by having its escape character replaced with a picture of it.
//!
//! ```text
//! plain --ESC--> escape --[--> sequence --final byte--> plain
//!                   \--other--> shown          \--not in the list, or too long--> shown
//! ```
//!
//! The filter keeps at most one unfinished sequence, and knows nothing of descriptors.

use std::io::{self, Write};

/// The longest control sequence that is looked at; a colour with all its parameters is shorter.
const SEQUENCE_LIMIT_BYTES: usize = 64;

/// How much is filtered at once.
const PIECE_BYTES: usize = 16 << 10;

/// What stands for an escape character that is not let through: U+241B, "symbol for escape".
const ESCAPE_PICTURE: &[u8] = "\u{241b}".as_bytes();

/// The state of one output stream.
#[derive(Debug, Default)]
pub struct TerminalFilter {
    /// A control sequence whose end has not come yet; empty in plain text.
    held: Vec<u8>,
    /// Whether the last byte of plain text was 0xC2, which begins the two-byte form of the
    /// control characters U+0080 to U+009F.
    after_c2: bool,
}

impl TerminalFilter {
    /// Appends to `out` what the terminal may see of `bytes`.
    pub fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for &byte in bytes {
            if self.held.is_empty() {
                self.plain(byte, out);
            } else {
                self.sequence(byte, out);
            }
        }
    }

    fn plain(&mut self, byte: u8, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.after_c2) {
            match byte {
                // U+009B is a one-character form of `ESC [`, and its neighbours are as powerful.
                0x80..=0x9F => return out.extend_from_slice(ESCAPE_PICTURE),
                _ => out.push(0xC2),
            }
        }
        match byte {
            0x1B => self.held.push(byte),
            0xC2 => self.after_c2 = true,
            // Tab, line feed, carriage return, backspace and bell are what text is made of.
            b'\t' | b'\n' | b'\r' | 0x08 | 0x07 => out.push(byte),
            0x00..=0x1F | 0x7F => out.extend_from_slice(picture(byte).as_bytes()),
            _ => out.push(byte),
        }
    }

    fn sequence(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.held.len(), byte) {
            (1, b'[') => self.held.push(byte),
            // Save and restore the cursor.
            (1, b'7' | b'8') => {
                self.held.push(byte);
                out.append(&mut self.held);
            }
            (2.., 0x20..=0x3F) if self.held.len() < SEQUENCE_LIMIT_BYTES => self.held.push(byte),
            (2.., 0x40..=0x7E) => {
                self.held.push(byte);
                match harmless(&self.held[2..]) {
                    true => out.append(&mut self.held),
                    false => self.show(out),
                }
            }
            _ => {
                self.show(out);
                self.plain(byte, out);
            }
        }
    }

    /// Gives up a held sequence as readable text.
    fn show(&mut self, out: &mut Vec<u8>) {
        if let [_, rest @ ..] = self.held.as_slice() {
            out.extend_from_slice(ESCAPE_PICTURE);
            out.extend_from_slice(rest);
        }
        self.held.clear();
    }
}

/// A stream to a terminal with a filter before it.
///
/// What a program writes last may be half a sequence; it is never shown, as a terminal would not.
pub struct FilteredOutput<W> {
    terminal: W,
    filter: TerminalFilter,
    /// What may be seen of one write; kept to be used again.
    shown: Vec<u8>,
}

impl<W: Write> FilteredOutput<W> {
    /// Puts a filter before a stream.
    pub fn new(terminal: W) -> FilteredOutput<W> {
        FilteredOutput { terminal, filter: TerminalFilter::default(), shown: Vec::new() }
    }
}

impl<W: Write> Write for FilteredOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The guest chooses how much it writes at once; what is kept of it stays small.
        let bytes = &bytes[..bytes.len().min(PIECE_BYTES)];
        self.shown.clear();
        self.filter.pass(bytes, &mut self.shown);
        self.terminal.write_all(&self.shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.terminal.flush()
    }
}

/// Whether a control sequence, without `ESC [`, only draws.
fn harmless(sequence: &[u8]) -> bool {
    let Some((last, parameters)) = sequence.split_last() else { return false };
    let numbers = parameters.iter().all(|byte| byte.is_ascii_digit() || b";:".contains(byte));
    match last {
        // Colours; cursor movement; erasing; scrolling; inserting and deleting; save and restore.
        b'm'
        | b'A'..=b'H'
        | b'J'..=b'M'
        | b'P'
        | b'S'
        | b'T'
        | b'X'
        | b'@'
        | b'd'
        | b'f'
        | b'r'
        | b's'
        | b'u' => numbers,
        // Show or hide the cursor, wrap lines, use the other screen, collect an update.
        b'h' | b'l' => {
            let modes: [&[u8]; 4] = [b"?25", b"?7", b"?1049", b"?2026"];
            modes.contains(&parameters)
        }
        _ => false,
    }
}

/// The character of Unicode that pictures a control character.
fn picture(control: u8) -> String {
    let code = if control == 0x7F { 0x2421 } else { 0x2400 + u32::from(control) };
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl TerminalFilter {
        /// Appends what is still held back, as a picture.
        fn finish(&mut self, out: &mut Vec<u8>) {
            self.show(out);
            if std::mem::take(&mut self.after_c2) {
                out.push(0xC2);
            }
        }
    }

    fn check(input: &str, expected: &str) {
        let mut whole = Vec::new();
        let mut filter = TerminalFilter::default();
        filter.pass(input.as_bytes(), &mut whole);
        filter.finish(&mut whole);
        assert_eq!(String::from_utf8_lossy(&whole), expected);

        // The cuts between writes are the guest's choice and must not matter.
        let mut pieces = Vec::new();
        let mut filter = TerminalFilter::default();
        for byte in input.bytes() {
            filter.pass(&[byte], &mut pieces);
        }
        filter.finish(&mut pieces);
        assert_eq!(pieces, whole, "cut into single bytes");
    }

    #[test]
    fn text_and_drawing_pass() {
        for text in [
            "plain\ttext\r\n",
            "\u{1b}[1;31mred\u{1b}[0m",
            "\u{1b}[2J\u{1b}[H\u{1b}[?25l",
            "\u{1b}[38;2;1;2;3mtrue colour",
            "\u{1b}7\u{1b}8",
            "Köln, 世界, \u{a0}",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn titles_clipboards_and_questions_lose_their_power() {
        check("\u{1b}]0;title\u{7}", "␛]0;title\u{7}");
        check("\u{1b}]52;c;aGk=\u{1b}\\", "␛]52;c;aGk=␛\\");
        check("\u{1b}[6n", "␛[6n");
        check("\u{1b}[21t", "␛[21t");
        check("\u{1b}[?1000h", "␛[?1000h");
        check("\u{1b}c", "␛c");
        check("\u{1b}P1$r\u{1b}\\", "␛P1$r␛\\");
    }

    #[test]
    fn the_one_character_forms_are_no_way_around() {
        check("\u{9b}6n", "␛6n");
        check("\u{9d}0;title", "␛0;title");
    }

    #[test]
    fn other_control_characters_are_pictured() {
        check("a\0b\u{e}c\u{7f}", "a␀b␎c␡");
    }

    #[test]
    fn unfinished_and_endless_sequences_are_bounded() {
        check("\u{1b}[31", "␛[31");
        check("\u{1b}\u{1b}[31m", "␛\u{1b}[31m");
        let long = format!("\u{1b}[{}", "1".repeat(100_000));
        let mut filter = TerminalFilter::default();
        let mut out = Vec::new();
        filter.pass(long.as_bytes(), &mut out);
        assert!(filter.held.len() <= SEQUENCE_LIMIT_BYTES);
        assert!(out.starts_with(ESCAPE_PICTURE));
    }
}
