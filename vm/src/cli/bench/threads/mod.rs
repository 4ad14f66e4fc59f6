//! `brant bench threads`: the lecture's comparison. Three constructions of a server under three
//! thread policies, with requests that compute, that wait for a device, and both.
//!
//! The program that is measured is `programs/constructions.c`; it takes its times itself, from the
//! moment at which a client sends a request to the moment at which it has the reply.

mod plot;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use brant::{Captured, Config, Engine, ExitStatus, Module, Output, Process};
use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::input::cause;
use super::super::options::{Format, Threads};
use super::super::table::Table;
use super::super::units::show_ns;

/// Compares constructions of a server under thread policies.
#[derive(clap::Args)]
pub struct ThreadsOptions {
    /// How many requests the clients send in each run.
    #[arg(
        long, value_name = "COUNT", default_value_t = 320,
        value_parser = clap::value_parser!(u32).range(i64::from(CLIENTS)..=100_000)
    )]
    requests: u32,

    /// How often each combination runs; the run with the median throughput counts.
    #[arg(
        long, value_name = "COUNT", default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(1..=100)
    )]
    runs: u32,

    /// Form of the report.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,

    /// Write the comparison as a picture, too.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// What `--help` says below the options.
pub const AFTER_HELP: &str = "\
32 clients send one request each and the next one when they have the reply. A server is built in
three ways: `single` serves one request after the other with blocking calls, `workers` has a
dispatcher that hands requests to 32 worker threads, and `machine` is one thread that never blocks
and keeps what each request waits for in a table. The mixes:
  computing   a request computes
  blocking    a request computes a little and waits 2 ms for a device
  mixed       as blocking, with 1 ms; each 16th request computes 200 times as much
Latencies are from a client's sending to its having the reply; p99 is what 99 of 100 stay below.
docs/THREADS.md explains what is seen.";

const CLIENTS: u32 = 32;

/// The program, from `programs/constructions.c`.
const SERVER: &[u8] = include_bytes!("../../../../../programs/bin/constructions.wasm");

/// How the server is built: its name, for the program as well.
const CONSTRUCTIONS: [&str; 3] = ["single", "workers", "machine"];

const POLICIES: [(&str, Threads); 3] =
    [("user", Threads::User), ("kernel", Threads::Kernel), ("hybrid", Threads::Hybrid)];

/// What requests do: thousands of steps, microseconds at a device, and every how many are long.
const MIXES: [(&str, [&str; 3]); 3] = [
    ("computing", ["200", "0", "0"]),
    ("blocking", ["10", "2000", "0"]),
    ("mixed", ["20", "1000", "16"]),
];

/// What became of one combination.
#[derive(Clone, Debug)]
struct Measured {
    mix: &'static str,
    construction: &'static str,
    policy: &'static str,
    /// Requests per second.
    throughput: f64,
    /// Half of the requests took at most this.
    p50_us: u64,
    /// Of 100 requests 99 took at most this.
    p99_us: u64,
}

/// Runs the verb.
pub fn threads(options: &ThreadsOptions) -> Result<u8, Failure> {
    // A picture that cannot be written is known before anything is measured.
    let create = |path| File::create(path).map_err(|error| cannot_write(path, &error));
    let mut plot = match &options.plot {
        Some(path) => Some((path, create(path)?)),
        None => None,
    };
    let config = Config { tier: fastest(), ..Config::default() };
    let engine = Engine::new(&brant::with_compiler(config)).map_err(fault)?;
    let module = Module::new(&engine, SERVER.to_vec()).map_err(fault)?;
    let mut all = Vec::new();
    for (mix, work) in MIXES {
        for construction in CONSTRUCTIONS {
            for (policy, threads) in POLICIES {
                let mut runs = Vec::new();
                for _ in 0..options.runs {
                    let times = serve(&module, construction, threads, work, options.requests)?;
                    runs.push(Measured::of(mix, construction, policy, times));
                }
                runs.sort_by(|a, b| a.throughput.total_cmp(&b.throughput));
                all.push(runs.swap_remove(runs.len() / 2));
            }
        }
    }
    if let Some((path, file)) = &mut plot {
        file.write_all(plot::svg(&all).as_bytes()).map_err(|error| cannot_write(path, &error))?;
    }
    let text = match options.format {
        Format::Text => table(&all, options.requests),
        Format::Json => format!("{}\n", value(&all, options.requests)),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// Compiled code where this build can make it: that is what a server runs in.
fn fastest() -> brant::Tier {
    match cfg!(feature = "jit") && brant::why_nothing_is_compiled().is_none() {
        true => brant::Tier::Jit,
        false => brant::Tier::Interp,
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::load(format!("cannot write `{}`: {}", path.display(), cause(error)))
        .with_help("name a file in a directory that exists and that you may write to")
}

fn fault(error: impl std::fmt::Display) -> Failure {
    Failure::load(format!("the server of the comparison cannot run: {error}"))
}

/// One run: the time of the whole and then that of each request, in microseconds.
fn serve(
    module: &Module, construction: &str, policy: Threads, work: [&str; 3], requests: u32,
) -> Result<Vec<u64>, Failure> {
    let output = Captured::new();
    let mut process = Process::builder(module)
        .args(["constructions", construction])
        .args([CLIENTS.to_string(), requests.to_string()])
        .args(work)
        .stdout(Output::Capture(output.clone()))
        .threads(policy.into())
        .build()
        .map_err(fault)?;
    let status = process.run().map_err(fault)?;
    let times: Option<Vec<u64>> = output.text().lines().map(|line| line.parse().ok()).collect();
    match (status, times) {
        (ExitStatus::Exited(0), Some(times)) if times.len() == requests as usize + 1 => Ok(times),
        (status, _) => Err(fault(status)),
    }
}

impl Measured {
    /// From the time of the whole and those of all requests.
    fn of(
        mix: &'static str, construction: &'static str, policy: &'static str, mut times: Vec<u64>,
    ) -> Measured {
        let whole_us = times.remove(0).max(1);
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent).div_ceil(100) - 1];
        let throughput = times.len() as f64 * 1e6 / whole_us as f64;
        Measured { mix, construction, policy, throughput, p50_us: at(50), p99_us: at(99) }
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn table(all: &[Measured], requests: u32) -> String {
    let mut table = Table::new(["mix", "construction", "policy", "requests/s", "p50", "p99"]);
    for one in all {
        table.row([
            one.mix,
            one.construction,
            one.policy,
            &format!("{:.0}", one.throughput),
            &show_ns(one.p50_us * 1000),
            &show_ns(one.p99_us * 1000),
        ]);
    }
    let processors = processors();
    format!("{requests} requests of {CLIENTS} clients, {processors} processors\n\n{table}")
}

fn value(all: &[Measured], requests: u32) -> Value {
    let rows = all.iter().map(|one| {
        json!({
            "mix": one.mix,
            "construction": one.construction,
            "policy": one.policy,
            "requests_per_s": one.throughput,
            "p50_us": one.p50_us,
            "p99_us": one.p99_us,
        })
    });
    json!({
        "clients": CLIENTS,
        "requests": requests,
        "processors": processors(),
        "rows": rows.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_of_requests() {
        let times = [1_000_000].into_iter().chain((1..=200).rev()).collect();
        let one = Measured::of("mixed", "single", "user", times);
        assert_eq!((one.p50_us, one.p99_us), (100, 198));
        assert!((one.throughput - 200.0).abs() < 1e-9);
        let one = Measured::of("mixed", "single", "user", vec![0, 7]);
        assert_eq!((one.p50_us, one.p99_us), (7, 7));
    }
}
