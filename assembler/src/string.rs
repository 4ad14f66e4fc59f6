//! What strings mean: escapes and the rules for their characters.
//!
//! Spec: Text Format, Values, Strings.

use crate::{Diagnostic, Span};

/// Appends the bytes that the string in the range `span` (with its quotes) stands for.
pub(crate) fn unescape(text: &[u8], span: Span, out: &mut Vec<u8>) -> Result<(), Box<Diagnostic>> {
    let end = span.end as usize - 1;
    let mut at = span.start as usize + 1;
    // Most of a large text is data, so bytes are gathered here before they go out together.
    let mut gathered = [0; GATHERED];
    let mut len = 0;
    while at < end {
        if len > GATHERED - 8 {
            out.extend_from_slice(&gathered[..len]);
            len = 0;
        }
        if let Some(word) = text.get(at..at + 8) {
            // Data is mostly `\hh`; a string ends with a quote, so this does not reach behind it.
            if word[0] == b'\\' {
                let (high, low) = (HEX[usize::from(word[1])], HEX[usize::from(word[2])]);
                if high | low < 16 {
                    gathered[len] = high << 4 | low;
                    len += 1;
                    at += 3;
                    continue;
                }
            } else {
                let plain = plain_bytes(u64::from_le_bytes(word.try_into().unwrap_or_default()));
                if plain > 0 {
                    // All eight are copied, as many as are plain count.
                    let plain = plain.min(end - at);
                    gathered[len..len + 8].copy_from_slice(word);
                    len += plain;
                    at += plain;
                    continue;
                }
            }
        } else if is_plain(text[at]) {
            gathered[len] = text[at];
            len += 1;
            at += 1;
            continue;
        }
        out.extend_from_slice(&gathered[..len]);
        len = 0;
        at = rare(text, at, end, out)?;
    }
    out.extend_from_slice(&gathered[..len]);
    Ok(())
}

/// How many bytes are gathered.
const GATHERED: usize = 512;

/// The value of each hexadecimal digit, 255 for other bytes.
static HEX: [u8; 256] = {
    let mut table = [255; 256];
    let mut byte = 0;
    while byte < 256 {
        if let Some(value) = hex(byte as u8) {
            table[byte] = value;
        }
        byte += 1;
    }
    table
};

/// An escape, or a mistake; gives the offset behind it.
fn rare(text: &[u8], at: usize, end: usize, out: &mut Vec<u8>) -> Result<usize, Box<Diagnostic>> {
    if text[at] != b'\\' {
        return Err(Box::new(control_character(text, at)));
    }
    if let (Some(high), Some(low)) = (hex(text[at + 1]), text.get(at + 2).and_then(|&b| hex(b))) {
        out.push(high << 4 | low);
        return Ok(at + 3);
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
            return Ok(next);
        }
        _ => return Err(Box::new(bad_escape(text, at))),
    };
    out.push(byte);
    Ok(at + 2)
}

/// How many bytes at the beginning of a word stand for themselves.
#[inline(always)]
fn plain_bytes(word: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let control = word.wrapping_sub(ONES * 0x20) & !word & TOPS;
    const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);
    const DELETES: u64 = u64::from_le_bytes([0x7f; 8]);
    let other = control | zero(word ^ BACKSLASHES) | zero(word ^ DELETES);
    (other.trailing_zeros() / 8) as usize
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'\\' && byte != 0x7f
}

/// The value of a hexadecimal digit.
#[inline]
pub(crate) const fn hex(byte: u8) -> Option<u8> {
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
