//! `brant bench`: what a program takes in each tier.
//!
//! Every run is a process of its own, started from the binary that this is, so that its memory is
//! its own and nothing is warm that a user would find cold. Runs of the tiers alternate, because
//! machines drift. What is measured stands in `child.rs`, what is made of it in `report.rs`.
//!
//! The first word names what is measured: `threads` a comparison of thread policies, which stands in
//! `threads/`, and any other a file. A file of that name is meant by `./threads`.

mod child;
mod report;
mod threads;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

use super::exit::{Failure, INTERNAL};
use super::options::{Format, RunOptions, Tier};
use super::restore;
use child::{Outcome, Runner, Sample};
use report::{Measured, Report};

/// Measures a program in each tier.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub struct BenchOptions {
    #[command(subcommand)]
    what: Option<What>,

    /// How often the program runs in each tier.
    #[arg(
        long, value_name = "COUNT", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    runs: u32,

    #[command(flatten)]
    run: RunOptions,
}

/// What can be measured beside a file.
#[derive(clap::Subcommand)]
enum What {
    /// Compare constructions of a server under thread policies
    #[command(after_long_help = threads::AFTER_HELP)]
    Threads(threads::ThreadsOptions),
}

/// What `--help` says below the options.
pub const AFTER_HELP: &str = "\
Every option of `brant run` that grants, limits or repeats is taken, and holds in each run.
Standard input is read once and given to each run from its start; output is compared and not shown.
The cache of compiled code is left alone (`--no-cache`): each run compiles what it needs.

What the rows mean (medians of all runs of a tier):
  time            from the start of the process to its end
  spread          slowest run minus fastest run, in percent of the median
  processor time  of all its threads
  first output    from the start to the first byte on standard output or standard error
  ready           what comes before the first instruction of the program: loading, and in the tier
                  jit compiling everything
  peak memory     of the process, the machine included
  compiling       time that the compiler took, on all threads together
  compilations    functions and loops that were compiled
  code            bytes of machine code
  time to peak    when `auto` has reached the speed of compiled code. With I, J and A for the times
                  behind `ready` in interp, jit and auto: ready + (A - J) / (1 - J / I), the moment
                  at which a run that goes at the interpreter's pace until then, and at the pace of
                  compiled code from then on, ends when `auto` ended. `not reached` where it ended
                  before, `-` where compiled code is not clearly faster: by a tenth, and each run

The exit code is that of the program if it fails, and 70 if tiers differ in what they print or how
they end: that is a bug of brant. Only the depth at which a stack overflows may differ.";

/// The tiers that this build has.
const TIERS: &[Tier] = match cfg!(feature = "jit") {
    true => &[Tier::Interp, Tier::Jit, Tier::Auto],
    false => &[Tier::Interp],
};

