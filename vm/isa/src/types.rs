//! The types of values inside semantics bodies.
//!
//! A Rust primitive names the type *and* is its value in `Eval`: `i32` stands for Wasm's sign-less
//! i32, so an unsigned operator says so itself (`to_bits`, `lt_u`).
//! `bool`, `i8` and `i16` exist only inside bodies; in a slot a `bool` is the i32 0 or 1.

/// What a back end must know of a type at run time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are the types")]
pub enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    V128,
}

impl Kind {
    /// The name in the text format, where a condition is an i32.
    pub fn name(self) -> &'static str {
        match self {
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::Bool | Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
        }
    }
}

/// A type of a value inside a body.
pub trait Ty: Copy + 'static {
    /// The type as data.
    const KIND: Kind;
}

/// A type that fits into 64 bits; narrower ones are zero-extended.
pub trait Scalar: Ty {
    /// The value's bits.
    fn to_bits(self) -> u64;
    /// The value with these low bits.
    fn from_bits(bits: u64) -> Self;
}

/// An integer, without a sign of its own. Methods are Rust's, wrapping, and named for both signs.
#[allow(missing_docs, reason = "each method is the operator of its name")]
pub trait Int: Scalar + Ord {
    const BITS: u32;
    const MIN: Self;
    fn from_i64(x: i64) -> Self;
    fn to_i64(self) -> i64;
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn and(self, b: Self) -> Self;
    fn or(self, b: Self) -> Self;
    fn xor(self, b: Self) -> Self;
    /// Shift counts are taken modulo the width.
    fn shl(self, b: Self) -> Self;
    fn shr_s(self, b: Self) -> Self;
    fn shr_u(self, b: Self) -> Self;
    fn rotl(self, b: Self) -> Self;
    fn rotr(self, b: Self) -> Self;
    fn clz(self) -> Self;
    fn ctz(self) -> Self;
    fn popcnt(self) -> Self;
    fn div_s(self, b: Self) -> Self;
    fn div_u(self, b: Self) -> Self;
    fn rem_s(self, b: Self) -> Self;
    fn rem_u(self, b: Self) -> Self;
    fn lt_u(self, b: Self) -> bool;
    fn add_sat_s(self, b: Self) -> Self;
    fn add_sat_u(self, b: Self) -> Self;
    fn sub_sat_s(self, b: Self) -> Self;
    fn sub_sat_u(self, b: Self) -> Self;
    /// Half of the sum and one, without a carry lost.
    fn avgr_u(self, b: Self) -> Self;
    fn abs(self) -> Self;
    /// Towards zero; out of range goes to the nearest bound, NaN to 0.
    fn from_f32_s(x: f32) -> Self;
    fn from_f32_u(x: f32) -> Self;
    fn from_f64_s(x: f64) -> Self;
    fn from_f64_u(x: f64) -> Self;
}

/// A float. NaN results are arithmetic NaNs of any payload, as the specification allows.
#[allow(missing_docs, reason = "each method is the operator of its name")]
pub trait Float: Scalar + PartialOrd {
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
    fn from_i64(x: i64) -> Self;
    fn from_u64(x: u64) -> Self;
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, b: Self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
    fn neg(self) -> Self;
    fn copysign(self, b: Self) -> Self;
    fn ceil(self) -> Self;
    fn floor(self) -> Self;
    fn trunc(self) -> Self;
    fn nearest(self) -> Self;
    /// NaN if either operand is NaN; -0 is less than +0.
    fn min(self, b: Self) -> Self;
    fn max(self, b: Self) -> Self;
    fn is_nan(self) -> bool;
    fn to_int_s<T: Int>(self) -> T;
    fn to_int_u<T: Int>(self) -> T;
}

