//! What strings mean: escapes and the rules for their characters.
//!
//! Spec: Text Format, Values, Strings.

use crate::{Diagnostic, Span};

/// Appends the bytes that the string in the range `span` (with its quotes) stands for.
pub(crate) fn unescape(text: &[u8], span: Span, out: &mut Vec<u8>) -> Result<(), Box<Diagnostic>> {
    let end = span.end as usize - 1;
    let mut at = span.start as usize + 1;
    while at < end {
        let plain = text[at..end].iter().position(|&byte| !is_plain(byte)).unwrap_or(end - at);
        out.extend_from_slice(&text[at..at + plain]);
        at += plain;
        if at == end {
            break;
        }
        if text[at] != b'\\' {
            return Err(Box::new(control_character(text, at)));
        }
        // Data is mostly `\hh`.
        if let (Some(high), Some(low)) = (hex(text[at + 1]), text.get(at + 2).and_then(|&b| hex(b)))
        {
            out.push(high << 4 | low);
            at += 3;
            continue;
        }
        let byte = match text[at + 1] {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'"' => b'"',
            b'\'' => b'\'',
            b'\\' => b'\\',
            b'u' => {
                let (character, next) = unicode_escape(text, at, end)?;
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at = next;
                continue;
            }
            _ => return Err(Box::new(bad_escape(text, at))),
        };
        out.push(byte);
        at += 2;
    }
    Ok(())
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'\\' && byte != 0x7f
}

/// The value of a hexadecimal digit.
#[inline]
pub(crate) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Reads `\u{...}` at `at`; gives the character and the offset behind it.
fn unicode_escape(text: &[u8], at: usize, end: usize) -> Result<(char, usize), Box<Diagnostic>> {
    let malformed = |to: usize, why: &str| {
        let span = Span::new(at, to.clamp(at + 2, end));
        let error = Diagnostic::error("malformed-string", span, format!("malformed escape: {why}"));
        Err(Box::new(error.expecting("`\\u{` hexadecimal digits `}`")))
    };
    if text[at + 2] != b'{' {
        return malformed(at + 2, "`{` must follow `\\u`");
    }
    let mut value = 0u32;
    let mut next = at + 3;
    let mut underscore_allowed = false;
    loop {
        match text[next] {
            b'}' if underscore_allowed => break,
            b'_' if underscore_allowed => underscore_allowed = false,
            byte => match hex(byte) {
                Some(digit) if value <= 0x10_ffff => {
                    value = value << 4 | u32::from(digit);
                    underscore_allowed = true;
                }
                Some(_) => {}
                None => return malformed(next, "a hexadecimal digit is missing"),
            },
        }
        next += 1;
    }
    match char::from_u32(value) {
        Some(character) => Ok((character, next + 1)),
        None => malformed(next + 1, "this is not a Unicode scalar value"),
    }
}

fn bad_escape(text: &[u8], at: usize) -> Diagnostic {
    let shown: String =
        String::from_utf8_lossy(&text[at..text.len().min(at + 5)]).chars().take(2).collect();
    Diagnostic::error(
        "malformed-string",
        Span::new(at, at + shown.len()),
        format!("unknown escape `{shown}`"),
    )
    .expecting("`\\t`, `\\n`, `\\r`, `\\\"`, `\\'`, `\\\\`")
    .expecting("`\\hh` with two hexadecimal digits")
    .expecting("`\\u{...}`")
}

fn control_character(text: &[u8], at: usize) -> Diagnostic {
    let span = Span::new(at, at + 1);
    let escape = format!("\\{:02x}", text[at]);
    Diagnostic::error("malformed-string", span, "control character in a string")
        .with_label("must be written as an escape")
        .suggesting(escape)
}

/// Says what is wrong with a string that has no end.
pub(crate) fn explain(text: &[u8], start: usize) -> Diagnostic {
    let line_end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at);
    Diagnostic::error("unclosed-string", Span::new(start, line_end), "this string is not closed")
        .with_label("opened here")
        .with_help("strings end on the line they begin; write a line break as `\\n`")
}