/// Runs the verb.
pub fn bench(options: &BenchOptions) -> Result<u8, Failure> {
    if let Some(What::Threads(options)) = &options.what {
        return threads::threads(options);
    }
    refuse(&options.run)?;
    let words: Vec<OsString> = std::env::args_os().collect();
    let runner = Runner::new(passed_on(&words, &options.run.program))?;
    let mut measured: Vec<Measured> =
        TIERS.iter().map(|&tier| Measured { tier, samples: Vec::new() }).collect();
    for round in 0..options.runs {
        // The one that is last in a round is the first in the next: a drift hits all alike.
        let shift = round as usize % measured.len();
        measured.rotate_left(shift);
        for one in &mut measured {
            one.samples.push(runner.run(one.tier)?);
        }
        measured.rotate_right(shift);
        if measured.iter().any(|one| one.samples.iter().any(Sample::failed)) {
            break;
        }
    }
    let mut outcomes = Outcomes::of(&measured);
    if options.runs == 1 && matches!(outcomes, Outcomes::Differ(..)) {
        // One run of each cannot tell a fault of a tier from a program that never repeats itself.
        for one in &mut measured {
            one.samples.push(runner.run(one.tier)?);
        }
        outcomes = Outcomes::of(&measured);
        measured.iter_mut().for_each(|one| one.samples.truncate(1));
    }
    if let Outcomes::Differ(a, b) = outcomes
        && !measured.iter().all(|one| one.samples.iter().any(Sample::overflowed))
    {
        return Err(differ(&measured[a], &measured[b]));
    }
    for one in &measured {
        if let Some(sample) = one.samples.iter().find(|sample| sample.failed()) {
            return Err(failed(one.tier, sample));
        }
    }
    let file = options.run.program.first().map(OsString::as_os_str).unwrap_or_default();
    let report = Report {
        file: file.to_string_lossy().into_owned(),
        measured,
        repeats: matches!(outcomes, Outcomes::Equal),
    };
    let text = match options.run.format {
        Format::Text => report.to_string(),
        Format::Json => format!("{}\n", report.value()),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// Options that would change what is measured, or write over what an earlier run wrote.
fn refuse(run: &RunOptions) -> Result<(), Failure> {
    let refused = [
        (run.tier != Tier::Auto, "--tier", "every tier is measured"),
        (run.stats, "--stats", "`bench` says all that `--stats` does"),
        (run.trace.is_some(), "--trace", "tracing takes time of its own"),
        (run.trace_counts, "--trace-counts", "counting takes time of its own"),
        (run.trace_output.is_some(), "--trace-output", "nothing is traced"),
        (run.checkpoint_every.is_some(), "--checkpoint-every", "each run would write its own"),
        (run.checkpoint_at.is_some(), "--checkpoint-at", "each run would write its own"),
    ];
    if let Some((_, option, why)) = refused.iter().find(|(given, ..)| *given) {
        return Err(Failure::usage(format!("`{option}` cannot be measured: {why}")));
    }
    let Some(file) = run.program.first() else {
        return Err(Failure::usage("there is no program to measure"));
    };
    if file == "-" {
        return Err(Failure::usage("a program from standard input can be read only once")
            .with_help("write it to a file"));
    }
    if restore::find(file)?.is_some() {
        return Err(Failure::usage("a snapshot goes on and does not start")
            .with_help("measure the program that it was taken of"));
    }
    Ok(())
}

/// The words of a command line that are for each run: all but the verb and what is for `bench`.
fn passed_on(words: &[OsString], program: &[OsString]) -> Vec<OsString> {
    const OWN: [&[u8]; 2] = [b"--runs", b"--format"];
    // Each run has it anyway, and it can be given once.
    const SET: &[u8] = b"--no-cache";
    let end = words.len() - program.len();
    let mut kept = Vec::new();
    let mut options = words[..end].iter().skip(2);
    while let Some(word) = options.next() {
        let bytes = word.as_bytes();
        let name = bytes.split(|&byte| byte == b'=').next().unwrap_or_default();
        match OWN.contains(&name) {
            true if name == bytes => drop(options.next()),
            true => {}
            false if bytes == SET => {}
            false => kept.push(word.clone()),
        }
    }
    kept.extend_from_slice(program);
    kept
}

/// How what the runs did compares.
#[derive(Debug, PartialEq, Eq)]
enum Outcomes {
    /// All did the same.
    Equal,
    /// Runs of one tier differ among themselves.
    NotRepeatable,
    /// These two tiers differ, each of them always in the same way.
    Differ(usize, usize),
}

impl Outcomes {
    fn of(measured: &[Measured]) -> Outcomes {
        let kinds = |one: &Measured| -> BTreeSet<Outcome> {
            one.samples.iter().map(|sample| sample.outcome.clone()).collect()
        };
        let all: Vec<BTreeSet<Outcome>> = measured.iter().map(kinds).collect();
        if all.iter().any(|kinds| kinds.len() > 1) {
            return Outcomes::NotRepeatable;
        }
        match (1..all.len()).find(|&other| all[other] != all[0]) {
            Some(other) => Outcomes::Differ(0, other),
            None => Outcomes::Equal,
        }
    }
}

fn differ(a: &Measured, b: &Measured) -> Failure {
    let (ours, theirs) = (&a.samples[0].outcome, &b.samples[0].outcome);
    let what = match ours.code == theirs.code {
        false => format!("exit code {} and {}", ours.code, theirs.code),
        true if ours.output != theirs.output => "they differ in standard output".to_owned(),
        true => "they differ in standard error".to_owned(),
    };
    let (a, b) = (report::name(a.tier), report::name(b.tier));
    Failure {
        code: INTERNAL,
        ..Failure::load(format!("the program does not do the same in {a} and {b}: {what}"))
    }
    .with_help("this is a bug of brant: please report it, with the program and this command line")
}

/// A program that fails, in the tier in which that was seen first.
fn failed(tier: Tier, sample: &Sample) -> Failure {
    let (tier, code) = (report::name(tier), sample.outcome.code);
    let words = String::from_utf8_lossy(&sample.last_words);
    let _ = std::io::stderr().write_all(words.as_bytes());
    let code_byte = u8::try_from(code).ok().filter(|&code| code != 0).unwrap_or(INTERNAL);
    Failure {
        code: code_byte,
        ..Failure::load(format!("the program failed in {tier}, with exit code {code}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn runs_get_every_option_but_those_of_the_verb() {
        let check = |line: &str, program: usize, expected: &str| {
            let words = words(line);
            let program = words[words.len() - program..].to_vec();
            assert_eq!(passed_on(&words, &program).join(&OsString::from(" ")), expected);
        };
        check("brant bench a.wasm", 1, "a.wasm");
        check("brant bench --runs 3 --dir x a.wasm --runs 4", 3, "--dir x a.wasm --runs 4");
        check("brant bench --runs=3 --format=json --fuel 9 -- a.wasm", 1, "--fuel 9 -- a.wasm");
        check("brant bench --no-cache a.wasm --no-cache", 2, "a.wasm --no-cache");
        check("brant bench --format json --env A=--runs a.wasm", 1, "--env A=--runs a.wasm");
    }

    fn measured(outcomes: &[(i32, &str)]) -> Measured {
        let sample = |&(code, output): &(i32, &str)| Sample {
            wall: Duration::from_millis(1),
            cpu: Duration::from_millis(1),
            first_output: None,
            peak_bytes: 0,
            ready_ns: 0,
            compiling: child::Compiling::default(),
            outcome: Outcome {
                code,
                output: *blake3::hash(output.as_bytes()).as_bytes(),
                error: [0; 32],
            },
            last_words: Vec::new(),
        };
        Measured { tier: Tier::Interp, samples: outcomes.iter().map(sample).collect() }
    }

    #[test]
    fn tiers_that_differ_are_told_from_programs_that_never_repeat_themselves() {
        let same = || measured(&[(0, "a"), (0, "a")]);
        assert_eq!(Outcomes::of(&[same(), same()]), Outcomes::Equal);
        let other = measured(&[(0, "b"), (0, "b")]);
        assert_eq!(Outcomes::of(&[same(), same(), other]), Outcomes::Differ(0, 2));
        let trap = measured(&[(134, "a")]);
        assert_eq!(Outcomes::of(&[same(), trap]), Outcomes::Differ(0, 1));
        let chance = measured(&[(0, "a"), (0, "c")]);
        assert_eq!(Outcomes::of(&[same(), chance]), Outcomes::NotRepeatable);
    }

    #[test]
    fn a_difference_is_a_fault_of_brant() {
        let failure = differ(&measured(&[(0, "a")]), &measured(&[(0, "b")]));
        assert_eq!(failure.code, INTERNAL);
        assert!(failure.to_string().contains("bug of brant"), "{failure}");
    }
}
