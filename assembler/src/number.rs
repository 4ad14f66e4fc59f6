//! What numbers mean.
//!
//! Integers and floats are read from the bytes of a token.
//! Floats are rounded once, to the nearest even, from however many digits there are.
//!
//! Spec: Text Format, Values, Integers and Floating-Point.

use crate::string::hex;

/// Why a token is not the number wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberError {
    /// It is no number of this kind at all.
    Malformed,
    /// It does not fit.
    OutOfRange,
}

use NumberError::{Malformed, OutOfRange};

/// Reads `num` or `0x hexnum`: the value, or `OutOfRange` above 64 bits.
fn magnitude(bytes: &[u8]) -> Result<u64, NumberError> {
    let (digits, radix) = match bytes.strip_prefix(b"0x") {
        Some(digits) => (digits, 16),
        None => (bytes, 10),
    };
    let mut value = Some(0u64);
    let mut digit_before = false;
    for &byte in digits {
        match hex(byte) {
            Some(digit) if u64::from(digit) < radix => {
                value = value
                    .and_then(|value| value.checked_mul(radix))
                    .and_then(|value| value.checked_add(u64::from(digit)));
                digit_before = true;
            }
            _ if byte == b'_' && digit_before => digit_before = false,
            _ => return Err(Malformed),
        }
    }
    if !digit_before {
        return Err(Malformed);
    }
    value.ok_or(OutOfRange)
}

/// Reads an unsigned integer, without a sign, of at most `max`.
pub(crate) fn unsigned(bytes: &[u8], max: u64) -> Result<u64, NumberError> {
    match magnitude(bytes)? {
        value if value <= max => Ok(value),
        _ => Err(OutOfRange),
    }
}

/// Reads an integer of `bits` bits that may be written signed or unsigned, as two's complement.
pub(crate) fn integer(bytes: &[u8], bits: u32) -> Result<u64, NumberError> {
    let max = u64::MAX >> (64 - bits);
    match bytes.first() {
        Some(b'-') => {
            let value = magnitude(&bytes[1..])?;
            if value > 1 << (bits - 1) {
                return Err(OutOfRange);
            }
            Ok(value.wrapping_neg() & max)
        }
        Some(b'+') => unsigned(&bytes[1..], max),
        _ => unsigned(bytes, max),
    }
}

/// The form of an IEEE 754 number.
#[derive(Clone, Copy)]
struct Format {
    fraction_bits: u32,
    exponent_bits: u32,
}

const F32: Format = Format { fraction_bits: 23, exponent_bits: 8 };
const F64: Format = Format { fraction_bits: 52, exponent_bits: 11 };

impl Format {
    fn bias(self) -> i64 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    fn infinity(self) -> u64 {
        ((1 << self.exponent_bits) - 1) << self.fraction_bits
    }

    fn sign(self) -> u64 {
        1 << (self.fraction_bits + self.exponent_bits)
    }
}

/// Reads an f32 as its bits.
pub(crate) fn f32_bits(bytes: &[u8]) -> Result<u32, NumberError> {
    let decimal = |text: &str| text.parse::<f32>().map(|value| u64::from(value.to_bits()));
    float(bytes, F32, |text| decimal(text).map_err(|_| Malformed)).map(|bits| bits as u32)
}

/// Reads an f64 as its bits.
pub(crate) fn f64_bits(bytes: &[u8]) -> Result<u64, NumberError> {
    let decimal = |text: &str| text.parse::<f64>().map(f64::to_bits);
    float(bytes, F64, |text| decimal(text).map_err(|_| Malformed))
}

fn float(
    bytes: &[u8], format: Format, decimal: impl Fn(&str) -> Result<u64, NumberError>,
) -> Result<u64, NumberError> {
    let (sign, rest) = match bytes {
        [b'-', rest @ ..] => (format.sign(), rest),
        [b'+', rest @ ..] => (0, rest),
        _ => (0, bytes),
    };
    let bits = match rest {
        b"inf" => format.infinity(),
        b"nan" => format.infinity() | 1 << (format.fraction_bits - 1),
        [b'n', b'a', b'n', b':', b'0', b'x', payload @ ..] => {
            let mut digits = b"0x".to_vec();
            digits.extend_from_slice(payload);
            match unsigned(&digits, (1 << format.fraction_bits) - 1)? {
                0 => return Err(OutOfRange),
                payload => format.infinity() | payload,
            }
        }
        [b'0', b'x', digits @ ..] => hexadecimal(digits, format)?,
        _ => {
            check_decimal(rest)?;
            let plain: String =
                rest.iter().filter(|&&byte| byte != b'_').map(|&byte| char::from(byte)).collect();
            let bits = decimal(&plain)?;
            if bits == format.infinity() {
                return Err(OutOfRange);
            }
            bits
        }
    };
    Ok(sign | bits)
}

