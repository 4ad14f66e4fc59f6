//! The comparison as a picture: a column for each mix, throughput above and latency below.
//!
//! Colours stand for policies, and they follow the reader's light or dark background.

use std::fmt::Write;

use super::{CONSTRUCTIONS, MIXES, Measured, POLICIES};

const LEFT: f64 = 92.0;
const PANEL: f64 = 230.0;
const GAP: f64 = 78.0;
const TOP: f64 = 86.0;
const ROW: f64 = 17.0;
const GROUP: f64 = 3.0 * ROW + 12.0;
const HEIGHT: f64 = 3.0 * GROUP;
/// From the top of the panels above to that of those below.
const DOWN: f64 = HEIGHT + 64.0;

const STYLE: &str = "\
svg { --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --paper: #ffffff;
  --user: #0969da; --kernel: #bc4c00; --hybrid: #1a7f37; }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --paper: #0d1117;
    --user: #4493f8; --kernel: #f0883e; --hybrid: #3fb950; } }
text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.soft { fill: var(--soft); } .end { text-anchor: end; } .middle { text-anchor: middle; }
.title { font-weight: 600; font-size: 14px; }
.paper { fill: var(--paper); } .line { stroke: var(--line); }
.user { fill: var(--user); stroke: var(--user); } .kernel { fill: var(--kernel); stroke: var(--kernel); }
.hybrid { fill: var(--hybrid); stroke: var(--hybrid); } .bar { stroke: none; }
";

/// The whole picture, as a file of its own.
pub fn svg(all: &[Measured]) -> String {
    let width = LEFT + MIXES.len() as f64 * (PANEL + GAP);
    let height = TOP + DOWN + HEIGHT + 40.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>Three constructions of a server under three thread policies</title>\n\
         <style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
    );
    legend(&mut svg);
    for (column, (mix, _)) in MIXES.iter().enumerate() {
        let x = LEFT + column as f64 * (PANEL + GAP);
        let rows: Vec<&Measured> = all.iter().filter(|one| one.mix == *mix).collect();
        text(&mut svg, x, TOP - 30.0, "title", mix);
        throughput(&mut svg, x, TOP, &rows);
        latency(&mut svg, x, TOP + DOWN, &rows);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Which colour is which policy, and which row which construction.
fn legend(svg: &mut String) {
    let mut x = LEFT;
    for (policy, _) in POLICIES {
        element(
            svg,
            format_args!(
                r#"<rect class="{policy} bar" x="{x}" y="18" width="12" height="12" rx="2"/>"#
            ),
        );
        text(svg, x + 18.0, 28.0, "", policy);
        x += 90.0;
    }
    for top in [TOP, TOP + DOWN] {
        for (group, construction) in CONSTRUCTIONS.iter().enumerate() {
            let y = top + group as f64 * GROUP + 1.5 * ROW + 4.0;
            text(svg, LEFT - 12.0, y, "end", construction);
        }
    }
}

/// Bars from zero on, each with its number.
fn throughput(svg: &mut String, x: f64, top: f64, rows: &[&Measured]) {
    let most = rows.iter().map(|one| one.throughput).fold(1.0, f64::max);
    text(svg, x, top - 10.0, "soft", "requests per second");
    line(svg, (x, top), (x, top + HEIGHT - 12.0), "line");
    for one in rows {
        let (y, class) = (row(top, one), one.policy);
        let width = one.throughput / most * PANEL;
        let height = ROW - 4.0;
        element(
            svg,
            format_args!(
                r#"<rect class="{class} bar" x="{x}" y="{y:.1}" width="{width:.1}" height="{height}" rx="2"/>"#
            ),
        );
        text(svg, x + width + 5.0, y + 11.0, "soft", &format!("{:.0}", one.throughput));
    }
}

/// A line from the median to the 99th percentile, over powers of ten.
fn latency(svg: &mut String, x: f64, top: f64, rows: &[&Measured]) {
    let decade = |us: u64| (us.max(1) as f64).log10();
    let least = rows.iter().map(|one| decade(one.p50_us)).fold(6.0, f64::min).floor();
    let most = rows.iter().map(|one| decade(one.p99_us)).fold(least + 1.0, f64::max).ceil();
    let place = |us: u64| x + (decade(us) - least) / (most - least) * PANEL;
    text(svg, x, top - 10.0, "soft", "latency: \u{25cf} half of the requests, | 99 of 100");
    for power in least as i32..=most as i32 {
        let at = x + (f64::from(power) - least) / (most - least) * PANEL;
        line(svg, (at, top), (at, top + HEIGHT - 12.0), "line");
        text(svg, at, top + HEIGHT + 4.0, "soft middle", &time(power));
    }
    for one in rows {
        let y = row(top, one) + ROW / 2.0 - 2.0;
        let (half, tail, class) = (place(one.p50_us), place(one.p99_us), one.policy);
        line(svg, (half, y), (tail, y), class);
        line(svg, (tail, y - 5.0), (tail, y + 5.0), class);
        element(
            svg,
            format_args!(r#"<circle class="{class} bar" cx="{half:.1}" cy="{y:.1}" r="4"/>"#),
        );
    }
}

/// Where the row of a combination begins.
fn row(top: f64, one: &Measured) -> f64 {
    let place = |found: Option<usize>| found.unwrap_or(0) as f64;
    let group = place(CONSTRUCTIONS.iter().position(|name| *name == one.construction));
    let line = place(POLICIES.iter().position(|(name, _)| *name == one.policy));
    top + group * GROUP + line * ROW
}

/// A power of ten of microseconds.
fn time(power: i32) -> String {
    match power {
        ..=2 => format!("{} us", 10_u64.pow(power.max(0) as u32)),
        3..=5 => format!("{} ms", 10_u64.pow(power as u32 - 3)),
        _ => format!("{} s", 10_u64.pow((power as u32 - 6).min(9))),
    }
}

fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    element(svg, format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
    let points = format_args!(r#"x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}""#);
    element(svg, format_args!(r#"<line class="{class}" {points}/>"#));
}

fn element(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{element}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_is_drawn_in_its_place() {
        let mut all = Vec::new();
        for (mix, _) in MIXES {
            for construction in CONSTRUCTIONS {
                for (policy, _) in POLICIES {
                    let (p50_us, p99_us) = (900, 40_000);
                    let throughput = 100.0;
                    all.push(Measured { mix, construction, policy, throughput, p50_us, p99_us });
                }
            }
        }
        let svg = svg(&all);
        assert_eq!(svg.matches("<circle").count(), 27);
        assert_eq!(svg.matches(">100</text>").count(), 27);
        let places: std::collections::BTreeSet<&str> =
            svg.lines().filter(|line| line.starts_with("<circle")).collect();
        assert_eq!(places.len(), 27);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn times_of_nothing_have_a_picture() {
        let (mix, construction, policy) = (MIXES[0].0, CONSTRUCTIONS[0], POLICIES[0].0);
        let one = Measured { mix, construction, policy, throughput: 0.0, p50_us: 0, p99_us: 0 };
        let svg = svg(&[one]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
