//! The command line: one file for each verb, and what they share.
//!
//! `brant FILE ARGS` means `brant run FILE ARGS`; options of the machine stand before the file and
//! everything behind it belongs to the guest.
//! A verb returns an exit code or a [`Failure`]; only this file prints failures and only this file
//! knows the order in which words of a command line are looked at.

mod asm;
mod bench;
mod binfmt;
mod cache;
mod check;
mod checkpoint;
mod compile;
mod completions;
mod control;
mod dis;
mod doctor;
#[cfg(feature = "node")]
mod elsewhere;
mod exit;
mod freeze;
mod input;
mod inspect;
mod limit;
mod man;
#[cfg(feature = "node")]
mod node;
mod options;
mod output;
mod profile;
mod restore;
mod run;
mod signals;
mod strace;
mod table;
#[cfg(feature = "node")]
mod tenant;
mod terminal;
#[cfg(feature = "top")]
mod top;
mod tree;
mod units;
mod wall;
mod wasmtime;
mod wast;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser;

use exit::Failure;
use options::RunOptions;

/// A process virtual machine for WebAssembly: assembles, inspects and runs programs in a sandbox.
#[derive(Parser)]
#[command(
    name = "brant",
    version = VERSION,
    after_help = AFTER_HELP,
    disable_help_subcommand = false,
    override_usage = "brant [OPTIONS] FILE [ARGS]\n       brant VERB ..."
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

/// The command line of `run`, of which no other verb is known: those cost a start more than the guest.
#[derive(Parser)]
struct RunLine {
    #[command(flatten)]
    options: RunOptions,
}

impl RunLine {
    /// What a line with options means; None if it is not plainly a run, or is to be answered with
    /// help or a mistake, which the whole command line words.
    fn read(words: &[OsString]) -> Option<RunOptions> {
        let (first, rest) = words.split_first()?;
        let rest = match rest.first()?.as_encoded_bytes() {
            b"run" => &rest[1..],
            _ if names_verb(rest.first()) => return None,
            _ => rest,
        };
        let line = Self::try_parse_from([first].into_iter().chain(rest)).ok()?;
        Some(line.options)
    }
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BRANT_COMMIT"), ")");

const AFTER_HELP: &str = "\
`brant FILE ARGS` is `brant run FILE ARGS`: see `brant run --help` for its options.

Exit codes of a run are listed in `brant run --help`.";

const AFTER_FORK: &str = "\
The copy is a program of its own, with the id of this command: it reads and writes the standard
streams of this command, reaches what is granted here, and draws other random numbers. The original
goes on as if nothing had happened, with its own streams. ID is its number as `brant ps` shows it.

Exit codes are those of `brant run`.";

#[cfg(feature = "node")]
const AFTER_SETTLE: &str = "\
A node that has given a program up keeps a copy, which does not run, until the destination has brought
the program to its disk; `brant ps NODE` shows it as `fenced`. If the destination never answers again,
somebody has to decide. It is asked once more first: if it answers, nothing has to be decided.";