/// Checks `num ('.' num?)? (('e'|'E') sign? num)?`.
fn check_decimal(bytes: &[u8]) -> Result<(), NumberError> {
    let mut rest = digits(bytes, false)?;
    if let [b'.', after @ ..] = rest {
        rest = match after {
            [b'0'..=b'9', ..] => digits(after, false)?,
            _ => after,
        };
    }
    if let [b'e' | b'E', after @ ..] = rest {
        rest =
            digits(after.strip_prefix(b"-").or(after.strip_prefix(b"+")).unwrap_or(after), false)?;
    }
    if rest.is_empty() { Ok(()) } else { Err(Malformed) }
}

/// What follows one `num`, which must be there.
fn digits(bytes: &[u8], hexadecimal: bool) -> Result<&[u8], NumberError> {
    let is_digit =
        |byte: u8| if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
    let mut digit_before = false;
    let mut end = 0;
    for &byte in bytes {
        if is_digit(byte) {
            digit_before = true;
        } else if byte == b'_' && digit_before {
            digit_before = false;
        } else {
            break;
        }
        end += 1;
    }
    if digit_before { Ok(&bytes[end..]) } else { Err(Malformed) }
}

/// Reads a hexadecimal float without its sign and `0x`.
fn hexadecimal(bytes: &[u8], format: Format) -> Result<u64, NumberError> {
    let mut rest = digits(bytes, true)?;
    let whole = &bytes[..bytes.len() - rest.len()];
    let mut fraction: &[u8] = &[];
    if let [b'.', after @ ..] = rest {
        rest = after;
        if after.first().is_some_and(u8::is_ascii_hexdigit) {
            rest = digits(after, true)?;
            fraction = &after[..after.len() - rest.len()];
        }
    }
    let mut exponent = 0i64;
    if let [b'p' | b'P', after @ ..] = rest {
        let (negative, digits_from) = match after {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            _ => (false, after),
        };
        rest = digits(digits_from, false)?;
        for &byte in digits_from.iter().filter(|&&byte| byte != b'_') {
            exponent = (exponent * 10 + i64::from(byte - b'0')).min(1 << 40);
        }
        if negative {
            exponent = -exponent;
        }
    }
    if !rest.is_empty() {
        return Err(Malformed);
    }
    // The first 64 bits, and whether any bit behind them is set.
    let mut significand = 0u64;
    let mut sticky = false;
    let places = whole.iter().map(|&byte| (byte, 0)).chain(fraction.iter().map(|&byte| (byte, -4)));
    for (byte, shift) in places {
        let Some(digit) = hex(byte) else { continue };
        if significand >> 60 == 0 {
            significand = significand << 4 | u64::from(digit);
            exponent += shift;
        } else {
            sticky |= digit != 0;
            exponent += shift + 4;
        }
    }
    round(significand, exponent, sticky, format)
}

