//! Sites: the numbered places of a function where a thread can stop and its state is defined.
//!
//! Sites, their shapes and what is live there follow from the bytecode alone, by the walks of this
//! folder, so that the interpreter, the compiler and whoever reads a snapshot agree about them.
//! Nothing here knows icode or machine code.
//!
//! ```text
//! entry        parameters hold the arguments, other locals their default
//! block        after `if`, `else`, and the `end` of what can be jumped out of (stops for fuel)
//! loop         the header, before the first operator of the body
//! call         about to execute the call; its arguments are the top operands
//! return       inside the call; its arguments are gone, its results are not there yet
//! operation    about to execute one of those that the engine does in pieces, operands still there
//! ```
//!
//! Numbers count in the order of the code, `call` before `return`. Code that validation calls
//! unreachable has no sites.

mod live;
mod walk;

use std::fmt;

use crate::module::Module;
use crate::types::ValType;

pub use live::LiveSet;
pub use walk::Operands;

/// The version of everything that a site number, a shape or a live set depends on.
///
/// A snapshot names it. Any change of the walk, of liveness or of what is a site needs a new one.
pub const SITE_SCHEME: u32 = 1;

/// The number of a site in its function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SiteId(pub u32);

/// What a site is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SiteKind {
    /// The start of the function.
    Entry,
    /// The start of a block that pays for itself.
    Block,
    /// The header of a loop.
    Loop,
    /// Before a call.
    Call,
    /// Inside a call.
    Return,
    /// Before an operation of the engine: growing, bulk memory and tables.
    Operation,
}

impl SiteKind {
    /// Its name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Block => "block",
            Self::Loop => "loop",
            Self::Call => "call",
            Self::Return => "return",
            Self::Operation => "operation",
        }
    }
}

impl fmt::Display for SiteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// What it is.
    pub kind: SiteKind,
    /// The operator, as an offset in the function's body (locals and operators): `loop`, `if`,
    /// `else`, `end` of what begins behind it, the call, the operation; 0 for the entry.
    pub offset: u32,
}

/// All sites of a function, with what is live at each.
#[derive(Clone, Debug)]
pub struct Sites {
    list: Vec<Site>,
    locals: Vec<ValType>,
    live: live::Liveness,
}

/// The types of a site's slots: its locals, dead ones included, and its operands, deepest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Types of the locals, parameters first.
    pub locals: Vec<ValType>,
    /// Types of the operands.
    pub operands: Vec<ValType>,
}

/// Why there are no sites: the function is imported, or its body is not valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoSites;

impl fmt::Display for NoSites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the function has no valid body")
    }
}

impl std::error::Error for NoSites {}

impl Sites {
    /// The sites of a function.
    ///
    /// # Errors
    /// The function is imported, or its body is not valid.
    pub fn of(module: &Module, function: u32) -> Result<Self, NoSites> {
        walk::sites(module, function)
    }

    /// Shows the operands of each site of a function, by ascending number.
    ///
    /// # Errors
    /// The function is imported, or its body is not valid.
    pub fn each(
        module: &Module, function: u32, mut see: impl FnMut(SiteId, Operands<'_>),
    ) -> Result<(), NoSites> {
        walk::each(module, function, &mut see)
    }

    /// How many there are; at least the entry.
    #[allow(clippy::len_without_is_empty, reason = "a function has an entry")]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The site with this number.
    pub fn get(&self, id: SiteId) -> Option<Site> {
        self.list.get(id.0 as usize).copied()
    }

    /// All of them, by ascending number.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SiteId, Site)> + '_ {
        self.list.iter().enumerate().map(|(i, &site)| (SiteId(i as u32), site))
    }

    /// The site of a kind at an operator.
    pub fn find(&self, offset: u32, kind: SiteKind) -> Option<SiteId> {
        let first = self.list.partition_point(|site| site.offset < offset);
        let rest = self.list[first..].iter().take_while(|site| site.offset == offset);
        let found = rest.enumerate().find(|(_, site)| site.kind == kind)?;
        Some(SiteId((first + found.0) as u32))
    }

    /// Types of all locals, parameters first.
    pub fn locals(&self) -> &[ValType] {
        &self.locals
    }

    /// The locals whose value may still be read from a site on.
    pub fn live(&self, id: SiteId) -> LiveSet<'_> {
        self.live.at(id.0 as usize)
    }
}

impl Shape {
    /// The shape of one site of a function.
    ///
    /// # Errors
    /// The function is imported, its body is not valid, or there is no such site.
    pub fn of(module: &Module, function: u32, site: SiteId) -> Result<Self, NoSites> {
        walk::shape(module, function, site)
    }
}
