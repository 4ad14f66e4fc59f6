//! Names from guests, made harmless for terminals and logs.

use std::fmt;

/// No name is shown longer: a module can have names of megabytes.
const MAX_CHARS: usize = 256;

/// A text with control characters escaped, cut where it is too long.
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, char) in self.0.chars().enumerate() {
            if count == MAX_CHARS {
                return f.write_str("...");
            }
            // Beside control characters those that change the direction of text.
            let is_harmful = char.is_control()
                || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            match is_harmful {
                true => write!(f, "{}", char.escape_debug())?,
                false => write!(f, "{char}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(Escaped("grüße\u{7f}\u{202e}").to_string(), "grüße\\u{7f}\\u{202e}");
        assert_eq!(Escaped(&"x".repeat(1000)).to_string().len(), MAX_CHARS + 3);
    }
}