#[derive(clap::Subcommand)]
enum Verb {
    /// Run a program (the verb may be left out)
    #[command(after_help = exit::TABLE, override_usage = "brant [run] [OPTIONS] FILE [ARGS]...")]
    Run(Box<RunOptions>),
    /// Go on with a program from its snapshot
    #[command(
        after_help = exit::TABLE, override_usage = "brant restore [OPTIONS] SNAPSHOT [ARGS]..."
    )]
    Restore(Box<RunOptions>),
    /// Run a program to a point and write a snapshot that starts there
    Freeze(Box<freeze::FreezeOptions>),
    /// Assemble text into bytecode
    Asm(asm::AsmOptions),
    /// Disassemble bytecode into text
    Dis(dis::DisOptions),
    /// Compile a module before it runs, and keep the code
    Compile(compile::CompileOptions),
    /// Show or remove compiled code that is kept on disk
    Cache(cache::CacheOptions),
    /// Parse and validate modules, and say what is wrong with them
    Check(check::CheckOptions),
    /// Run specification scripts
    Wast(wast::WastOptions),
    /// Say what is in a module or a snapshot
    Inspect(inspect::InspectOptions),
    /// Measure a program in each tier: time, memory, compiling
    #[command(
        after_long_help = bench::AFTER_HELP,
        override_usage = "brant bench [OPTIONS] FILE [ARGS]...\n       brant bench threads [OPTIONS]"
    )]
    Bench(Box<bench::BenchOptions>),
    /// List the programs of this user that run
    Ps(control::PsOptions),
    /// Watch the programs of this user, and steer them
    #[cfg(feature = "top")]
    #[command(after_help = top::AFTER_HELP)]
    Top(top::TopOptions),
    /// Let a program stand still
    Pause(control::ProgramOptions),
    /// Let a program that was paused go on
    Resume(control::ProgramOptions),
    /// End a program (its exit code is 137), or send it a signal
    Kill(control::KillOptions),
    /// Show or change how much a program that runs may have
    Limit(limit::LimitOptions),
    /// Watch the system calls of a program that runs
    Strace(strace::StraceOptions),
    /// Change how the instructions of a program that runs are executed
    Tier(control::TierOptions),
    /// Write a snapshot of a program that runs
    Checkpoint(checkpoint::CheckpointOptions),
    /// Let a copy of a program that runs go on in this terminal
    #[command(
        after_help = AFTER_FORK, override_usage = "brant fork [OPTIONS] ID [ARGS]..."
    )]
    Fork(Box<RunOptions>),
    /// Take programs in, run them, and pass them on
    #[cfg(feature = "node")]
    Node(node::NodeOptions),
    /// Start a program on a node
    #[cfg(feature = "node")]
    Push(node::PushOptions),
    /// Move a program that runs to a node
    #[cfg(feature = "node")]
    Migrate(node::MigrateOptions),
    /// Decide about a program whose destination does not answer
    #[cfg(feature = "node")]
    #[command(after_help = AFTER_SETTLE)]
    Settle(node::SettleOptions),
    /// Be the terminal of a program on a node
    #[cfg(feature = "node")]
    Attach(node::AttachOptions),
    /// Say what this kernel and machine support
    Doctor(doctor::DoctorOptions),
    /// Print a script that completes the command line of a shell
    Completions(completions::CompletionsOptions),
    /// Write the manual pages
    Man(man::ManOptions),
    /// Print what makes Linux run modules like native programs
    Binfmt,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // A panic is a fault of ours: the hook has printed where, and the guest ends with a code that
    // says whose fault it was.
    let outcome = catch_unwind(AssertUnwindSafe(|| dispatch(words)));
    match outcome {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(failure)) => {
            // There is nothing to be done when standard error is closed.
            let _ = write!(std::io::stderr(), "{failure}");
            ExitCode::from(failure.code)
        }
        Err(_) => {
            let _ = writeln!(
                std::io::stderr(),
                "error: brant {VERSION} has failed, which is a fault of its own\n \
                 help: please report it with the command line and the lines above"
            );
            ExitCode::from(exit::INTERNAL)
        }
    }
}

/// `restore` and `fork` take options behind the file or id too: a program that goes on has its
/// arguments already, and hardly gets others. Behind `--` stand those that it gets.
fn options_behind(mut line: CommandLine, words: &[OsString]) -> Result<CommandLine, clap::Error> {
    let (Verb::Restore(options) | Verb::Fork(options)) = &mut line.verb else { return Ok(line) };
    let (before, behind) = words.split_at(words.len() - options.program.len());
    let Some((file, behind)) = behind.split_first() else { return Ok(line) };
    match behind.first() {
        Some(word) if word == "--" => drop(options.program.remove(1)),
        Some(word) if word.as_encoded_bytes().starts_with(b"-") && word != "-" => {
            let words = before.iter().chain(behind).chain([file]);
            let mut line = CommandLine::try_parse_from(words)?;
            if let Verb::Restore(options) | Verb::Fork(options) = &mut line.verb {
                options.program.rotate_right(1);
            }
            return Ok(line);
        }
        _ => {}
    }
    Ok(line)
}

