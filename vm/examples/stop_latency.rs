//! How long a stop that another thread asks for takes, until the guest's own thread has the process
//! at hand and standing: `stop_latency [--samples N] FILE [ARGS]`, once in each tier.
//!
//! What counts is time on the processor. A sample is left out if either thread was taken off its
//! processor against its will meanwhile: without that, the clock on the wall is the processor's.

use std::fs;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use brant::{
    Captured, Config, Engine, ExitStatus, Interrupt, Module, MountAccess, Output, Process, Tier,
};

/// Stops come after at most so many nanoseconds.
const DELAY_NS: u64 = 2_000_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).peekable();
    let mut wanted = 2000;
    if args.next_if(|arg| arg == "--samples").is_some() {
        wanted = args.next().ok_or("--samples has no number")?.parse()?;
    }
    let file = args.next().ok_or("usage: stop_latency [--samples N] FILE [ARGS]")?;
    let args: Vec<String> = [file.clone()].into_iter().chain(args).collect();
    println!(
        "{:8}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "tier", "samples", "left out", "p50", "p99", "max"
    );
    for tier in [Tier::Interp, Tier::Jit, Tier::Auto] {
        let (mut latencies, left_out) = measure(tier, &file, &args, wanted)?;
        latencies.sort_unstable();
        let at = |share: f64| match latencies.len() {
            0 => "-".to_owned(),
            count => {
                let ns = latencies[((count - 1) as f64 * share) as usize];
                format!("{:.1} us", ns as f64 / 1000.0)
            }
        };
        let (count, name) = (latencies.len(), tier.name());
        println!("{name:8}{count:>10}{left_out:>10}{:>10}{:>10}{:>10}", at(0.5), at(0.99), at(1.0));
    }
    Ok(())
}

/// Latencies in nanoseconds, and how many samples were left out.
fn measure(
    tier: Tier, file: &str, args: &[String], wanted: usize,
) -> Result<(Vec<u64>, usize), Box<dyn std::error::Error>> {
    let engine = Engine::new(&brant::with_compiler(Config { tier, ..Config::default() }))?;
    let module = Module::from_file(&engine, file)?;
    let (orders, asked) = channel();
    let (answers, answered) = channel();
    let asker = std::thread::spawn(move || ask(asked, answers));
    let (mut latencies, mut left_out, mut seed) = (Vec::new(), 0, 1u64);
    // A program that ends begins again.
    while latencies.len() + left_out < wanted {
        let builder = Process::builder(&module).args(args.iter().cloned());
        let builder = builder.stdout(Output::Capture(Captured::new()));
        let mut process = builder.mount(".", ".", MountAccess::ReadWrite).build()?;
        loop {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let delay = Duration::from_nanos((seed >> 33) % DELAY_NS);
            let switches = switches_count();
            orders.send((process.interrupt_handle(), delay))?;
            let status = process.run()?;
            let stopped_at = Instant::now();
            let answer = answered.recv()?;
            if !matches!(status, ExitStatus::Stopped(_)) {
                break;
            }
            match answer {
                // Asked for while the last stop was still on its way to the host: nothing ran.
                Some(asked_at) if switches_count() == switches && stopped_at > asked_at => {
                    latencies.push((stopped_at - asked_at).as_nanos() as u64);
                }
                _ => left_out += 1,
            }
            if latencies.len() + left_out >= wanted {
                break;
            }
        }
    }
    drop(orders);
    asker.join().map_err(|_| "the thread that asks has panicked")?;
    Ok((latencies, left_out))
}

/// Asks for stops, and answers when it did; none where it was interrupted itself.
fn ask(orders: Receiver<(Interrupt, Duration)>, answers: Sender<Option<Instant>>) {
    for (interrupt, delay) in orders {
        let began = Instant::now();
        while began.elapsed() < delay {
            std::hint::spin_loop();
        }
        let switches = switches_count();
        let asked_at = Instant::now();
        interrupt.interrupt();
        let answer = (switches_count() == switches).then_some(asked_at);
        if answers.send(answer).is_err() {
            return;
        }
    }
}

/// How often this thread was taken off its processor against its will.
fn switches_count() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
