//! Strings and identifiers of the text format.
//!
//! Whatever the bytes are, the text shows no control character and nothing that reorders it on a
//! terminal.

use super::sink::Sink;

/// One byte of a string as text, padded, and its length.
type Escaped = ([u8; 3], u8);

/// Every byte as it stands in a string of bytes.
const ESCAPES: [Escaped; 256] = {
    let digits = b"0123456789abcdef";
    let mut escapes = [([0; 3], 1); 256];
    let mut byte = 0;
    while byte < 256 {
        escapes[byte] = match byte as u8 {
            b'"' => ([b'\\', b'"', 0], 2),
            b'\\' => ([b'\\', b'\\', 0], 2),
            plain @ b' '..=b'~' => ([plain, 0, 0], 1),
            _ => ([b'\\', digits[byte >> 4], digits[byte & 15]], 3),
        };
        byte += 1;
    }
    escapes
};

/// Bytes of the module on each line of a long string.
const LINE_BYTES: usize = 64;

/// Puts a string of any bytes in quotes; a long one over several lines, each a string.
pub(super) fn put_data(sink: &mut Sink<'_>, bytes: &[u8], level: usize) {
    if bytes.len() <= LINE_BYTES {
        sink.put_byte(b' ');
        put_line(sink, bytes);
        return;
    }
    for line in bytes.chunks(LINE_BYTES) {
        sink.new_line(level);
        put_line(sink, line);
    }
}

fn put_line(sink: &mut Sink<'_>, bytes: &[u8]) {
    sink.put_byte(b'"');
    for &byte in bytes {
        let (text, length) = &ESCAPES[usize::from(byte)];
        sink.put_padded(text, usize::from(*length));
    }
    sink.put_byte(b'"');
}

/// Puts a name in quotes: characters as they are, as long as they can be seen.
pub(super) fn put_name(sink: &mut Sink<'_>, name: &str) {
    sink.put_byte(b'"');
    let mut buffer = [0; 4];
    for char in name.chars() {
        if is_shown(char) {
            sink.put(char.encode_utf8(&mut buffer));
        } else {
            for byte in char.encode_utf8(&mut buffer).bytes() {
                let (text, length) = &ESCAPES[usize::from(byte)];
                sink.put_padded(text, usize::from(*length));
            }
        }
    }
    sink.put_byte(b'"');
}

/// Appends `$name`, in quotes where it needs them.
pub(super) fn push_identifier(text: &mut Vec<u8>, name: &str) {
    text.push(b'$');
    if name.bytes().all(is_identifier_byte) {
        text.extend_from_slice(name.as_bytes());
        return;
    }
    text.push(b'"');
    let mut buffer = [0; 4];
    for char in name.chars() {
        let bytes = char.encode_utf8(&mut buffer).as_bytes();
        if is_shown(char) {
            text.extend_from_slice(bytes);
        } else {
            for byte in bytes {
                let (escaped, length) = &ESCAPES[usize::from(*byte)];
                text.extend_from_slice(&escaped[..usize::from(*length)]);
            }
        }
    }
    text.push(b'"');
}

/// Longest name in a message.
const SHOWN_MAX_CHARS: usize = 80;

/// A name short enough for a message.
pub(crate) fn shorten(name: &str) -> String {
    match name.char_indices().nth(SHOWN_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Whether a byte may stand in an identifier without quotes.
fn is_identifier_byte(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'"' | b'(' | b')' | b',' | b';' | b'[' | b']' | b'{' | b'}')
}

/// Whether a character can stand in a string as itself: it is visible and does not change how
/// others are shown.
fn is_shown(char: char) -> bool {
    match char {
        '"' | '\\' => false,
        ' '..='~' => true,
        _ => !char.is_control() && !is_format(char),
    }
}

/// Characters without a shape of their own: marks of direction, joiners, separators, private use.
fn is_format(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(name: &str) -> String {
        let mut text = Vec::new();
        push_identifier(&mut text, name);
        String::from_utf8(text).expect("identifiers are text")
    }

    #[test]
    fn identifiers_are_quoted_where_they_must_be() {
        assert_eq!(identifier("memcpy"), "$memcpy");
        assert_eq!(identifier("a::b<c>"), "$a::b<c>");
        assert_eq!(identifier("f(int, char)"), "$\"f(int, char)\"");
        assert_eq!(identifier("größe"), "$\"größe\"");
        assert_eq!(identifier("a\"b\\"), "$\"a\\\"b\\\\\"");
        assert_eq!(identifier("\u{1b}[31m\u{202e}"), "$\"\\1b[31m\\e2\\80\\ae\"");
    }
}
