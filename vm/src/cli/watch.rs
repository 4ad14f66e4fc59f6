//! What a user sees of a run besides its output: traces, counts, statistics.
//!
//! Files are opened before the second wall stands, so that nothing has to be opened at the end.
//! It must never change what the guest sees.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use brant::control::trace_line;
use brant::{CodeCounts, Process, ProcessBuilder, TracedCall, TracedEnd, system_call_groups};
use brant_host::native::NativeHost;
use brant_kernel::host::{Clock, Host};
use serde_json::{Value, json};

use super::exit::Failure;
use super::input::cause;
use super::options::{Format, RunOptions};
use super::table::Table;
use super::units::show_bytes;

/// What is kept from the start of a run for the end of it.
pub struct Watch {
    shared: Arc<Mutex<Shared>>,
    counts: bool,
    start: Start,
    stats: bool,
    /// Where statistics go for `brant bench`.
    report: Option<File>,
    format: Format,
    fuel: Option<u64>,
}

/// What the trace and the end of the run both write to.
struct Shared {
    out: Box<dyn Write + Send>,
    /// By name: how many calls ended, and how many of them with an error.
    calls: BTreeMap<&'static str, (u64, u64)>,
}

/// What statistics begin with.
struct Start {
    at: Instant,
    /// The system's page about this process; absent where it has none.
    page: Option<File>,
    /// How long it took until the program could begin.
    ready_ns: u64,
}

impl Watch {
    /// Looks at the options and opens what they need.
    pub fn new(options: &RunOptions) -> Result<Watch, Failure> {
        let create = |path: &std::path::PathBuf| {
            File::create(path).map_err(|error| {
                Failure::load(format!("cannot write `{}`: {}", path.display(), cause(&error)))
            })
        };
        let out: Box<dyn Write + Send> = match &options.trace_output {
            // A file gets whole blocks; a terminal gets each line when it happens.
            Some(path) => Box::new(BufWriter::new(create(path)?)),
            None => Box::new(std::io::stderr()),
        };
        let report = options.report_to.as_ref().map(create).transpose()?;
        let is_watched = options.stats || report.is_some();
        let page = is_watched.then(|| File::open("/proc/self/status").ok()).flatten();
        Ok(Watch {
            shared: Arc::new(Mutex::new(Shared { out, calls: BTreeMap::new() })),
            counts: options.trace_counts,
            start: Start { at: Instant::now(), page, ready_ns: 0 },
            stats: options.stats,
            report,
            format: options.format,
            fuel: options.fuel,
        })
    }

    /// Puts the trace in, where one is wanted.
    pub fn attach(
        &self, builder: ProcessBuilder, options: &RunOptions,
    ) -> Result<ProcessBuilder, Failure> {
        let groups = groups(options.trace.as_deref().unwrap_or("all"))?;
        let lines = options.trace.is_some();
        if !lines && !self.counts {
            return Ok(builder);
        }
        let (shared, format) = (self.shared.clone(), self.format);
        Ok(builder.trace(&groups, move |call| {
            let mut shared = lock(&shared);
            shared.count(call);
            if lines {
                // A trace that nobody can read is no reason to disturb the program.
                let _ = match format {
                    Format::Text if call.pid == 1 => writeln!(shared.out, "{}", call.line),
                    Format::Text => writeln!(shared.out, "[{}] {}", call.pid, call.line),
                    Format::Json => writeln!(shared.out, "{}", trace_line(call)),
                };
            }
        }))
    }

    /// Takes note that the program begins.
    pub fn begin(&mut self) {
        self.start.ready_ns = self.start.at.elapsed().as_nanos() as u64;
    }