/// `significand * 2^exponent`, a little more where `sticky`, as bits without a sign.
fn round(
    significand: u64, exponent: i64, sticky: bool, format: Format,
) -> Result<u64, NumberError> {
    if significand == 0 {
        return Ok(0);
    }
    let zeros = significand.leading_zeros();
    let significand = significand << zeros;
    let exponent = exponent - i64::from(zeros) + 63;
    let least = 1 - format.bias();
    let dropped = i64::from(63 - format.fraction_bits) + (least - exponent).max(0);
    if dropped > 64 {
        return Ok(0);
    }
    if exponent > format.bias() {
        return Err(OutOfRange);
    }
    let wide = u128::from(significand) << 64 >> dropped;
    let kept = (wide >> 64) as u64;
    let rest = wide as u64;
    let half = 1u64 << 63;
    let up = rest > half || rest == half && (sticky || kept & 1 == 1);
    // A carry runs into the exponent, which is what it should do.
    let base = (exponent - least).max(0) as u64;
    let bits = (base << format.fraction_bits) + kept + u64::from(up);
    if bits >= format.infinity() { Err(OutOfRange) } else { Ok(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_f64(text: &str, expected: Result<f64, NumberError>) {
        assert_eq!(f64_bits(text.as_bytes()), expected.map(f64::to_bits), "{text}");
    }

    #[test]
    fn integers_have_signs_underscores_and_bounds() {
        let cases: [(&str, u32, Result<u64, NumberError>); 14] = [
            ("0", 32, Ok(0)),
            ("-1", 32, Ok(0xffff_ffff)),
            ("+4294967295", 32, Ok(0xffff_ffff)),
            ("4294967296", 32, Err(OutOfRange)),
            ("-2147483648", 32, Ok(0x8000_0000)),
            ("-2147483649", 32, Err(OutOfRange)),
            ("0xFFFF_ffff", 32, Ok(0xffff_ffff)),
            ("1_2__3", 32, Err(Malformed)),
            ("1_", 32, Err(Malformed)),
            ("_1", 32, Err(Malformed)),
            ("0x", 32, Err(Malformed)),
            ("1e3", 32, Err(Malformed)),
            ("-0x80", 8, Ok(0x80)),
            ("18446744073709551616", 64, Err(OutOfRange)),
        ];
        for (text, bits, expected) in cases {
            assert_eq!(integer(text.as_bytes(), bits), expected, "{text}");
        }
    }

    #[test]
    fn floats_are_rounded_once_to_nearest_even() {
        check_f64("0x1p-1074", Ok(5e-324));
        check_f64("0x1p-1075", Ok(0.0));
        check_f64("0x1.00000000000001p-1075", Ok(5e-324));
        check_f64("0x1.fffffffffffffp1023", Ok(f64::MAX));
        check_f64("0x1.fffffffffffff8p1023", Err(OutOfRange));
        check_f64("0x1.fffffffffffff7fffffffffffffffffffffp1023", Ok(f64::MAX));
        check_f64("0x1.00000000000008p0", Ok(1.0));
        check_f64("0x1.000000000000080000000000000000001p0", Ok(1.0 + f64::EPSILON));
        check_f64("0x0.0000000000000000000000000001p112", Ok(1.0));
        check_f64("-0x0p999999999999999999999", Ok(-0.0));
        check_f64("0x1p-99999999999999999999999", Ok(0.0));
        check_f64("1_0.5_0e-1", Ok(1.05));
        check_f64("1.", Ok(1.0));
        check_f64("1.e1", Ok(10.0));
        check_f64("1e309", Err(OutOfRange));
        for malformed in [".5", "1e", "1._5", "0x1.p", "1__0.0", "infinity", "", "-", "0x.8p0"] {
            check_f64(malformed, Err(Malformed));
        }
    }

    #[test]
    fn nans_keep_their_payload() {
        assert_eq!(f32_bits(b"nan"), Ok(0x7fc0_0000));
        assert_eq!(f32_bits(b"-nan:0x1"), Ok(0xff80_0001));
        assert_eq!(f32_bits(b"nan:0x80_0000"), Err(OutOfRange));
        assert_eq!(f32_bits(b"nan:0x0"), Err(OutOfRange));
        assert_eq!(f64_bits(b"nan:0xfffffffffffff"), Ok(0x7fff_ffff_ffff_ffff));
        assert_eq!(f32_bits(b"nan:canonical"), Err(Malformed));
    }

    #[test]
    fn hexadecimal_f32_is_not_rounded_twice() {
        assert_eq!(f32_bits(b"0x1.00000100000000001p0"), Ok(0x3f80_0001));
        assert_eq!(f32_bits(b"0x1.000001p0"), Ok(0x3f80_0000));
        assert_eq!(f32_bits(b"0x1p-149"), Ok(1));
        assert_eq!(f32_bits(b"0x1.8p-150"), Ok(1));
        assert_eq!(f32_bits(b"0x1.fffffep127"), Ok(f32::MAX.to_bits()));
        assert_eq!(f32_bits(b"0x1.ffffffp127"), Err(OutOfRange));
    }
}
