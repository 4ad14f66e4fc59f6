//! What is made of the runs: medians, as a table for people and as JSON.
//!
//! It knows nothing of how runs are made.

use std::fmt;

use serde_json::{Value, json};

use super::super::options::Tier;
use super::super::table::{Table, printable};
use super::super::units::{show_bytes, show_ns};
use super::child::Sample;

/// All runs of a tier.
pub struct Measured {
    /// The tier.
    pub tier: Tier,
    /// Its runs, in their order.
    pub samples: Vec<Sample>,
}

/// What there is to be said.
pub struct Report {
    /// The program, as it was named.
    pub file: String,
    /// The tiers that were measured.
    pub measured: Vec<Measured>,
    /// Whether all runs printed the same.
    pub repeats: bool,
}

/// What a tier is called on the command line.
pub fn name(tier: Tier) -> &'static str {
    match tier {
        Tier::Auto => "auto",
        Tier::Interp => "interp",
        Tier::Jit => "jit",
    }
}

/// A figure of all runs of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Figure {
    median: u64,
    least: u64,
    most: u64,
}

impl Figure {
    /// None if no run has the figure.
    fn of(values: impl Iterator<Item = u64>) -> Option<Figure> {
        let mut sorted: Vec<u64> = values.collect();
        sorted.sort_unstable();
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Figure { median: low.midpoint(high), least, most })
    }

    fn value(figure: Option<Figure>) -> Value {
        match figure {
            Some(Figure { median, least, most }) => {
                json!({ "median": median, "min": least, "max": most })
            }
            None => Value::Null,
        }
    }
}

/// The figures of a tier: their names in JSON, and where a run has them.
type Get = fn(&Sample) -> Option<u64>;

const WALL: Get = |sample| Some(sample.wall.as_nanos() as u64);
const CPU: Get = |sample| Some(sample.cpu.as_nanos() as u64);
const FIRST: Get = |sample| sample.first_output.map(|time| time.as_nanos() as u64);
const READY: Get = |sample| Some(sample.ready_ns);
const PEAK: Get = |sample| Some(sample.peak_bytes);
const COMPILING: Get = |sample| Some(sample.compiling.time_ns);
const COMPILATIONS: Get = |sample| Some(sample.compiling.count);
const CODE: Get = |sample| Some(sample.compiling.code_bytes);
/// What is left of a run behind `ready`.
const RUNNING: Get = |sample| Some((sample.wall.as_nanos() as u64).saturating_sub(sample.ready_ns));

const FIGURES: [(&str, Get); 8] = [
    ("wall_ns", WALL),
    ("cpu_ns", CPU),
    ("first_output_ns", FIRST),
    ("ready_ns", READY),
    ("peak_bytes", PEAK),
    ("compile_ns", COMPILING),
    ("compilations", COMPILATIONS),
    ("code_bytes", CODE),
];

impl Measured {
    fn figure(&self, get: Get) -> Option<Figure> {
        Figure::of(self.samples.iter().filter_map(get))
    }
}

impl Report {
    fn median(&self, tier: Tier, get: Get) -> Option<u64> {
        let found = self.measured.iter().find(|one| one.tier == tier)?;
        Some(found.figure(get)?.median)
    }

    /// See the help of the verb.
    fn peak(&self) -> Peak {
        let running = [Tier::Interp, Tier::Jit, Tier::Auto].map(|tier| {
            let one = self.measured.iter().find(|one| one.tier == tier);
            one.and_then(|one| one.figure(RUNNING))
        });
        let [Some(interp), Some(jit), Some(auto)] = running else { return Peak::NoGain };
        if interp.least <= jit.most {
            return Peak::NoGain;
        }
        match Peak::of(interp.median, jit.median, auto.median) {
            Peak::At(ns) => Peak::At(ns + self.median(Tier::Auto, READY).unwrap_or(0)),
            none => none,
        }
    }

    /// The report for programs.
    pub fn value(&self) -> Value {
        let tiers = self.measured.iter().map(|one| {
            let figures = FIGURES
                .iter()
                .map(|&(name, get)| (name.to_owned(), Figure::value(one.figure(get))));
            let runs = one.samples.iter().map(|sample| {
                let run = FIGURES.iter().map(|&(name, get)| (name.to_owned(), json!(get(sample))));
                Value::Object(run.collect())
            });
            let mut tier: serde_json::Map<String, Value> = figures.collect();
            tier.insert("tier".to_owned(), json!(name(one.tier)));
            tier.insert("samples".to_owned(), runs.collect());
            Value::Object(tier)
        });
        json!({
            "file": self.file,
            "runs": self.runs(),
            "output_repeats": self.repeats,
            "time_to_peak_ns": match self.peak() {
                Peak::At(ns) => json!(ns),
                Peak::NotReached | Peak::NoGain => Value::Null,
            },
            "tiers": tiers.collect::<Vec<_>>(),
        })
    }