    /// Writes what is known at the end.
    pub fn finish(&mut self, process: &mut Process, code: CodeCounts) {
        let mut shared = lock(&self.shared);
        let mut text = String::new();
        if self.counts {
            text.push_str(&shared.summary(self.format));
        }
        let code = (self.fuel, code);
        if let Some(report) = &mut self.report {
            let value = statistics(&mut self.start, process, code, Format::Json);
            let _ = report.write_all(value.as_bytes());
        }
        if self.stats {
            text.push_str(&statistics(&mut self.start, process, code, self.format));
        }
        // As above: nobody is there to be told.
        let _ = shared.out.write_all(text.as_bytes());
        let _ = shared.out.flush();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Counters are whole after every call, so a panic elsewhere does not spoil them.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn count(&mut self, call: &TracedCall<'_>) {
        let failed = match call.end {
            TracedEnd::Waits => return,
            TracedEnd::Errno(name) => name != "success",
            TracedEnd::Exit(_) => false,
        };
        let (calls, errors) = self.calls.entry(call.name).or_default();
        *calls += 1;
        *errors += u64::from(failed);
    }

    /// The calls, most frequent first.
    fn summary(&self, format: Format) -> String {
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        match format {
            Format::Text => {
                let mut table = Table::new(["calls", "errors", "system call"]);
                for (name, (count, errors)) in &calls {
                    table.row([&count.to_string(), &errors.to_string(), **name]);
                }
                table.to_string()
            }
            Format::Json => {
                let list: Vec<Value> = calls
                    .into_iter()
                    .map(|(name, (calls, errors))| {
                        json!({ "call": name, "calls": calls, "errors": errors })
                    })
                    .collect();
                format!("{}\n", json!({ "counts": list }))
            }
        }
    }
}

/// The topics of a comma-separated list; none for all.
pub(super) fn groups(list: &str) -> Result<Vec<&str>, Failure> {
    if list == "all" {
        return Ok(Vec::new());
    }
    let known: Vec<&str> = system_call_groups().collect();
    list.split(',')
        .map(|name| match known.contains(&name) {
            true => Ok(name),
            false => Err(Failure::usage(format!("no group of system calls is called `{name}`"))
                .with_help(format!("there are all, {}", known.join(", ")))),
        })
        .collect()
}

fn statistics(
    start: &mut Start, process: &mut Process, (fuel, code): (Option<u64>, CodeCounts),
    format: Format,
) -> String {
    let wall_ns = start.at.elapsed().as_nanos() as u64;
    let cpu_ns = NativeHost::new().now_ns(Clock::ProcessCpu).ok();
    let operators = fuel.map(|fuel| fuel.saturating_sub(process.fuel()));
    let memory_bytes = process.memory_bytes();
    let peak_bytes = start.page.as_mut().and_then(peak_bytes);
    let calls = process.system_call_counts();
    if format == Format::Json {
        let calls: BTreeMap<&str, u64> = calls.into_iter().collect();
        let value = json!({
            "wall_ns": wall_ns, "cpu_ns": cpu_ns, "ready_ns": start.ready_ns,
            "operators": operators, "linear_memory_bytes": memory_bytes, "peak_bytes": peak_bytes,
            "compiler": {
                "compiled": code.compiled, "stored": code.stored,
                "code_bytes": code.code_bytes, "time_ns": code.compile_ns,
            },
            "calls": calls,
        });
        return format!("{value}\n");
    }
    let time = |ns: u64| format!("{:.3} ms", ns as f64 / 1e6);
    let sum: u64 = calls.iter().map(|(_, count)| count).sum();
    let has_code = code.compiled + code.stored > 0;
    let rows = [
        ("time", Some(time(wall_ns))),
        ("processor time", cpu_ns.map(time)),
        ("operators", operators.map(|count| count.to_string())),
        ("linear memory", Some(show_bytes(memory_bytes))),
        ("peak memory", peak_bytes.map(show_bytes)),
        ("compiled", has_code.then(|| code.compiled.to_string())),
        ("from the cache", has_code.then(|| code.stored.to_string())),
        ("machine code", has_code.then(|| show_bytes(code.code_bytes))),
        ("compile time", has_code.then(|| time(code.compile_ns))),
        ("system calls", Some(sum.to_string())),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        if let Some(value) = value {
            text.push_str(&format!("{name:16}{value}\n"));
        }
    }
    for (name, count) in calls {
        text.push_str(&format!("  {name:22}{count}\n"));
    }
    text
}

/// How much memory the process has had at most, from the system's page about it.
fn peak_bytes(page: &mut File) -> Option<u64> {
    /// The page is about 1.5 KiB long.
    const PAGE_LIMIT_BYTES: u64 = 1 << 16;
    let mut text = String::new();
    page.rewind().ok()?;
    page.take(PAGE_LIMIT_BYTES).read_to_string(&mut text).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_name() {
        assert_eq!(groups("all").expect("all"), Vec::<&str>::new());
        assert_eq!(groups("file,path").expect("two groups"), ["file", "path"]);
        assert!(groups("fiel").is_err());
        assert!(groups("").is_err());
    }

    #[test]
    fn the_systems_page_tells_the_peak() {
        let mut page = File::open("/proc/self/status").expect("Linux has it");
        assert!(peak_bytes(&mut page).is_some_and(|bytes| bytes > 1 << 16));
    }
}
