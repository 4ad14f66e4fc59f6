//! Moves processes between machines as files, and looks for differences: `cross leave`, `cross
//! arrive`, `cross compare`. `.ci/cross-arch` runs it between x86-64 and aarch64.
//!
//! ```text
//! leave DIR TIER POINTS SEED   runs programs, and writes a snapshot at each of so many random sites
//! arrive DIR TIER              every snapshot goes on here, to the end that its program has unmoved
//! compare DIR DIR              snapshots of the same sites are the same bytes, section by section
//! ```
//!
//! Programs run with `--deterministic`'s rules. Resources are compared by what comes of them only:
//! they hold what each machine calls its own.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use brant::mobility::{Section, SectionInfo};
use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, Output, Process, ProcessBuilder,
    ReadLimits, Snapshot, Stopped, Stops, Tier,
};
use brant_programs::fnv1a;

/// Short runs of programs of the tree that need no directory: name, arguments, input.
const RUNS: [(&str, &[&str], &str); 8] = [
    ("counter", &["20"], ""),
    ("life", &["3"], ""),
    ("matrix", &[], ""),
    ("hello", &[], ""),
    ("calc", &[], "1 + 2 * (3 - 4) / 5\n2 ^ 10\nx = 7\nx * x\n1 / 0\n"),
    ("forth", &[], ": square dup * ; 7 square . 2 3 + . 10 0 do i . loop\n"),
    ("nbody", &["100"], ""),
    ("lines", &[], "three\nshort\nlines\n"),
];

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done =
        match args[..] {
            ["leave", dir, tier, points, seed] => leave(Path::new(dir), tier, points, seed),
            ["arrive", dir, tier] => arrive(Path::new(dir), tier),
            ["compare", one, other] => compare(Path::new(one), Path::new(other)),
            _ => Err("usage: cross leave DIR TIER POINTS SEED | arrive DIR TIER | compare DIR DIR"
                .into()),
        };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cross: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How a run ends: what can be seen of it, and its memory.
#[derive(PartialEq, Eq, Debug)]
struct End {
    code: i32,
    memory: u64,
    output: Vec<u8>,
}

impl End {
    fn of(process: &mut Process, status: &ExitStatus, output: Vec<u8>) -> Result<End, Failure> {
        let memory = process.memory()?;
        let memory = fnv1a(memory.slice(0, memory.len_bytes())?);
        Ok(End { code: status.code(), memory, output })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.code.to_le_bytes().to_vec();
        bytes.extend(self.memory.to_le_bytes());
        bytes.extend(&self.output);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<End, Failure> {
        let (code, rest) = bytes.split_first_chunk().ok_or("an end is too short")?;
        let (memory, output) = rest.split_first_chunk().ok_or("an end is too short")?;
        let (code, memory) = (i32::from_le_bytes(*code), u64::from_le_bytes(*memory));
        Ok(End { code, memory, output: output.to_vec() })
    }
}

/// A program with what it is given.
struct Guest {
    module: Module,
    number: usize,
}

impl Guest {
    fn new(engine: &Engine, number: usize) -> Result<Guest, Failure> {
        let name = RUNS[number].0;
        let program = brant_programs::find(name).ok_or("no such program")?;
        Ok(Guest { module: Module::new(engine, program.module()?)?, number })
    }

    fn begin(&self, output: &Captured) -> Result<Process, Failure> {
        let (name, args, _) = RUNS[self.number];
        let builder = Process::builder(&self.module);
        self.grant(builder.args([name].iter().chain(args).copied()).repeatable(1), output)
    }

    fn grant(&self, builder: ProcessBuilder, output: &Captured) -> Result<Process, Failure> {
        let input = Input::Bytes(RUNS[self.number].2.as_bytes().to_vec());
        Ok(builder.stdin(input).stdout(Output::Capture(output.clone())).build()?)
    }

    fn unmoved(&self) -> Result<End, Failure> {
        let output = Captured::new();
        let mut process = self.begin(&output)?;
        let status = process.run()?;
        End::of(&mut process, &status, output.bytes())
    }
}

/// An engine in which sites are counted, so that the same run stops at the same sites everywhere.
fn engine(tier: &str, stops: Stops) -> Result<Engine, Failure> {
    let tier = Tier::from_name(tier).ok_or("no such tier")?;
    let config = Config { tier, deterministic: true, stops, ..Config::default() };
    Ok(Engine::new(&brant::with_compiler(config))?)
}

/// A generator of numbers by seed.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// As often below 10 as between 1,000 and 10,000.
    fn sites(&mut self) -> u64 {
        let bits = self.next(14);
        1 + self.next(1 << bits)
    }
}