macro_rules! int {
    ($($t:ident $u:ident $kind:ident),*) => {$(
        impl Ty for $t {
            const KIND: Kind = Kind::$kind;
        }
        impl Scalar for $t {
            #[inline(always)] fn to_bits(self) -> u64 { self as $u as u64 }
            #[inline(always)] fn from_bits(bits: u64) -> Self { bits as $t }
        }
        impl Int for $t {
            const BITS: u32 = $t::BITS;
            const MIN: Self = $t::MIN;
            #[inline(always)] fn from_i64(x: i64) -> Self { x as $t }
            #[inline(always)] fn to_i64(self) -> i64 { self as i64 }
            #[inline(always)] fn add(self, b: Self) -> Self { self.wrapping_add(b) }
            #[inline(always)] fn sub(self, b: Self) -> Self { self.wrapping_sub(b) }
            #[inline(always)] fn mul(self, b: Self) -> Self { self.wrapping_mul(b) }
            #[inline(always)] fn and(self, b: Self) -> Self { self & b }
            #[inline(always)] fn or(self, b: Self) -> Self { self | b }
            #[inline(always)] fn xor(self, b: Self) -> Self { self ^ b }
            #[inline(always)] fn shl(self, b: Self) -> Self { self.wrapping_shl(b as u32) }
            #[inline(always)] fn shr_s(self, b: Self) -> Self { self.wrapping_shr(b as u32) }
            #[inline(always)] fn shr_u(self, b: Self) -> Self { (self as $u).wrapping_shr(b as u32) as $t }
            #[inline(always)] fn rotl(self, b: Self) -> Self { self.rotate_left(b as u32 % $t::BITS) }
            #[inline(always)] fn rotr(self, b: Self) -> Self { self.rotate_right(b as u32 % $t::BITS) }
            #[inline(always)] fn clz(self) -> Self { self.leading_zeros() as $t }
            #[inline(always)] fn ctz(self) -> Self { self.trailing_zeros() as $t }
            #[inline(always)] fn popcnt(self) -> Self { self.count_ones() as $t }
            #[inline(always)] fn div_s(self, b: Self) -> Self { self.wrapping_div(b) }
            #[inline(always)] fn div_u(self, b: Self) -> Self { (self as $u / b as $u) as $t }
            #[inline(always)] fn rem_s(self, b: Self) -> Self { self.wrapping_rem(b) }
            #[inline(always)] fn rem_u(self, b: Self) -> Self { (self as $u % b as $u) as $t }
            #[inline(always)] fn lt_u(self, b: Self) -> bool { (self as $u) < b as $u }
            #[inline(always)] fn add_sat_s(self, b: Self) -> Self { self.saturating_add(b) }
            #[inline(always)] fn add_sat_u(self, b: Self) -> Self { (self as $u).saturating_add(b as $u) as $t }
            #[inline(always)] fn sub_sat_s(self, b: Self) -> Self { self.saturating_sub(b) }
            #[inline(always)] fn sub_sat_u(self, b: Self) -> Self { (self as $u).saturating_sub(b as $u) as $t }
            #[inline(always)] fn avgr_u(self, b: Self) -> Self { ((self as $u as u64 + b as $u as u64 + 1) >> 1) as $t }
            #[inline(always)] fn abs(self) -> Self { self.wrapping_abs() }
            #[inline(always)] fn from_f32_s(x: f32) -> Self { x as $t }
            #[inline(always)] fn from_f32_u(x: f32) -> Self { x as $u as $t }
            #[inline(always)] fn from_f64_s(x: f64) -> Self { x as $t }
            #[inline(always)] fn from_f64_u(x: f64) -> Self { x as $u as $t }
        }
    )*};
}
int!(i8 u8 I8, i16 u16 I16, i32 u32 I32, i64 u64 I64);

/// A NaN of the quiet kind for a NaN, anything else as it is. Not `x + 0.0`: LLVM drops that where it
/// knows that `x` is not -0.
#[inline(always)]
fn quiet<T: Copy + PartialOrd + std::ops::Add<Output = T>>(x: T) -> T {
    if x.partial_cmp(&x).is_none() { x + x } else { x }
}