    fn runs(&self) -> usize {
        self.measured.first().map_or(0, |one| one.samples.len())
    }
}

/// When `auto` has reached the pace of compiled code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peak {
    /// So many nanoseconds after the start.
    At(u64),
    /// It has ended before.
    NotReached,
    /// The interpreter is as fast.
    NoGain,
}

impl Peak {
    /// For a run that took `auto` in all; the others are the times of the same work at one pace.
    fn of(interp_ns: u64, jit_ns: u64, auto_ns: u64) -> Peak {
        /// Nearer than this, two paces cannot be told from each other.
        const LEAST_GAIN: f64 = 1.1;
        let (interp, jit, auto) = (interp_ns as f64, jit_ns as f64, auto_ns as f64);
        if interp < jit * LEAST_GAIN {
            return Peak::NoGain;
        }
        let at_ns = (auto - jit) / (1.0 - jit / interp);
        if at_ns < auto { Peak::At(at_ns.max(0.0) as u64) } else { Peak::NotReached }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.runs();
        let plural = if runs == 1 { "" } else { "s" };
        writeln!(f, "{}: {runs} run{plural} of each tier, medians\n", printable(&self.file))?;
        let cells = |title: &str, cell: &dyn Fn(&Measured) -> String| -> [String; 4] {
            let mut row = [title.to_owned(), String::new(), String::new(), String::new()];
            for (place, one) in row[1..].iter_mut().zip(&self.measured) {
                *place = cell(one);
            }
            row
        };
        let titles = cells("", &|one| name(one.tier).to_owned());
        let mut table = Table::new(titles.each_ref().map(String::as_str));
        let mut figure = |title: &str, get: Get, show: fn(u64) -> String| {
            let show = |one: &Measured| {
                one.figure(get).map_or_else(|| "-".to_owned(), |figure| show(figure.median))
            };
            table.row(cells(title, &show));
        };
        figure("time", WALL, show_ns);
        figure("processor time", CPU, show_ns);
        figure("first output", FIRST, show_ns);
        figure("ready", READY, show_ns);
        figure("peak memory", PEAK, show_bytes);
        figure("compiling", COMPILING, show_ns);
        figure("compilations", COMPILATIONS, |count| count.to_string());
        figure("code", CODE, show_bytes);
        let spread = |one: &Measured| {
            one.figure(WALL).map_or_else(String::new, |Figure { median, least, most }| {
                format!("{} %", (most - least) * 100 / median.max(1))
            })
        };
        if runs > 1 {
            table.row(cells("spread", &spread));
        }
        let peak = match self.peak() {
            Peak::At(ns) => show_ns(ns),
            Peak::NotReached => "not reached".to_owned(),
            Peak::NoGain => "-".to_owned(),
        };
        let peak = |one: &Measured| match one.tier {
            Tier::Auto => peak.clone(),
            _ => "-".to_owned(),
        };
        table.row(cells("time to peak", &peak));
        write!(f, "{table}")?;
        match self.repeats {
            true => Ok(()),
            false => writeln!(
                f,
                "\nThe output changes from run to run, so tiers were not compared; `--deterministic` \
                 and\n`--sim` repeat runs exactly."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let figure = Figure::of([9, 1, 4].into_iter());
        assert_eq!(figure, Some(Figure { median: 4, least: 1, most: 9 }));
        assert_eq!(Figure::of([1, 4].into_iter()).map(|figure| figure.median), Some(2));
        assert_eq!(Figure::of(std::iter::empty()), None);
    }

    #[test]
    fn the_peak_is_where_the_pace_would_have_changed() {
        // Ten times faster; a tenth of the work was interpreted.
        assert_eq!(Peak::of(1000, 100, 190), Peak::At(100));
        // At the pace of compiled code from the start, or by chance even faster.
        assert_eq!(Peak::of(1000, 100, 100), Peak::At(0));
        assert_eq!(Peak::of(1000, 100, 95), Peak::At(0));
        // Interpreted to the end.
        assert_eq!(Peak::of(1000, 100, 1000), Peak::NotReached);
        assert_eq!(Peak::of(105, 100, 103), Peak::NoGain);
    }
}
