//! `--profile`: what the engine says about where time goes, in the forms that others read.
//!
//! Files are opened before the second wall stands, and written at the end.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::Duration;

use brant::{PerfMap, Process, Profile, Sample};

use super::exit::Failure;
use super::input::cause;
use super::options::RunOptions;

/// A prime number of microseconds, so that loops with a round time are not seen at one place only.
const INTERVAL: Duration = Duration::from_micros(997);

/// The profiles of a run.
#[derive(Default)]
pub struct Profiles {
    flame: Option<File>,
    perf_map: Option<Arc<PerfMap>>,
    running: Option<Profile>,
}

impl Profiles {
    /// Opens what the options name.
    pub fn new(kinds: &[String]) -> Result<Profiles, Failure> {
        let mut profiles = Profiles::default();
        for kind in kinds {
            match kind.split_once('=') {
                None if kind == "perfmap" => {
                    let map = PerfMap::new(open_perf_map()?);
                    profiles.perf_map = Some(Arc::new(map));
                }
                Some(("flame", path)) if !path.is_empty() => {
                    let file = File::create(path).map_err(|error| {
                        Failure::load(format!("cannot write `{path}`: {}", cause(&error)))
                    })?;
                    profiles.flame = Some(file);
                }
                _ => {
                    return Err(Failure::usage(format!("there is no profile `{kind}`"))
                        .with_help("there are `perfmap` and `flame=FILE`"));
                }
            }
        }
        Ok(profiles)
    }

    /// What the engine is to be told about.
    pub fn perf_map(&self) -> Option<Arc<PerfMap>> {
        self.perf_map.clone()
    }

    /// Begins to look at a process.
    pub fn begin(&mut self, process: &mut Process) -> Result<(), Failure> {
        if self.flame.is_some() {
            let running = process.profile(INTERVAL);
            self.running = Some(running.map_err(|error| Failure::load(error.to_string()))?);
        }
        Ok(())
    }

    /// Writes what was seen.
    pub fn finish(&mut self, process: &Process, options: &RunOptions) {
        self.running = None;
        let Some(file) = self.flame.take() else { return };
        let program = options.program.first().map(|name| name.to_string_lossy().into_owned());
        if let Err(error) = write_flame(file, &process.samples(), &program.unwrap_or_default()) {
            eprintln!("brant: the flame graph could not be written: {error}");
        }
    }
}

/// Where `perf` looks for the names of code that is in no file. It takes no file of another user, and
/// an old one has names of a process that is gone.
fn open_perf_map() -> Result<File, Failure> {
    let path = format!("/tmp/perf-{}.map", std::process::id());
    let open = || {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| Failure::load(format!("cannot write `{path}`: {}", cause(&error))))
    };
    open().or_else(|_| {
        // What cannot be removed is somebody else's, as the second try will say.
        let _ = std::fs::remove_file(&path);
        open()
    })
}

/// One line for each stack: its functions, separated by semicolons, and how often it was seen.
fn folded(samples: &[Sample]) -> Vec<String> {
    let lines = samples.iter().map(|sample| {
        let frames = sample.frames.iter().map(|frame| frame.replace(';', ":"));
        format!("{} {}", frames.collect::<Vec<_>>().join(";"), sample.count)
    });
    lines.collect()
}

fn write_flame(file: File, samples: &[Sample], title: &str) -> Result<(), String> {
    let mut out = BufWriter::new(file);
    let lines = match samples {
        // The program was too short to be seen.
        [] => vec!["<nothing was seen> 1".to_owned()],
        samples => folded(samples),
    };
    let mut options = inferno::flamegraph::Options::default();
    options.title = title.to_owned();
    options.deterministic = true;
    let lines = lines.iter().map(String::as_str);
    inferno::flamegraph::from_lines(&mut options, lines, &mut out)
        .map_err(|error| error.to_string())?;
    out.flush().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_lines_from_the_outside_in() {
        let sample = |frames: &[&str], count| Sample {
            frames: frames.iter().map(ToString::to_string).collect(),
            count,
        };
        let samples = [sample(&["main", "work"], 7), sample(&["odd;name"], 1)];
        assert_eq!(folded(&samples), ["main;work 7", "odd:name 1"]);
    }

    #[test]
    fn other_kinds_are_refused() {
        for kind in ["flame", "flame=", "perf", ""] {
            assert!(Profiles::new(&[kind.to_owned()]).is_err(), "{kind}");
        }
    }
}