fn dispatch(mut words: Vec<OsString>) -> Result<u8, Failure> {
    if let Some(program) = plain_program(&words) {
        return run::run(RunOptions::plain(words.split_off(program)));
    }
    if let Some(options) = RunLine::read(&words) {
        return run::run(options);
    }
    if !names_verb(words.get(1)) {
        words.insert(1, "run".into());
    }
    let line =
        match CommandLine::try_parse_from(&words).and_then(|line| options_behind(line, &words)) {
            Ok(line) => line,
            Err(error) => return show(&error),
        };
    match line.verb {
        Verb::Run(options) => run::run(*options),
        Verb::Restore(options) => restore::restore(*options),
        Verb::Freeze(mut options) => freeze::freeze(&mut options),
        Verb::Asm(options) => asm::asm(&options),
        Verb::Dis(options) => dis::dis(&options),
        Verb::Compile(options) => compile::compile(&options),
        Verb::Cache(options) => cache::cache(&options),
        Verb::Check(options) => check::check(&options),
        Verb::Wast(options) => wast::wast(&options),
        Verb::Inspect(options) => inspect::inspect(&options),
        Verb::Bench(options) => bench::bench(&options),
        Verb::Ps(options) => control::ps(&options),
        #[cfg(feature = "top")]
        Verb::Top(options) => top::top(&options),
        Verb::Pause(options) => control::steer("pause", &options),
        Verb::Resume(options) => control::steer("resume", &options),
        Verb::Kill(options) => control::kill(&options),
        Verb::Limit(options) => limit::limit_program(&options),
        Verb::Strace(options) => strace::strace(&options),
        Verb::Tier(options) => control::tier(&options),
        Verb::Checkpoint(options) => checkpoint::checkpoint(&options),
        Verb::Fork(options) => restore::fork(*options),
        #[cfg(feature = "node")]
        Verb::Node(options) => node::node(&options),
        #[cfg(feature = "node")]
        Verb::Push(options) => node::push(&options),
        #[cfg(feature = "node")]
        Verb::Migrate(options) => node::migrate(&options),
        #[cfg(feature = "node")]
        Verb::Settle(options) => node::settle(&options),
        #[cfg(feature = "node")]
        Verb::Attach(options) => node::attach(&options),
        Verb::Doctor(options) => doctor::doctor(&options),
        Verb::Completions(options) => completions::completions(&options),
        Verb::Man(options) => man::man(&options),
        Verb::Binfmt => binfmt::binfmt(),
    }
}

/// The index of the program where the command line has no option before it.
///
/// Such a line needs no parser, and is what `binfmt`, cargo runners and most people write: clap
/// would cost it several times what the start of the guest costs.
fn plain_program(words: &[OsString]) -> Option<usize> {
    let index = match words.get(1)?.as_encoded_bytes() {
        b"run" => 2,
        _ if names_verb(words.get(1)) => return None,
        _ => 1,
    };
    match words.get(index)?.as_encoded_bytes() {
        b"-" => Some(index),
        [b'-', ..] => None,
        _ => Some(index),
    }
}

/// Whether the first word decides what is done; any other belongs to `run`.
fn names_verb(word: Option<&OsString>) -> bool {
    const OTHERS: [&str; 6] = ["help", "-h", "--help", "-V", "--version", "run"];
    match word.and_then(|word| word.to_str()) {
        None => word.is_none(),
        Some(word) => VERBS.contains(&word) || OTHERS.contains(&word),
    }
}

