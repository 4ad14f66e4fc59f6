//! What the caller may choose.

/// Options of [`crate::assemble`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AssembleOptions {
    /// Leaves out the section of names that identifiers of the text would give.
    pub strip_names: bool,
}
