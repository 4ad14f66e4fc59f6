//! The rows of the instruction table, laid out for printing.
//!
//! One entry is one cache line: the name padded to a fixed length, how its immediates are put, and
//! what it takes from and leaves on the operand stack.

use std::sync::LazyLock;

use brant_isa::{Immediate, ImmediateKind, Opcode, ROWS, Row};

use super::reader::{Fault, Reader};

/// Room for a name; the longest has 36 bytes.
const TEXT_BYTES: usize = 40;

/// An operand count that immediates or the context decide.
pub(crate) const VARIES: u8 = u8::MAX;

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
pub(crate) struct Entry {
    /// The name, and a space where an immediate always follows.
    pub(super) text: [u8; TEXT_BYTES],
    pub(super) text_length: u8,
    pub(super) form: Form,
    /// Base-2 logarithm of the natural alignment.
    pub(super) align_log2: u8,
    /// How many operands it takes and leaves, or [`VARIES`].
    pub(super) pops: u8,
    pub(super) pushes: u8,
    pub(crate) opcode: Opcode,
}

impl Entry {
    const UNKNOWN: Entry = Entry {
        text: [0; TEXT_BYTES],
        text_length: 0,
        form: Form::Unknown,
        align_log2: 0,
        pops: VARIES,
        pushes: VARIES,
        opcode: Opcode::Unreachable,
    };

    fn new(row: &Row) -> Self {
        use ImmediateKind as Kind;
        let first = row.immediates.first().map(|immediate| immediate.kind);
        let is_only = row.immediates.len() == 1;
        let form = match (row.opcode, first) {
            (Opcode::Else, _) => Form::Else,
            (Opcode::End, _) => Form::End,
            (_, None) => Form::Plain,
            (_, Some(Kind::Local)) if is_only => Form::Local,
            (_, Some(Kind::Label)) if is_only => Form::Label,
            (_, Some(Kind::I32)) if is_only => Form::I32,
            (_, Some(Kind::MemArg { .. })) if is_only => Form::MemArg,
            (_, Some(Kind::BlockType)) if is_only => Form::Block,
            _ => Form::Listed,
        };
        let align_log2 = match first {
            Some(Kind::MemArg { natural_align_log2 }) => natural_align_log2,
            _ => 0,
        };
        // These put their own space, because the text may leave them out.
        let is_optional = matches!(
            first,
            None | Some(
                Kind::MemArg { .. } | Kind::Memory | Kind::Table | Kind::BlockType | Kind::Zero
            )
        );
        let mut text = [b' '; TEXT_BYTES];
        text[..row.name.len()].copy_from_slice(row.name.as_bytes());
        let text_length = row.name.len() as u8 + u8::from(!is_optional);
        let (pops, pushes) = arity(row);
        Entry { text, text_length, form, align_log2, pops, pushes, opcode: row.opcode }
    }

    /// The name.
    pub(crate) fn name(&self) -> &'static str {
        self.opcode.name()
    }

    /// What follows the name, in the order of the bytecode.
    pub(super) fn immediates(&self) -> &'static [Immediate] {
        self.opcode.row().immediates
    }

    /// The natural alignment in bytes, if it has one.
    pub(crate) fn natural_align_bytes(&self) -> Option<u32> {
        match self.immediates().first()?.kind {
            ImmediateKind::MemArg { natural_align_log2 } => Some(1 << natural_align_log2),
            _ => None,
        }
    }

    /// How many lanes it can choose from, if it chooses.
    pub(crate) fn lane_count(&self) -> Option<u8> {
        self.immediates().iter().find_map(|immediate| match immediate.kind {
            ImmediateKind::Lane { count } => Some(count),
            ImmediateKind::Shuffle => Some(32),
            _ => None,
        })
    }
}

