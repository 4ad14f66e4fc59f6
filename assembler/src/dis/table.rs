//! The rows of the instruction table, laid out for printing.
//!
//! One entry is one cache line: the name padded to a fixed length, how its immediates are put, and
//! what it takes from and leaves on the operand stack.

use std::sync::LazyLock;

use super::reader::{Fault, Reader};
use super::rows::ROWS;

/// Room for a name; the longest has 36 bytes.
const TEXT_BYTES: usize = 40;

/// An operand count that the row does not decide.
pub(super) const VARIES: u8 = u8::MAX;

/// What an immediate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Block,
    Label,
    LabelTable,
    TryTable,
    Func,
    Type,
    Table,
    Memory,
    Global,
    Local,
    Data,
    Elem,
    Tag,
    Field,
    Count,
    MemArg(u8),
    I32,
    I64,
    F32,
    F64,
    V128,
    Lane,
    Shuffle,
    SelectTypes,
    HeapType,
    /// A heap type where the text has a reference type, which is nullable or not.
    Cast,
    CastNull,
    BranchOnCast,
    /// A byte that is always zero.
    ZeroByte,
}

/// How an instruction is put: a path of its own for the frequent ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Unknown,
    /// The code goes on behind this byte.
    Prefix,
    Plain,
    Local,
    Label,
    I32,
    MemArg,
    Block,
    Else,
    End,
    /// Any other list of immediates.
    Listed,
}

/// One instruction.
#[derive(Clone)]
pub(super) struct Entry {
    /// The name, and a space where an immediate always follows.
    pub text: [u8; TEXT_BYTES],
    pub text_length: u8,
    pub form: Form,
    /// Base-2 logarithm of the natural alignment.
    pub align: u8,
    /// How many operands it takes and leaves, or [`VARIES`].
    pub pops: u8,
    pub pushes: u8,
    pub kinds: &'static [Kind],
}

impl Entry {
    const UNKNOWN: Entry = Entry {
        text: [0; TEXT_BYTES],
        text_length: 0,
        form: Form::Unknown,
        align: 0,
        pops: VARIES,
        pushes: VARIES,
        kinds: &[],
    };

    fn new(name: &str, kinds: &'static [Kind], pops: u8, pushes: u8) -> Self {
        let mut align = 0;
        let (form, has_space) = match kinds {
            [] => (Form::Plain, false),
            [Kind::Local] => (Form::Local, true),
            [Kind::Label] => (Form::Label, true),
            [Kind::I32] => (Form::I32, true),
            [Kind::MemArg(log2)] => {
                align = *log2;
                (Form::MemArg, false)
            }
            [Kind::Block] => (Form::Block, false),
            [first, ..] => {
                if let Kind::MemArg(log2) = first {
                    align = *log2;
                }
                let optional = matches!(
                    first,
                    Kind::MemArg(_)
                        | Kind::Memory
                        | Kind::Table
                        | Kind::Block
                        | Kind::TryTable
                        | Kind::ZeroByte
                );
                (Form::Listed, !optional)
            }
        };
        let form = match name {
            "else" => Form::Else,
            "end" => Form::End,
            _ => form,
        };
        let mut text = [0; TEXT_BYTES];
        text[..name.len()].copy_from_slice(name.as_bytes());
        text[name.len()] = b' ';
        let text_length = name.len() as u8 + u8::from(has_space);
        Entry { text, text_length, form, align, pops, pushes, kinds }
    }

    /// The name.
    pub fn name(&self) -> &str {
        let text = &self.text[..usize::from(self.text_length)];
        std::str::from_utf8(text).unwrap_or_default().trim_end()
    }
}

/// All instructions by their code.
pub(super) struct Table {
    plain: Box<[Entry; 256]>,
    /// Those behind the prefixes 0xfb to 0xfe.
    prefixed: [Vec<Entry>; 4],
}

/// The first prefix.
const PREFIX_FIRST: u8 = 0xfb;

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    /// The table, made once for the process.
    pub fn get() -> &'static Table {
        &TABLE
    }

    fn new() -> Self {
        let mut plain = Box::new([const { Entry::UNKNOWN }; 256]);
        let mut prefixed: [Vec<Entry>; 4] = Default::default();
        for &(prefix, code, name, kinds, pops, pushes) in ROWS {
            let entry = Entry::new(name, kinds, pops, pushes);
            let code = code as usize;
            match prefix.and_then(|prefix: u8| prefix.checked_sub(PREFIX_FIRST)) {
                None => plain[code] = entry,
                Some(prefix) => {
                    let entries = &mut prefixed[usize::from(prefix)];
                    if entries.len() <= code {
                        entries.resize(code + 1, Entry::UNKNOWN);
                    }
                    entries[code] = entry;
                }
            }
        }
        for prefix in 0..4 {
            plain[usize::from(PREFIX_FIRST) + prefix].form = Form::Prefix;
        }
        Table { plain, prefixed }
    }

    /// Reads the code of an instruction.
    #[inline(always)]
    pub fn decode(&self, reader: &mut Reader<'_>) -> Result<&Entry, Fault> {
        let byte = reader.byte("an instruction")?;
        let entry = &self.plain[usize::from(byte)];
        match entry.form {
            Form::Prefix | Form::Unknown => self.decode_long(reader, byte),
            _ => Ok(entry),
        }
    }

    #[inline(never)]
    fn decode_long(&self, reader: &mut Reader<'_>, byte: u8) -> Result<&Entry, Fault> {
        let at = reader.position() - 1;
        if byte.wrapping_sub(PREFIX_FIRST) >= 4 {
            return Err(Reader::fault(at, format!("unknown instruction {byte:#04x}")));
        }
        let code = reader.u32("an instruction")?;
        self.prefixed[usize::from(byte - PREFIX_FIRST)]
            .get(code as usize)
            .filter(|entry| entry.form != Form::Unknown)
            .ok_or_else(|| Reader::fault(at, format!("unknown instruction {byte:#04x} {code:#x}")))
    }
}
