//! What is wrong with a text, as data.
//!
//! A diagnostic knows nothing of terminals, file names or JSON: `render` turns it into those.

use crate::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The text has no bytecode.
    Error,
    /// The text has a meaning that its author may not have wanted.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name of the kind of mistake in kebab case, such as `unknown-instruction`.
    pub code: &'static str,
    /// One sentence without a full stop, beginning in lower case.
    pub message: String,
    /// The place it is about. For a binary input an offset in the bytes.
    pub span: Span,
    /// Text beside the caret under `span`; may be empty.
    pub label: String,
    /// Further places, for instance the opening parenthesis of one that is not closed.
    pub labels: Vec<Label>,
    /// What could have stood at `span`, each as it should be shown (keywords in backticks).
    pub expected: Vec<String>,
    /// A text to put in place of another, where one is likely right.
    pub suggestion: Option<Suggestion>,
    /// One sentence of advice.
    pub help: Option<String>,
    /// Further remarks, each a sentence.
    pub notes: Vec<String>,
    /// The types on the operand stack before the instruction, the topmost last.
    /// Only validation knows them.
    pub operand_stack: Option<Vec<String>>,
    /// The same place in the bytecode, where it is known.
    pub bytecode_offset: Option<u64>,
}

/// A second place of a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there.
    pub text: String,
}

/// "Did you mean".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// What to replace.
    pub span: Span,
    /// By what.
    pub replacement: String,
}

impl Diagnostic {
    /// An error at a place; the rest is empty.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            span,
            label: String::new(),
            labels: Vec::new(),
            expected: Vec::new(),
            suggestion: None,
            help: None,
            notes: Vec::new(),
            operand_stack: None,
            bytecode_offset: None,
        }
    }

    /// Sets the text beside the caret.
    #[must_use]
    pub fn with_label(mut self, text: impl Into<String>) -> Diagnostic {
        self.label = text.into();
        self
    }

    /// Adds a second place.
    #[must_use]
    pub fn and_label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds something that could have stood here.
    #[must_use]
    pub fn expecting(mut self, what: impl Into<String>) -> Diagnostic {
        self.expected.push(what.into());
        self
    }

    /// Sets the likely correction of the main place.
    #[must_use]
    pub fn suggesting(mut self, replacement: impl Into<String>) -> Diagnostic {
        self.suggestion = Some(Suggestion { span: self.span, replacement: replacement.into() });
        self
    }

    /// Sets the advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }
}

/// The mistakes of one text, in the order of their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// The mistakes; never more than [`Diagnostics::LIMIT`].
    pub list: Vec<Diagnostic>,
    /// How many more were found and left out.
    pub omitted: usize,
}

impl Diagnostics {
    /// Nobody reads more than this at once, and a hostile text must not fill memory with
    /// complaints.
    pub const LIMIT: usize = 100;

    /// Adds a mistake, or counts it where there are already enough.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.list.len() < Diagnostics::LIMIT {
            self.list.push(diagnostic);
        } else {
            self.omitted += 1;
        }
    }

    /// Counts a mistake that would be left out anyway; whether it was. Some messages are costly
    /// to make, and a hostile text has many mistakes.
    pub(crate) fn is_full(&mut self) -> bool {
        let full = self.list.len() >= Diagnostics::LIMIT;
        self.omitted += usize::from(full);
        full
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorts by place; mistakes at one place keep their order.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|diagnostic| diagnostic.span);
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        Diagnostics { list: vec![diagnostic], omitted: 0 }
    }
}

impl std::fmt::Display for Diagnostics {
    /// One line each, with byte offsets: for logs and tests. `render` is for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            let Diagnostic { code, message, span, .. } = diagnostic;
            write!(f, "{separator}{}..{}: {message} [{code}]", span.start, span.end)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
