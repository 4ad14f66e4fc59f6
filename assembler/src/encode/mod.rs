//! Bytes of sections.
//!
//! Each section is filled while the text is read; [`module`] puts them together.
//! Nothing here reads text.

pub(crate) mod leb;
pub(crate) mod module;
pub(crate) mod names;

pub(crate) use module::{Custom, Place, SectionId, Sections};
pub(crate) use names::{NameMap, NameSection, Subsection};
