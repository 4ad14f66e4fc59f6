//! The twin of `compiled.rs` in builds without a compiler: it says so.

use super::super::exit::Failure;
use super::super::options::Format;
use super::functions::Functions;

/// How code would be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As Cranelift gets it.
    Clif,
    /// As the processor runs it.
    Native,
}

/// Says that there is no compiler.
pub fn compiled(
    _functions: &Functions<'_>, _wanted: &str, _view: View, _format: Format,
) -> Result<u8, Failure> {
    Err(Failure::usage("this brant was built without its compiler")
        .with_help("build it with the feature `jit`, or look at `--icode`"))
}