fn leave(dir: &Path, tier: &str, points: &str, seed: &str) -> Result<String, Failure> {
    fs::create_dir_all(dir)?;
    let (points, mut random) = (points.parse::<usize>()?, Random(seed.parse()?));
    let engine = engine(tier, Stops::Every)?;
    let mut guests = Vec::new();
    for number in 0..RUNS.len() {
        let guest = Guest::new(&engine, number)?;
        let end = guest.unmoved()?;
        fs::write(dir.join(format!("{number}.end")), end.to_bytes())?;
        guests.push((guest, end));
    }
    let mut taken = 0;
    while taken < points {
        let before = taken;
        for (guest, end) in &guests {
            let quota = points.div_ceil(guests.len()).min(points - taken).min(20);
            taken += snapshots(dir, guest, end, &mut random, taken, quota)?;
        }
        if taken == before {
            return Err("no program is long enough".into());
        }
    }
    Ok(format!("{taken} snapshots of {} programs, {tier}", guests.len()))
}

/// Runs a program to its end, with snapshots on the way.
fn snapshots(
    dir: &Path, guest: &Guest, end: &End, random: &mut Random, first: usize, count: usize,
) -> Result<usize, Failure> {
    let output = Captured::new();
    let mut process = guest.begin(&output)?;
    let mut taken = 0;
    loop {
        if taken < count {
            process.stop_after_sites(random.sites());
        }
        let status = process.run()?;
        if !matches!(status, ExitStatus::Stopped(Stopped::AtSite)) {
            let seen = End::of(&mut process, &status, output.bytes())?;
            if seen != *end {
                return Err(format!("{}: stops changed the run", RUNS[guest.number].0).into());
            }
            return Ok(taken);
        }
        let (number, written) = (first + taken, output.bytes().len());
        let name = format!("{}-{number:04}-{written}.brant", guest.number);
        fs::write(dir.join(name), process.checkpoint()?.to_vec())?;
        taken += 1;
    }
}

/// The snapshots in a folder, by name.
fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".brant") {
            files.push((name, path));
        }
    }
    files.sort();
    Ok(files)
}

/// The program of a snapshot, and how much it had written.
fn meaning(name: &str) -> Option<(usize, usize)> {
    let mut parts = name.strip_suffix(".brant")?.split('-').map(str::parse);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(number)), Some(Ok(_)), Some(Ok(written))) if number < RUNS.len() => {
            Some((number, written))
        }
        _ => None,
    }
}

fn arrive(dir: &Path, tier: &str) -> Result<String, Failure> {
    let engine = engine(tier, Stops::Usual)?;
    let files = files(dir)?;
    let mut guests = Vec::new();
    for number in 0..RUNS.len() {
        guests.push(Guest::new(&engine, number)?);
    }
    for (name, path) in &files {
        let (number, written) = meaning(name).ok_or("a file that `leave` did not write")?;
        let guest = &guests[number];
        let mut end = End::from_bytes(&fs::read(dir.join(format!("{number}.end")))?)?;
        end.output = end.output.get(written..).ok_or("more output than there is")?.to_vec();
        let bytes = fs::read(path)?;
        let snapshot = Snapshot::read(&mut &bytes[..], &ReadLimits::default())?;
        let known = std::slice::from_ref(&guest.module);
        let output = Captured::new();
        let mut process =
            guest.grant(Process::restore_with(&engine, &snapshot, known)?, &output)?;
        let status = process.run()?;
        let seen = End::of(&mut process, &status, output.bytes())?;
        if seen != end {
            return Err(format!(
                "{}: {name}: exit code {} for {}, {} bytes of output for {}, memory {}",
                RUNS[number].0,
                seen.code,
                end.code,
                seen.output.len(),
                end.output.len(),
                if seen.memory == end.memory { "equal" } else { "different" },
            )
            .into());
        }
    }
    Ok(format!("{} snapshots went on, {tier}: no difference", files.len()))
}

/// What must not depend on the machine.
const SAME: [Section; 4] = [Section::Code, Section::Execution, Section::Pages, Section::Contents];

fn compare(one: &Path, other: &Path) -> Result<String, Failure> {
    let (ours, theirs) = (files(one)?, files(other)?);
    if ours.len() != theirs.len() || ours.is_empty() {
        return Err(format!("{} snapshots and {}", ours.len(), theirs.len()).into());
    }
    for ((name, ours), (other_name, theirs)) in ours.iter().zip(&theirs) {
        if name != other_name {
            return Err(format!("{name} and {other_name} are not of the same site").into());
        }
        let (ours, theirs) = (sections(ours)?, sections(theirs)?);
        for section in SAME {
            let [a, b] = [&ours, &theirs].map(|list| list.iter().find(|i| i.section == section));
            match (a, b) {
                (Some(a), Some(b)) if (a.bytes, a.hash) == (b.bytes, b.hash) => {}
                _ => return Err(format!("{name}: section {section:?} differs").into()),
            }
        }
    }
    Ok(format!("{} pairs of snapshots: the same bytes but for resources", ours.len()))
}

fn sections(path: &Path) -> Result<Vec<SectionInfo>, Failure> {
    Ok(Snapshot::sections(&fs::read(path)?)?)
}
