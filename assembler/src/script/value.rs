//! Values in scripts: arguments of calls, and patterns for results.

use crate::Span;
use crate::lexer::Kind;
use crate::parse::{Assembler, Parse};

/// How deep `(either ...)` may be nested; nobody needs more than one level.
const MAX_EITHER_DEPTH: usize = 16;

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `(i32.const n)`
    I32(i32),
    /// `(i64.const n)`
    I64(i64),
    /// `(f32.const x)`, as bits.
    F32(u32),
    /// `(f64.const x)`, as bits.
    F64(u64),
    /// `(v128.const ...)`, as bytes in the order of memory.
    V128([u8; 16]),
    /// `(ref.null type)`
    RefNull(HeapType),
    /// `(ref.extern n)`: a host's value number `n`.
    RefExtern(u32),
    /// `(ref.host n)`: the same as a reference of the type `any`.
    RefHost(u32),
}

/// A type of references, by the word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the text format")]
pub enum HeapType {
    Func,
    Extern,
    Any,
    Eq,
    I31,
    Struct,
    Array,
    Exn,
    None,
    NoExtern,
    NoFunc,
    NoExn,
    /// A type with an index; what it is called is lost.
    Index,
}

/// A pattern for a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This number.
    I32(i32),
    /// This number.
    I64(i64),
    /// These bits, or some NaN.
    F32(FloatPattern<u32>),
    /// These bits, or some NaN.
    F64(FloatPattern<u64>),
    /// Lanes.
    V128(VectorPattern),
    /// A null reference, of a type if one is given.
    RefNull(Option<HeapType>),
    /// A reference to the host's value with a number, or to any.
    RefExtern(Option<u32>),
    /// The same as a reference of the type `any`.
    RefHost(u32),
    /// A reference to the function with an index, or to any.
    RefFunc(Option<u32>),
    /// A reference, not null, to something of a type.
    Ref(HeapType),
    /// One of these.
    Either(Vec<Expected>),
}

/// A pattern for a float, whose bits are `B`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatPattern<B> {
    /// These bits.
    Bits(B),
    /// A NaN with the highest bit of the payload only.
    CanonicalNan,
    /// A NaN with the highest bit of the payload.
    ArithmeticNan,
}

/// A pattern for a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorPattern {
    /// Lanes of 8 bits.
    I8x16([u8; 16]),
    /// Lanes of 16 bits.
    I16x8([u16; 8]),
    /// Lanes of 32 bits.
    I32x4([u32; 4]),
    /// Lanes of 64 bits.
    I64x2([u64; 2]),
    /// Floats of 32 bits.
    F32x4([FloatPattern<u32>; 4]),
    /// Floats of 64 bits.
    F64x2([FloatPattern<u64>; 2]),
}

const HEAP_TYPES: [(&str, HeapType); 12] = [
    ("func", HeapType::Func),
    ("extern", HeapType::Extern),
    ("any", HeapType::Any),
    ("eq", HeapType::Eq),
    ("i31", HeapType::I31),
    ("struct", HeapType::Struct),
    ("array", HeapType::Array),
    ("exn", HeapType::Exn),
    ("none", HeapType::None),
    ("noextern", HeapType::NoExtern),
    ("nofunc", HeapType::NoFunc),
    ("noexn", HeapType::NoExn),
];

const ARGUMENTS: [&str; 8] = [
    "i32.const",
    "i64.const",
    "f32.const",
    "f64.const",
    "v128.const",
    "ref.null",
    "ref.extern",
    "ref.host",
];

const RESULTS: [&str; 15] = [
    "i32.const",
    "i64.const",
    "f32.const",
    "f64.const",
    "v128.const",
    "ref.null",
    "ref.extern",
    "ref.host",
    "ref.func",
    "ref.any",
    "ref.eq",
    "ref.i31",
    "ref.struct",
    "ref.array",
    "either",
];

