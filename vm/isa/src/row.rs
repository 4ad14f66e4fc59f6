//! The rows as data: `Opcode`, and `ROWS` indexed by it.

use crate::types::Kind;
use crate::{Args, Op, Out, ops, show};

/// The proposal that brought an instruction into the standard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are those of the proposals")]
pub enum Feature {
    Mvp,
    SignExtension,
    SaturatingFloatToInt,
    BulkMemory,
    ReferenceTypes,
    Simd,
    RelaxedSimd,
    TailCall,
    Threads,
    FunctionReferences,
    Gc,
    Exceptions,
}

/// What an instruction may do besides computing its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: it may be folded.
    Pure,
    /// It may trap, else nothing.
    Traps,
    /// It reads memory.
    Reads,
    /// It writes memory.
    Writes,
    /// It changes where execution goes on.
    Control,
    /// It moves values between locals, globals and operands.
    Move,
    /// One shared function of the engine does it.
    Runtime,
    /// It works on structures and arrays; no semantics here yet.
    Gc,
}

/// The opcode in the binary format: one byte, or a prefix byte and a LEB128 number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    /// 0xFB (garbage collection), 0xFC, 0xFD (vectors), 0xFE (atomics), or none.
    pub prefix: Option<u8>,
    /// The byte, or the number behind the prefix.
    pub code: u32,
    /// All bytes of it.
    pub bytes: &'static [u8],
}

/// What an immediate is: enough for a parser, an encoder, a decoder and a printer.
///
/// A row lists its immediates in the order of the bytecode. The text format has the same order but
/// for `call_indirect` and `return_call_indirect` (table before type), `memory.init` and
/// `table.init` (memory or table before the segment).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ImmediateKind {
    /// Alignment and offset, and a memory index if that is not 0. The text may leave out each.
    MemArg {
        /// log2 of the access in bytes: what stands in the bytecode if the text says nothing.
        natural_align_log2: u8,
    },
    /// A lane index below `count`.
    Lane {
        /// Number of lanes.
        count: u8,
    },
    /// Sixteen lane indices below 32, a byte each.
    Shuffle,
    /// A memory index; the text may leave it out.
    Memory,
    /// A table index; the text may leave it out.
    Table,
    /// Index of a data segment.
    Data,
    /// Index of an element segment.
    Elem,
    /// Index of a local.
    Local,
    /// Index of a global.
    Global,
    /// Index of a function.
    Func,
    /// Index of a type. In `call_indirect` the text writes a type use.
    Type,
    /// Index of a tag.
    Tag,
    /// A label, as its relative depth.
    Label,
    /// The labels of `br_table`: a count, the labels, the default.
    LabelTable,
    /// Type of a block: empty, one result, or a type index (a signed number of 33 bits).
    BlockType,
    /// The result types of `select`, a vector of one.
    SelectTypes,
    /// A heap type.
    HeapType,
    /// A heap type; the text writes the reference type that does not allow null.
    RefType,
    /// A heap type; the text writes the reference type that allows null.
    RefTypeNull,
    /// Flags, label, two heap types; the text writes the label and two reference types.
    BranchOnCast,
    /// The catch clauses of `try_table`.
    Catches,
    /// Index of a field of the structure type before it.
    Field,
    /// A plain number.
    Count,
    /// A signed number of 32 bits.
    I32,
    /// A signed number of 64 bits.
    I64,
    /// Four bytes.
    F32,
    /// Eight bytes.
    F64,
    /// Sixteen bytes; the text writes a shape and its lanes.
    V128,
    /// A byte that must be 0; the text writes nothing.
    Zero,
}

/// A named immediate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Immediate {
    /// What the row calls it.
    pub name: &'static str,
    /// What it is.
    pub kind: ImmediateKind,
}

/// A row of the table as data.
pub struct Row {
    /// Its index in [`ROWS`].
    pub opcode: Opcode,
    /// Its opcode in the binary format.
    pub encoding: Encoding,
    /// Its name in the text format. Rows that differ in immediates alone share one.
    pub name: &'static str,
    /// Where it comes from.
    pub feature: Feature,
    /// What it may do.
    pub effect: Effect,
    /// Whether its two operands may change places.
    pub commutative: bool,
    /// In the order of the bytecode.
    pub immediates: &'static [Immediate],
    /// The names of its operands. Empty where they depend on the context.
    pub operands: &'static [&'static str],
    /// The types of its operands.
    pub operand_kinds: &'static [Kind],
    /// The type of its result.
    pub result_kind: Option<Kind>,
    /// The semantics as text, where the table has them.
    pub show: Option<fn() -> String>,
}

/// The kind of an immediate, from the word in the row and the instruction's own text name.
const fn kind(word: &str, name: &str) -> ImmediateKind {
    use ImmediateKind::*;
    macro_rules! words {
        ($($kind:ident)*) => { $( if equal(word, stringify!($kind)) { return $kind; } )* };
    }
    words! {
        Shuffle Memory Table Data Elem Local Global Func Type Tag Label LabelTable BlockType SelectTypes
        HeapType RefType RefTypeNull BranchOnCast Catches Field Count I32 I64 F32 F64 V128 Zero
    }
    if equal(word, "MemArg") {
        return MemArg { natural_align_log2: access_log2(name) };
    }
    if equal(word, "Lane") {
        return Lane { count: lane_count(name) };
    }
    panic!("an immediate of unknown kind")
}

const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    a.len() == b.len() && i == a.len()
}

