//! Sizes and times as people write them on a command line.

use std::time::Duration;

/// Parses `65536`, `64KiB`, `64K`, `1.5GiB`, `10MB`; a bare number is bytes.
///
/// `K`, `M`, `G` and `T` are binary like `KiB`; `KB` and its like are decimal.
pub fn bytes(text: &str) -> Result<u64, String> {
    const HINT: &str = "a size such as 65536, 64KiB or 1.5GiB";
    let (number, unit) = split(text);
    let scale: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("`{unit}` is no unit of size; write {HINT}")),
    };
    if let Ok(count) = number.parse::<u64>() {
        return count.checked_mul(scale).ok_or_else(|| "the size is too large".to_owned());
    }
    match number.parse::<f64>() {
        Ok(count) if count >= 0.0 && count * (scale as f64) < u64::MAX as f64 => {
            Ok((count * scale as f64) as u64)
        }
        _ => Err(format!("write {HINT}")),
    }
}

/// Parses `2s`, `500ms`, `1.5m`, `1h`, `10us`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    const HINT: &str = "a time such as 2s, 500ms or 1m";
    let (number, unit) = split(text);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time; write {HINT}")),
    };
    let count = number.parse::<f64>().map_err(|_| format!("write {HINT}"))?;
    Duration::try_from_secs_f64(count * seconds).map_err(|_| format!("write {HINT}"))
}

/// A count with optional separators: `1000000`, `1_000_000`.
pub fn count(text: &str) -> Result<u64, String> {
    let digits: String = text.chars().filter(|&digit| digit != '_').collect();
    digits.parse().map_err(|_| "write a whole number such as 1000000".to_owned())
}

/// A share of processors as people write it: `50%`, `50`, `200%`.
pub fn percent(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|percent| *percent > 0).ok_or_else(|| "write a share such as 50%".to_owned())
}

/// A size for a person: three digits and a binary unit.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A time for a person: three digits and a unit.
pub fn show_ns(ns: u64) -> String {
    const UNITS: [&str; 4] = ["ns", "us", "ms", "s"];
    let mut value = ns as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = match value {
        _ if unit == 0 || value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {}", UNITS[unit])
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.' && symbol != '_')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        assert_eq!(bytes("65536"), Ok(65_536));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        assert_eq!(bytes("64k"), Ok(65_536));
        assert_eq!(bytes("64KB"), Ok(64_000));
        assert_eq!(bytes("1.5GiB"), Ok(1_610_612_736));
        assert!(bytes("64 parsecs").is_err());
        assert!(bytes("").is_err());
        assert!(bytes("-1").is_err());
        assert!(bytes("99999999999TiB").is_err());
    }

    #[test]
    fn times_have_units_and_seconds_are_the_default() {
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("2 fortnights").is_err());
        assert!(duration("soon").is_err());
        assert!(duration("-1s").is_err());
    }

    #[test]
    fn times_are_shown_with_three_digits() {
        let shown = [0, 999, 1_234, 56_780_000, 999_600_000, 61_000_000_000].map(show_ns);
        assert_eq!(shown, ["0 ns", "999 ns", "1.23 us", "56.8 ms", "1.00 s", "61.0 s"]);
    }

    #[test]
    fn sizes_are_shown_with_at_least_two_digits() {
        assert_eq!(show_bytes(0), "0 B");
        assert_eq!(show_bytes(1536), "1.5 KiB");
        assert_eq!(show_bytes(26_267_204), "25 MiB");
    }
}