/// Reads an argument behind its parenthesis at `open`, with the one that closes it.
pub(super) fn argument(asm: &mut Assembler<'_>, open: Span) -> Parse<Argument> {
    let keyword = asm.next();
    let argument = match keyword.span.of(asm.text) {
        b"i32.const" => Argument::I32(i32::from_le_bytes(integer(asm, 32)?)),
        b"i64.const" => Argument::I64(i64::from_le_bytes(integer(asm, 64)?)),
        b"f32.const" => Argument::F32(u32::from_le_bytes(float(asm)?)),
        b"f64.const" => Argument::F64(u64::from_le_bytes(float(asm)?)),
        b"v128.const" => {
            let mut bytes = Vec::with_capacity(16);
            asm.v128_constant(&mut bytes)?;
            Argument::V128(array(&bytes))
        }
        b"ref.null" => Argument::RefNull(heap_type(asm)?),
        b"ref.extern" => Argument::RefExtern(host_number(asm)?),
        b"ref.host" => Argument::RefHost(host_number(asm)?),
        _ => {
            let error = asm.unknown_keyword(keyword, "argument", &ARGUMENTS);
            return Err(asm.fail(error));
        }
    };
    asm.close(open, &[])?;
    Ok(argument)
}

/// Reads a pattern behind its parenthesis at `open`, with the one that closes it.
pub(super) fn expected(asm: &mut Assembler<'_>, open: Span, depth: usize) -> Parse<Expected> {
    let keyword = asm.next();
    let optional_number = |asm: &mut Assembler<'_>| match asm.peek().kind {
        Kind::Number => host_number(asm).map(Some),
        _ => Ok(None),
    };
    let expected = match keyword.span.of(asm.text) {
        b"i32.const" => Expected::I32(i32::from_le_bytes(integer(asm, 32)?)),
        b"i64.const" => Expected::I64(i64::from_le_bytes(integer(asm, 64)?)),
        b"f32.const" => Expected::F32(float_pattern(asm, u32::from_le_bytes)?),
        b"f64.const" => Expected::F64(float_pattern(asm, u64::from_le_bytes)?),
        b"v128.const" => Expected::V128(vector_pattern(asm)?),
        b"ref.null" if asm.peek().kind == Kind::Close => Expected::RefNull(None),
        b"ref.null" => Expected::RefNull(Some(heap_type(asm)?)),
        b"ref.extern" => Expected::RefExtern(optional_number(asm)?),
        b"ref.host" => Expected::RefHost(host_number(asm)?),
        b"ref.func" => Expected::RefFunc(optional_number(asm)?),
        b"ref.any" => Expected::Ref(HeapType::Any),
        b"ref.eq" => Expected::Ref(HeapType::Eq),
        b"ref.i31" => Expected::Ref(HeapType::I31),
        b"ref.struct" => Expected::Ref(HeapType::Struct),
        b"ref.array" => Expected::Ref(HeapType::Array),
        b"either" if depth < MAX_EITHER_DEPTH => {
            let mut cases = Vec::new();
            while let Some(open) = asm.take(Kind::Open) {
                cases.push(self::expected(asm, open, depth + 1)?);
            }
            Expected::Either(cases)
        }
        _ => {
            let error = asm.unknown_keyword(keyword, "result", &RESULTS);
            return Err(asm.fail(error));
        }
    };
    asm.close(open, &[])?;
    Ok(expected)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().unwrap_or([0; N])
}

fn integer<const N: usize>(asm: &mut Assembler<'_>, bits: u32) -> Parse<[u8; N]> {
    let mut bytes = Vec::with_capacity(8);
    asm.integer_constant(&mut bytes, bits)?;
    Ok(array(&bytes))
}

fn float<const N: usize>(asm: &mut Assembler<'_>) -> Parse<[u8; N]> {
    let mut bytes = Vec::with_capacity(8);
    asm.float_constant(&mut bytes, N)?;
    Ok(array(&bytes))
}

fn host_number(asm: &mut Assembler<'_>) -> Parse<u32> {
    asm.unsigned(u64::from(u32::MAX), "a 32-bit number").map(|number| number as u32)
}