/// The position behind the first `needle` in `text`.
const fn behind(text: &[u8], needle: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at + needle.len() <= text.len() {
        let mut i = 0;
        while i < needle.len() && text[at + i] == needle[i] {
            i += 1;
        }
        if i == needle.len() {
            return Some(at + i);
        }
        at += 1;
    }
    None
}

/// log2 of the bytes that the instruction called `name` reads or writes: the width in bits stands
/// behind `load`, `store`, `rmw` or `wait`; without one it is the width of the type in front.
const fn access_log2(name: &str) -> u8 {
    let text = name.as_bytes();
    let at = match (
        behind(text, b"load"),
        behind(text, b"store"),
        behind(text, b"rmw"),
        behind(text, b"wait"),
    ) {
        (Some(at), _, _, _) | (_, Some(at), _, _) | (_, _, Some(at), _) | (_, _, _, Some(at)) => at,
        _ => return 2, // memory.atomic.notify
    };
    let (first, second, third) = (byte(text, at), byte(text, at + 1), byte(text, at + 2));
    match (first, second, third) {
        // 8x8, 16x4 and 32x2 read 64 bits.
        (b'8', b'x', _) | (b'1', b'6', b'x') | (b'3', b'2', b'x') | (b'6', b'4', _) => 3,
        (b'8', _, _) => 0,
        (b'1', b'6', _) => 1,
        (b'3', b'2', _) => 2,
        _ => match (text[0], text[1], text[2]) {
            (b'v', _, _) => 4,
            (_, b'6', _) => 3,
            _ => 2,
        },
    }
}

const fn byte(text: &[u8], at: usize) -> u8 {
    if at < text.len() { text[at] } else { 0 }
}

/// Lanes of the shape that the instruction called `name` works on.
const fn lane_count(name: &str) -> u8 {
    let text = name.as_bytes();
    let bits = match (behind(text, b"v128.load"), behind(text, b"v128.store")) {
        (Some(at), _) | (_, Some(at)) => byte(text, at),
        _ => byte(text, 1),
    };
    match bits {
        b'8' => 16,
        b'1' => 8,
        b'3' => 4,
        _ => 2,
    }
}

const fn encoding(bytes: &'static [u8]) -> Encoding {
    if bytes.len() == 1 {
        return Encoding { prefix: None, code: bytes[0] as u32, bytes };
    }
    let (mut code, mut i) = (0, 1);
    while i < bytes.len() {
        code |= (bytes[i] as u32 & 0x7F) << (7 * (i - 1));
        i += 1;
    }
    Encoding { prefix: Some(bytes[0]), code, bytes }
}

macro_rules! effect {
    (Commutes) => {
        Effect::Pure
    };
    ($effect:ident) => {
        Effect::$effect
    };
}
macro_rules! commutes {
    (Commutes) => {
        true
    };
    ($effect:ident) => {
        false
    };
}

macro_rules! derive_rows {
    (
        { $($op:ident [$($byte:literal),+] $name:literal $feature:ident $effect:ident
            {$($imm:ident : $imm_ty:ident),*} ($($arg:ident : $ty:ty),*) -> $out:ty
            = $sem:ident $(<$($of:ty),+>)?;)* }
        { $($vop:ident [$($vbyte:literal),+] $vname:literal $vfeature:ident $veffect:ident
            {$($vimm:ident : $vimm_ty:ident),*} ($($varg:ident : $vty:ty),*) -> $vout:ty
            = $vsem:ident $(<$($vof:ty),+>)?;)* }
        { $($other:ident [$($obyte:literal),+] $oname:literal $ofeature:ident $oeffect:ident
            {$($oimm:ident : $oimm_ty:ident),*};)* }
    ) => {
        /// One variant for each row of the table, in its order.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum Opcode {
            $(#[doc = concat!("`", $name, "`")] $op,)*
            $(#[doc = concat!("`", $vname, "`")] $vop,)*
            $(#[doc = concat!("`", $oname, "`")] $other,)*
        }

        /// The table as data, indexed by [`Opcode`].
        pub static ROWS: &[Row] = &[
            $(derive_rows!(@op $op [$($byte),+] $name $feature $effect {$($imm $imm_ty),*} {$($arg),*}),)*
            $(derive_rows!(@op $vop [$($vbyte),+] $vname $vfeature $veffect {$($vimm $vimm_ty),*} {$($varg),*}),)*
            $(Row {
                opcode: Opcode::$other,
                encoding: encoding(&[$($obyte),+]),
                name: $oname,
                feature: Feature::$ofeature,
                effect: Effect::$oeffect,
                commutative: false,
                immediates: &[$(Immediate {
                    name: stringify!($oimm), kind: kind(stringify!($oimm_ty), $oname),
                }),*],
                operands: &[],
                operand_kinds: &[],
                result_kind: None,
                show: None,
            },)*
        ];
    };
    (@op $op:ident [$($byte:literal),+] $name:literal $feature:ident $effect:ident
        {$($imm:ident $imm_ty:ident),*} {$($arg:ident),*}) => {
        Row {
            opcode: Opcode::$op,
            encoding: encoding(&[$($byte),+]),
            name: $name,
            feature: Feature::$feature,
            effect: effect!($effect),
            commutative: commutes!($effect),
            immediates: &[$(Immediate {
                name: stringify!($imm), kind: kind(stringify!($imm_ty), $name),
            }),*],
            operands: &[$(stringify!($arg)),*],
            operand_kinds: <<ops::$op as Op>::Args as Args>::KINDS,
            result_kind: <<ops::$op as Op>::Out as Out>::KIND,
            show: Some(show::formula::<ops::$op>),
        }
    };
}
crate::for_each_row!(derive_rows);