macro_rules! float {
    ($($t:ident $u:ident $kind:ident $whole:literal $to_s:ident $to_u:ident),*) => {$(
        impl Ty for $t {
            const KIND: Kind = Kind::$kind;
        }
        impl Scalar for $t {
            #[inline(always)] fn to_bits(self) -> u64 { $t::to_bits(self) as u64 }
            #[inline(always)] fn from_bits(bits: u64) -> Self { $t::from_bits(bits as $u) }
        }
        impl Float for $t {
            #[inline(always)] fn from_f64(x: f64) -> Self { x as $t }
            #[inline(always)] fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)] fn from_i64(x: i64) -> Self { x as $t }
            #[inline(always)] fn from_u64(x: u64) -> Self { x as $t }
            #[inline(always)] fn add(self, b: Self) -> Self { self + b }
            #[inline(always)] fn sub(self, b: Self) -> Self { self - b }
            #[inline(always)] fn mul(self, b: Self) -> Self { self * b }
            #[inline(always)] fn div(self, b: Self) -> Self { self / b }
            #[inline(always)] fn sqrt(self) -> Self { $t::sqrt(self) }
            #[inline(always)] fn abs(self) -> Self { $t::abs(self) }
            #[inline(always)] fn neg(self) -> Self { -self }
            #[inline(always)] fn copysign(self, b: Self) -> Self { $t::copysign(self, b) }
            // Rounding without a library call, which is what Rust's own methods are at the baseline of
            // x86-64. Adding and subtracting 2^(digits - 1) rounds as the addition does: ties to even.
            // From there on every float is whole, and a NaN is made quiet.
            #[inline(always)]
            fn nearest(self) -> Self {
                let size = $t::abs(self);
                if size < $whole { $t::copysign((size + $whole) - $whole, self) } else { quiet(self) }
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                let size = $t::abs(self);
                let rounded = (size + $whole) - $whole;
                let down = if rounded > size { rounded - 1.0 } else { rounded };
                if size < $whole { $t::copysign(down, self) } else { quiet(self) }
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                let rounded = Float::nearest(self);
                let up = if rounded < self { rounded + 1.0 } else { rounded };
                quiet($t::copysign(up, self))
            }
            #[inline(always)]
            fn floor(self) -> Self {
                let rounded = Float::nearest(self);
                let down = if rounded > self { rounded - 1.0 } else { rounded };
                quiet($t::copysign(down, self))
            }
            // Rust's `min` drops NaN and may return either zero; Wasm does neither. Choices in place of
            // branches, so that four lanes stay one vector; a sum with a NaN is a quiet NaN.
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                let less = if self < b { self } else { b };
                let both = $t::from_bits($t::to_bits(self) | $t::to_bits(b));
                let less = if self == b { both } else { less };
                let sum = self + b;
                if self.is_nan() | b.is_nan() { sum } else { less }
            }
            #[inline(always)]
            fn max(self, b: Self) -> Self {
                let more = if self > b { self } else { b };
                let both = $t::from_bits($t::to_bits(self) & $t::to_bits(b));
                let more = if self == b { both } else { more };
                let sum = self + b;
                if self.is_nan() | b.is_nan() { sum } else { more }
            }
            #[inline(always)] fn is_nan(self) -> bool { $t::is_nan(self) }
            #[inline(always)] fn to_int_s<T: Int>(self) -> T { T::$to_s(self) }
            #[inline(always)] fn to_int_u<T: Int>(self) -> T { T::$to_u(self) }
        }
    )*};
}
float!(
    f32 u32 F32 8_388_608.0 from_f32_s from_f32_u,
    f64 u64 F64 4_503_599_627_370_496.0 from_f64_s from_f64_u
);

impl Ty for bool {
    const KIND: Kind = Kind::Bool;
}
impl Scalar for bool {
    #[inline(always)]
    fn to_bits(self) -> u64 {
        self as u64
    }
    #[inline(always)]
    fn from_bits(bits: u64) -> Self {
        bits as u32 != 0
    }
}

/// The host's vector type: with `[u8; 16]` or `u128` LLVM works lane by lane in integer registers
/// (25 instructions for i32x4.add in place of 1).
#[cfg(target_arch = "x86_64")]
pub type Vector = std::arch::x86_64::__m128i;
/// The host's vector type.
#[cfg(target_arch = "aarch64")]
pub type Vector = std::arch::aarch64::uint8x16_t;
/// The host has no vector type that is known here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub type Vector = [u64; 2];

