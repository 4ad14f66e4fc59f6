//! Floating-point numbers in decimal: the shortest digits that read as the same number.

use std::io::Write;

use super::sink::Sink;

/// Longest text of a number.
const NUMBER_BYTES: usize = 32;

/// Puts the number with these bits; not-a-numbers keep sign and payload.
pub(super) fn put_f32(sink: &mut Sink<'_>, bits: u32) {
    let number = f32::from_bits(bits);
    if number.is_nan() {
        let payload = bits & 0x7f_ffff;
        put_nan(sink, bits >> 31 != 0, u64::from(payload), payload == 0x40_0000);
    } else {
        put_debug(sink, &number);
    }
}

/// Puts the number with these bits; not-a-numbers keep sign and payload.
pub(super) fn put_f64(sink: &mut Sink<'_>, bits: u64) {
    let number = f64::from_bits(bits);
    if number.is_nan() {
        let payload = bits & 0xf_ffff_ffff_ffff;
        put_nan(sink, bits >> 63 != 0, payload, payload == 0x8_0000_0000_0000);
    } else {
        put_debug(sink, &number);
    }
}

fn put_nan(sink: &mut Sink<'_>, is_negative: bool, payload: u64, is_canonical: bool) {
    sink.put(if is_negative { "-nan" } else { "nan" });
    if !is_canonical {
        sink.put_byte(b':');
        sink.put_hex(payload);
    }
}

/// `Debug` of a number has an exponent where it needs one, as the text format takes it.
fn put_debug(sink: &mut Sink<'_>, number: &dyn std::fmt::Debug) {
    let mut text = [0; NUMBER_BYTES];
    let mut rest = &mut text[..];
    // Every finite number fits: 17 digits, sign, point and exponent.
    let _ = write!(rest, "{number:?}");
    let length = NUMBER_BYTES - rest.len();
    let text = &text[..length];
    // A whole number needs no fraction.
    sink.put_bytes(text.strip_suffix(b".0").unwrap_or(text));
}

/// Puts eight hexadecimal digits.
pub(super) fn put_hex_digits(sink: &mut Sink<'_>, value: u32) {
    for shift in (0..32).step_by(4).rev() {
        sink.put_byte(b"0123456789abcdef"[(value >> shift & 15) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn f64_text(bits: u64) -> String {
        let mut out = Vec::new();
        let mut sink = Sink::new(&mut out);
        put_f64(&mut sink, bits);
        sink.finish().expect("memory takes everything");
        String::from_utf8(out).expect("numbers are text")
    }

    #[test]
    fn numbers_are_short_and_exact() {
        let check = |number: f64, text: &str| assert_eq!(f64_text(number.to_bits()), text);
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.5, "1.5");
        check(-100.0, "-100");
        check(1e300, "1e300");
        check(5e-324, "5e-324");
        check(f64::MAX, "1.7976931348623157e308");
        check(f64::NEG_INFINITY, "-inf");
        assert_eq!(f64_text(0x7ff8_0000_0000_0000), "nan");
        assert_eq!(f64_text(0xfff0_0000_0000_0001), "-nan:0x1");
    }
}