/// How many operands an instruction takes and leaves.
///
/// Operators say it in their rows; what the others do is only known here, because only the
/// folded form asks for it.
fn arity(row: &Row) -> (u8, u8) {
    use Opcode as O;
    if row.show.is_some() {
        return (row.operand_kinds.len() as u8, u8::from(row.result_kind.is_some()));
    }
    match row.opcode {
        O::Unreachable | O::Nop | O::DataDrop | O::ElemDrop | O::AtomicFence => (0, 0),
        O::LocalGet
        | O::GlobalGet
        | O::RefNull
        | O::RefFunc
        | O::MemorySize
        | O::TableSize
        | O::I32Const
        | O::I64Const
        | O::F32Const
        | O::F64Const
        | O::V128Const
        | O::StructNewDefault => (0, 1),
        O::Drop | O::LocalSet | O::GlobalSet | O::ThrowRef => (1, 0),
        O::LocalTee
        | O::RefIsNull
        | O::RefAsNonNull
        | O::MemoryGrow
        | O::TableGet
        | O::StructGet
        | O::StructGetS
        | O::StructGetU
        | O::ArrayNewDefault
        | O::ArrayLen
        | O::RefTest
        | O::RefTestNull
        | O::RefCast
        | O::RefCastNull
        | O::AnyConvertExtern
        | O::ExternConvertAny
        | O::RefI31
        | O::I31GetS
        | O::I31GetU => (1, 1),
        O::TableSet | O::StructSet => (2, 0),
        O::RefEq
        | O::TableGrow
        | O::ArrayNew
        | O::ArrayNewData
        | O::ArrayNewElem
        | O::ArrayGet
        | O::ArrayGetS
        | O::ArrayGetU
        | O::MemoryAtomicNotify => (2, 1),
        O::MemoryInit
        | O::MemoryCopy
        | O::MemoryFill
        | O::TableInit
        | O::TableCopy
        | O::TableFill
        | O::ArraySet => (3, 0),
        O::Select | O::SelectTyped | O::MemoryAtomicWait32 | O::MemoryAtomicWait64 => (3, 1),
        O::ArrayFill | O::ArrayInitData | O::ArrayInitElem => (4, 0),
        O::ArrayCopy => (5, 0),
        _ if row.name.contains(".atomic.load") => (1, 1),
        _ if row.name.contains(".atomic.store") => (2, 0),
        _ if row.name.contains(".cmpxchg") => (3, 1),
        _ if row.name.contains(".atomic.rmw") => (2, 1),
        _ => (VARIES, VARIES),
    }
}

/// All instructions by their code.
pub(crate) struct Table {
    plain: Box<[Entry; 256]>,
    /// Those behind the prefixes 0xfb to 0xfe.
    prefixed: [Vec<Entry>; 4],
}

/// The first prefix.
const PREFIX_FIRST: u8 = 0xfb;

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    /// The table, made once for the process.
    pub(crate) fn get() -> &'static Table {
        &TABLE
    }

    fn new() -> Self {
        let mut plain = Box::new([const { Entry::UNKNOWN }; 256]);
        let mut prefixed: [Vec<Entry>; 4] = Default::default();
        for row in ROWS {
            let code = row.encoding.code as usize;
            match row.encoding.prefix.and_then(|prefix| prefix.checked_sub(PREFIX_FIRST)) {
                None => plain[code] = Entry::new(row),
                Some(prefix) => {
                    let entries = &mut prefixed[usize::from(prefix)];
                    if entries.len() <= code {
                        entries.resize(code + 1, Entry::UNKNOWN);
                    }
                    entries[code] = Entry::new(row);
                }
            }
        }
        for prefix in 0..4 {
            plain[usize::from(PREFIX_FIRST) + prefix].form = Form::Prefix;
        }
        Table { plain, prefixed }
    }

    /// The instruction at an offset of a module.
    pub(crate) fn at(&self, bytes: &[u8], offset: usize) -> Option<&Entry> {
        self.decode(&mut Reader::at(bytes, offset)).ok()
    }

    /// Reads the code of an instruction.
    #[inline(always)]
    pub(super) fn decode(&self, reader: &mut Reader<'_>) -> Result<&Entry, Fault> {
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