fn heap_type(asm: &mut Assembler<'_>) -> Parse<HeapType> {
    let token = asm.next();
    if matches!(token.kind, Kind::Number | Kind::Id) {
        return Ok(HeapType::Index);
    }
    let word = token.span.of(asm.text);
    match HEAP_TYPES.iter().find(|(name, _)| name.as_bytes() == word) {
        Some((_, heap_type)) => Ok(*heap_type),
        None => {
            let error = asm.unknown_keyword(token, "heap type", &HEAP_TYPES.map(|(name, _)| name));
            Err(asm.fail(error))
        }
    }
}

fn float_pattern<const N: usize, B>(
    asm: &mut Assembler<'_>, bits: impl Fn([u8; N]) -> B,
) -> Parse<FloatPattern<B>> {
    match () {
        () if asm.take_keyword(b"nan:canonical") => Ok(FloatPattern::CanonicalNan),
        () if asm.take_keyword(b"nan:arithmetic") => Ok(FloatPattern::ArithmeticNan),
        () => float(asm).map(bits).map(FloatPattern::Bits),
    }
}

fn vector_pattern(asm: &mut Assembler<'_>) -> Parse<VectorPattern> {
    let shape = asm.peek();
    match shape.span.of(asm.text) {
        b"f32x4" => {
            asm.next();
            let mut lanes = [FloatPattern::Bits(0); 4];
            for lane in &mut lanes {
                *lane = float_pattern(asm, u32::from_le_bytes)?;
            }
            return Ok(VectorPattern::F32x4(lanes));
        }
        b"f64x2" => {
            asm.next();
            let mut lanes = [FloatPattern::Bits(0); 2];
            for lane in &mut lanes {
                *lane = float_pattern(asm, u64::from_le_bytes)?;
            }
            return Ok(VectorPattern::F64x2(lanes));
        }
        _ => {}
    }
    let mut bytes = Vec::with_capacity(16);
    asm.v128_constant(&mut bytes)?;
    let bytes: [u8; 16] = array(&bytes);
    let part = |lane: usize, len: usize| &bytes[lane * len..(lane + 1) * len];
    Ok(match shape.span.of(asm.text) {
        b"i8x16" => VectorPattern::I8x16(bytes),
        b"i16x8" => {
            VectorPattern::I16x8(std::array::from_fn(|i| u16::from_le_bytes(array(part(i, 2)))))
        }
        b"i32x4" => {
            VectorPattern::I32x4(std::array::from_fn(|i| u32::from_le_bytes(array(part(i, 4)))))
        }
        _ => VectorPattern::I64x2(std::array::from_fn(|i| u64::from_le_bytes(array(part(i, 8))))),
    })
}

impl FloatPattern<u32> {
    /// Whether a float with these bits fits.
    pub fn matches(self, bits: u32) -> bool {
        match self {
            FloatPattern::Bits(expected) => bits == expected,
            FloatPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
            FloatPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        }
    }
}

impl FloatPattern<u64> {
    /// Whether a float with these bits fits.
    pub fn matches(self, bits: u64) -> bool {
        match self {
            FloatPattern::Bits(expected) => bits == expected,
            FloatPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8_0000_0000_0000,
            FloatPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        }
    }
}

impl VectorPattern {
    /// Whether a vector with these bytes, in the order of memory, fits.
    pub fn matches(self, bytes: [u8; 16]) -> bool {
        let wide = u128::from_le_bytes(bytes);
        match self {
            VectorPattern::I8x16(lanes) => lanes == bytes,
            VectorPattern::I16x8(lanes) => (0..8).all(|i| lanes[i] == (wide >> (16 * i)) as u16),
            VectorPattern::I32x4(lanes) => (0..4).all(|i| lanes[i] == (wide >> (32 * i)) as u32),
            VectorPattern::I64x2(lanes) => (0..2).all(|i| lanes[i] == (wide >> (64 * i)) as u64),
            VectorPattern::F32x4(lanes) => {
                (0..4).all(|i| lanes[i].matches((wide >> (32 * i)) as u32))
            }
            VectorPattern::F64x2(lanes) => {
                (0..2).all(|i| lanes[i].matches((wide >> (64 * i)) as u64))
            }
        }
    }
}