/// Every verb but `run` and `help`; a test holds it against what clap knows.
const VERBS: &[&str] = &[
    "restore",
    "freeze",
    "asm",
    "dis",
    "compile",
    "cache",
    "check",
    "wast",
    "inspect",
    "bench",
    "ps",
    #[cfg(feature = "top")]
    "top",
    "pause",
    "resume",
    "kill",
    "limit",
    "strace",
    "tier",
    "checkpoint",
    "fork",
    #[cfg(feature = "node")]
    "node",
    #[cfg(feature = "node")]
    "push",
    #[cfg(feature = "node")]
    "migrate",
    #[cfg(feature = "node")]
    "settle",
    #[cfg(feature = "node")]
    "attach",
    "doctor",
    "completions",
    "man",
    "binfmt",
];

/// Prints help, the version, or what is wrong with the command line, each where it belongs.
fn show(error: &clap::Error) -> Result<u8, Failure> {
    match error.print() {
        Ok(()) => Ok(if error.use_stderr() { exit::USAGE } else { 0 }),
        Err(cause) => Err(cause.into()),
    }
}

/// The verb that somebody may have meant who wrote a file that is not there.
fn similar_verb(word: &str) -> Option<&'static str> {
    let distance = |verb: &&str| strsim::damerau_levenshtein(word, verb);
    VERBS
        .iter()
        .copied()
        .chain(["run", "help"])
        .filter(|verb| distance(verb) <= 2)
        .min_by_key(distance)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_list_of_verbs_is_complete() {
        let command = CommandLine::command();
        let known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let listed: Vec<&str> = ["run"].into_iter().chain(VERBS.iter().copied()).collect();
        assert_eq!(known, listed);
    }

    #[test]
    fn a_line_without_options_means_the_same_with_and_without_clap() {
        for line in [["brant", "run", "a.wasm", "--dir", "x"], ["brant", "run", "-", "-h", "--"]] {
            let words: Vec<OsString> = line.iter().map(OsString::from).collect();
            let index = plain_program(&words).expect("no option before the program");
            let Verb::Run(parsed) = CommandLine::try_parse_from(&words).expect("it parses").verb
            else {
                panic!("the verb is run");
            };
            assert_eq!(*parsed, RunOptions::plain(words[index..].to_vec()));
        }
    }

    #[test]
    fn the_line_of_run_alone_means_what_the_whole_line_means() {
        let lines = [
            "brant run --dir . --tier jit a.wasm --dir x",
            "brant --env A=B --fuel 7 -W timeout=3s a.wasm -- -x",
            "brant run --max-memory 1M - run",
            "brant run -S inherit-env --trace a.wasm run",
        ];
        for line in lines {
            let mut words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let alone = RunLine::read(&words).unwrap_or_else(|| panic!("{line}"));
            if !names_verb(words.get(1)) {
                words.insert(1, "run".into());
            }
            let whole = CommandLine::try_parse_from(&words).map(|line| line.verb);
            let Ok(Verb::Run(whole)) = whole else { panic!("{line}") };
            assert_eq!(alone, *whole);
        }
        // Help and mistakes are the whole line's.
        for line in ["brant run --help", "brant --no-such-option a.wasm", "brant asm a.wat"] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(RunLine::read(&words).is_none(), "{line}");
        }
    }

    #[test]
    fn options_go_through_clap() {
        let words = |line: &[&str]| line.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(plain_program(&words(&["brant", "--dir", ".", "a.wasm"])), None);
        assert_eq!(plain_program(&words(&["brant", "asm", "a.wat"])), None);
        assert_eq!(plain_program(&words(&["brant"])), None);
        assert_eq!(plain_program(&words(&["brant", "a.wasm"])), Some(1));
    }

    #[test]
    fn a_misspelt_verb_is_recognised() {
        assert_eq!(similar_verb("chekc"), Some("check"));
        assert_eq!(similar_verb("program.wasm"), None);
    }
}
