//! Every step of a replacement fails, or is the last one that its host process makes: the old file
//! or the new one is there, whole.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use super::*;

/// What a step does instead of what it is asked to.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The disk is full.
    NoSpace,
    /// The disk is broken.
    Io,
    /// A part of the bytes is written, and then the disk is full.
    Short,
    /// The call is interrupted, once.
    Interrupted,
    /// The host process stands at this step until somebody kills it.
    Killed { before: bool },
}

/// The machine, with a fault at one of its steps.
struct Faulty {
    steps: u64,
    at: u64,
    fault: Fault,
    /// The disk stays as it has become.
    is_full: bool,
}

impl Faulty {
    fn new(at: u64, fault: Fault) -> Faulty {
        Faulty { steps: 0, at, fault, is_full: false }
    }

    fn step<T>(&mut self, work: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        self.steps += 1;
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if self.steps != self.at {
            return work(&mut Machine);
        }
        match self.fault {
            Fault::NoSpace | Fault::Short => Err(io::ErrorKind::StorageFull.into()),
            Fault::Io => Err(io::Error::other("input/output error")),
            Fault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
            Fault::Killed { before } => {
                if !before {
                    work(&mut Machine)?;
                }
                // Whoever waits for this byte kills the process.
                io::stdout().write_all(b"!")?;
                io::stdout().flush()?;
                loop {
                    std::thread::park();
                }
            }
        }
    }
}

impl Disk for Faulty {
    fn create(&mut self, path: &Path) -> io::Result<File> {
        self.step(|machine| machine.create(path))
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        if let Fault::Short = self.fault
            && self.steps + 1 == self.at
        {
            self.steps += 1;
            self.is_full = true;
            return Machine.write(file, &bytes[..bytes.len() / 2]);
        }
        self.step(|machine| machine.write(file, bytes))
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        self.step(|machine| machine.sync(file))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|machine| machine.rename(from, to))
    }
}

/// Small, so that there are many writes.
const PART_BYTES: usize = 512;

const OLD: &[u8] = b"the old file";

fn new_bytes(parts: usize) -> Vec<u8> {
    (0..parts * PART_BYTES + 77).map(|at| (at / 7) as u8).collect()
}

fn replace(disk: &mut Faulty, path: &Path, parts: usize) -> io::Result<()> {
    replace_on(disk, path, PART_BYTES, &mut |writer| {
        new_bytes(parts).chunks(PART_BYTES).try_for_each(|part| writer.write_all(part))
    })
}

/// How many steps there are.
fn count_of_steps(parts: usize) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = Faulty::new(0, Fault::Io);
    replace(&mut disk, &folder.path().join("file"), parts).expect("no fault");
    disk.steps
}

#[test]
fn every_step_may_fail() {
    const PARTS: usize = 5;
    let count = count_of_steps(PARTS);
    assert_eq!(count, 1 + PARTS as u64 + 1 + 3, "create, write, sync, rename, sync");
    for fault in [Fault::NoSpace, Fault::Io, Fault::Short, Fault::Interrupted] {
        for at in 1..=count {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("file");
            std::fs::write(&path, OLD).expect("a file");
            let replaced = replace(&mut Faulty::new(at, fault), &path, PARTS);
            let found = std::fs::read(&path).expect("there is a file at any instant");
            let is_new = found == new_bytes(PARTS);
            assert!(is_new || found == OLD, "{fault:?} at step {at}");
            // The last step is behind the new file, and only a write is made again.
            assert_eq!(is_new, replaced.is_ok() || at == count, "{fault:?} at step {at}");
            let names = std::fs::read_dir(folder.path()).expect("the folder").count();
            assert_eq!(names, 1, "{fault:?} at step {at}: something is left behind");
        }
    }
}

const PLAN: &str = "BRANT_TEST_KILLED_AT";

/// Without a plan in the environment this does nothing: it is what the next test starts, and kills.
#[test]
fn writer_that_is_killed() {
    let Some(plan) = std::env::var(PLAN).ok() else { return };
    let words: Vec<&str> = plan.split(' ').collect();
    let [at, before, parts, path] = words[..] else { panic!("a plan has four words") };
    let fault = Fault::Killed { before: before == "before" };
    let mut disk = Faulty::new(at.parse().expect("a step"), fault);
    replace(&mut disk, Path::new(path), parts.parse().expect("a count")).expect("no other fault");
    panic!("it was to be killed");
}

/// `cargo test` does a slice of it. The full count is
/// `KILL_POINTS=1000 cargo test --release -p brant --lib -- --nocapture killed`.
#[test]
fn a_writer_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let points: u64 =
        std::env::var("KILL_POINTS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    // Two points at each step: before it, and when it has just been made.
    let parts = (points / 2).saturating_sub(5).max(3) as usize;
    let count = count_of_steps(parts);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let whole = new_bytes(parts);
    let (mut old, mut new) = (0, 0);
    for at in 1..=count {
        for before in ["before", "behind"] {
            std::fs::write(&path, OLD).expect("a file");
            kill_at(&format!("{at} {before} {parts} {}", path.display()));
            let found = std::fs::read(&path).expect("there is a file at any instant");
            match found == whole {
                true => new += 1,
                false => {
                    assert_eq!(found, OLD, "step {at}, {before}");
                    old += 1;
                }
            }
        }
    }
    assert_eq!(new, 3, "behind the rename, and on both sides of the last step");
    println!("{} kills at {count} steps: {old} old files, {new} new ones, no other", old + new);
}

/// Starts a writer, waits until it stands at its step, and kills it.
fn kill_at(plan: &str) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "durable::tests::writer_that_is_killed", "--nocapture"])
        .env(PLAN, plan)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a process");
    let output = child.stdout.take().expect("it is piped");
    let stood =
        std::io::BufReader::new(output).bytes().any(|byte| byte.is_ok_and(|byte| byte == b'!'));
    child.kill().expect("it can be killed");
    let status = child.wait().expect("it has ended");
    assert!(stood, "{plan}: it has not come to its step");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{plan}");
}