/// 128 bits; lanes are a view that the operator chooses.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct V128(pub Vector);

impl Ty for V128 {
    const KIND: Kind = Kind::V128;
}

impl V128 {
    /// From 16 bytes, the first of which is the lowest.
    #[inline(always)]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytemuck::cast(bytes))
    }
    /// The 16 bytes.
    #[inline(always)]
    pub fn to_bytes(self) -> [u8; 16] {
        bytemuck::cast(self.0)
    }
}

/// How an operator cuts a v128 into lanes.
pub trait Shape: 'static {
    /// The type of a lane.
    type Lane: Scalar;
    /// Its lanes as an array.
    type Lanes: bytemuck::Pod + AsRef<[Self::Lane]> + AsMut<[Self::Lane]>;
    /// The type of a lane outside of the vector: i32 for the narrow ones.
    type Wide: Scalar;
    /// Number of lanes.
    const COUNT: usize;
    /// The name in the text format.
    const NAME: &'static str;
    /// The lanes of `v`.
    #[inline(always)]
    fn lanes(v: V128) -> Self::Lanes {
        bytemuck::cast(v.0)
    }
    /// The vector of these lanes.
    #[inline(always)]
    fn vector(lanes: Self::Lanes) -> V128 {
        V128(bytemuck::cast(lanes))
    }
    /// Makes a lane from each index.
    fn from_fn(f: impl FnMut(usize) -> Self::Lane) -> V128;
}

/// A shape of integers.
pub trait IntShape: Shape<Lane = Self::Int> {
    /// The type of a lane.
    type Int: Int;
    /// The shape with lanes of twice the width.
    type Wider: IntShape;
    /// The shape with lanes of half the width.
    type Narrower: IntShape;
}

/// A shape of floats.
pub trait FloatShape: Shape<Lane = Self::Float> {
    /// The type of a lane.
    type Float: Float;
    /// The shape of a comparison's result.
    type Mask: IntShape;
}

macro_rules! shapes {
    ($($name:ident $text:literal [$lane:ident; $count:literal] $wide:ident;)*) => {$(
        #[doc = concat!("`", $text, "`")]
        pub struct $name;
        impl Shape for $name {
            type Lane = $lane;
            type Lanes = [$lane; $count];
            type Wide = $wide;
            const COUNT: usize = $count;
            const NAME: &'static str = $text;
            #[inline(always)]
            fn from_fn(mut f: impl FnMut(usize) -> $lane) -> V128 {
                // A loop: `array::from_fn` is not always inlined for 16 lanes.
                let mut lanes = [<$lane>::default(); $count];
                let mut i = 0;
                while i < $count {
                    lanes[i] = f(i);
                    i += 1;
                }
                Self::vector(lanes)
            }
        }
    )*};
}
shapes! {
    I8x16 "i8x16" [i8; 16] i32;
    I16x8 "i16x8" [i16; 8] i32;
    I32x4 "i32x4" [i32; 4] i32;
    I64x2 "i64x2" [i64; 2] i64;
    F32x4 "f32x4" [f32; 4] f32;
    F64x2 "f64x2" [f64; 2] f64;
}
macro_rules! int_shapes {
    ($($name:ident $int:ident $narrower:ident $wider:ident;)*) => {$(
        impl IntShape for $name {
            type Int = $int;
            type Wider = $wider;
            type Narrower = $narrower;
        }
    )*};
}
int_shapes! {
    I8x16 i8 I8x16 I16x8;
    I16x8 i16 I8x16 I32x4;
    I32x4 i32 I16x8 I64x2;
    I64x2 i64 I32x4 I64x2;
}
impl FloatShape for F32x4 {
    type Float = f32;
    type Mask = I32x4;
}
impl FloatShape for F64x2 {
    type Float = f64;
    type Mask = I64x2;
}
