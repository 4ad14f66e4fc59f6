//! The options of `brant run`, as clap reads them from this one structure.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use brant::NetRule;

use super::units;

/// Runs a program.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub struct RunOptions {
    /// Grant a directory; GUEST is its name inside, `:ro` forbids changes.
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]", help_heading = GRANTS)]
    pub dirs: Vec<String>,

    /// Set a variable of the guest's environment, or pass one on.
    #[arg(long = "env", value_name = "NAME[=VALUE]", help_heading = GRANTS)]
    pub env: Vec<String>,

    /// Pass the whole environment on.
    #[arg(long, help_heading = GRANTS)]
    pub env_inherit: bool,

    /// Open a listening socket and hand it to the guest.
    #[arg(long, value_name = "ADDR:PORT", help_heading = GRANTS)]
    pub listen: Vec<String>,

    /// The same; should the program be migrated, its connections stay here and are passed on.
    #[arg(long, value_name = "ADDR:PORT", help_heading = GRANTS)]
    pub serve: Vec<String>,

    /// Let the guest's own sockets reach others: [deny:]connect|listen|resolve[:WHO[:PORTS]].
    #[arg(long, value_name = "RULE", help_heading = GRANTS)]
    pub net: Vec<NetRule>,

    /// Let terminal control sequences of the guest through unfiltered.
    #[arg(long, help_heading = GRANTS)]
    pub trust_terminal: bool,

    /// Call an exported function, print its results, and leave `_start` alone.
    #[arg(long, value_name = "NAME", help_heading = PROGRAM)]
    pub invoke: Option<String>,

    /// Link another module first and let the program import from it under NAME.
    #[arg(long, value_name = "NAME=FILE", help_heading = PROGRAM)]
    pub preload: Vec<String>,

    /// What the guest sees as its own name (default: FILE's name).
    #[arg(long, value_name = "NAME", help_heading = PROGRAM)]
    pub argv0: Option<String>,

    /// Features the module may use: `wasm1`, `wasm2` or `all`, then `+name` or `-name`.
    #[arg(long, value_name = "LIST", help_heading = PROGRAM, allow_hyphen_values = true)]
    pub features: Option<String>,

    /// When function bodies are validated.
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = PROGRAM)]
    pub validate: Validate,

    /// How instructions are executed.
    #[arg(long, value_enum, default_value_t, value_name = "TIER", help_heading = PROGRAM)]
    pub tier: Tier,

    /// On which threads of the host the guest's threads run.
    #[arg(long, value_enum, default_value_t, value_name = "POLICY", help_heading = PROGRAM)]
    pub threads: Threads,

    /// Neither look for compiled code on disk nor keep it there (see `brant cache`).
    #[arg(long, help_heading = PROGRAM)]
    pub no_cache: bool,

    /// End the guest after this many operators (exit code 124).
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub fuel: Option<u64>,

    /// End the guest after this time (exit code 124).
    #[arg(long, value_name = "TIME", value_parser = units::duration, help_heading = LIMITS)]
    pub timeout: Option<Duration>,

    /// Linear memory, all memories together.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = LIMITS)]
    pub max_memory: Option<u64>,

    /// Guest stack of a thread, in bytes of guest frames (default: 1MiB).
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = LIMITS)]
    pub max_stack: Option<u64>,

    /// Elements of all tables together.
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub max_table_elements: Option<u64>,

    /// Instances, the program itself and its preloads included.
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub max_instances: Option<u64>,

    /// Descriptors that are open at the same time.
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub max_open_files: Option<u64>,

    /// Sockets and connections that are open at the same time.
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub max_sockets: Option<u64>,

    /// Threads that the program may start.
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub max_threads: Option<u64>,

    /// Processes that the program and all it starts may be at a time.
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = LIMITS)]
    pub max_processes: Option<u64>,

    /// Bytes written to files.
    #[arg(long, value_name = "SIZE", value_parser = units::bytes, help_heading = LIMITS)]
    pub max_disk: Option<u64>,

    /// Share of processors: 50% is half of one, 200% are two.
    #[arg(long, value_name = "PERCENT", value_parser = units::percent, help_heading = LIMITS)]
    pub max_cpu: Option<u64>,

    /// Repeat a run exactly: fixes NaN bits, makes clocks virtual and random numbers seeded.
    #[arg(long, help_heading = REPEAT)]
    pub deterministic: bool,

    /// Seed of the random numbers of `--deterministic` and `--sim`.
    #[arg(long, value_name = "NUMBER", value_parser = units::count, help_heading = REPEAT)]
    pub seed: Option<u64>,

    /// Run on a simulated host: granted directories begin empty and live in memory, clocks are
    /// virtual.
    #[arg(long, help_heading = REPEAT)]
    pub sim: bool,

    /// Write a snapshot at intervals, in place of the one before: `10s:FILE`.
    #[arg(long, value_name = "TIME:FILE", help_heading = MOVE)]
    pub checkpoint_every: Option<String>,

    /// Write a snapshot at the N-th site (entry of a function, loop header), for tests.
    #[arg(
        long, value_name = "N", value_parser = units::count, requires = "checkpoint_to",
        help_heading = MOVE
    )]
    pub checkpoint_at: Option<u64>,

    /// Where `--checkpoint-at` writes.
    #[arg(long, value_name = "FILE", requires = "checkpoint_at", help_heading = MOVE)]
    pub checkpoint_to: Option<PathBuf>,

    /// Write a snapshot if the program traps, for `brant inspect` to look into.
    #[arg(long, value_name = "FILE", help_heading = MOVE)]
    pub on_trap: Option<PathBuf>,

    /// Stop behind the snapshot of `--checkpoint-at` (exit code 75).
    #[arg(long, requires = "checkpoint_at", help_heading = MOVE)]
    pub stop: bool,

    /// Print each system call, or those of some groups, on standard error: args, clock, file, path,
    /// poll, process, random, socket.
    #[arg(
        long,
        value_name = "GROUPS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        help_heading = WATCH
    )]
    pub trace: Option<String>,

    /// Count system calls and print a summary at the end.
    #[arg(long, help_heading = WATCH)]
    pub trace_counts: bool,

    /// Write traces and summaries to a file.
    #[arg(long, value_name = "FILE", help_heading = WATCH)]
    pub trace_output: Option<PathBuf>,

    /// Profile the guest: `flame=FILE` writes a flame graph of its functions (SVG) at the end,
    /// `perfmap` tells Linux' `perf` the names of compiled functions in /tmp/perf-PID.map.
    #[arg(long, value_name = "KIND", help_heading = WATCH)]
    pub profile: Vec<String>,

    /// Print time, operators (with --fuel), memory and system calls at the end.
    #[arg(long, help_heading = WATCH)]
    pub stats: bool,

    /// Write the statistics, as JSON, to a file as well: how `brant bench` hears from a run.
    #[arg(long, value_name = "FILE", hide = true)]
    pub report_to: Option<PathBuf>,

    /// Form of traces, summaries and statistics.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = WATCH)]
    pub format: Format,

    /// Say what brant decides on the way.
    #[arg(short, long, help_heading = WATCH)]
    pub verbose: bool,

    /// Wasm options under the names that wasmtime gives them, such as `max-memory-size=N`.
    #[arg(short = 'W', long = "wasm", value_name = "KEY[=VALUE],..", help_heading = WASMTIME)]
    pub wasm: Vec<String>,

    /// WASI options under wasmtime's names, such as `inherit-env=y`.
    #[arg(short = 'S', long = "wasi", value_name = "KEY[=VALUE],..", help_heading = WASMTIME)]
    pub wasi: Vec<String>,

    /// Compiler options under wasmtime's names: `cache=n`; others are taken, and without effect.
    #[arg(short = 'C', long = "codegen", value_name = "KEY[=VALUE],..", help_heading = WASMTIME)]
    pub codegen: Vec<String>,

    /// Optimisation options under wasmtime's names; taken, and without effect.
    #[arg(short = 'O', long = "optimize", value_name = "KEY[=VALUE],..", help_heading = WASMTIME)]
    pub optimize: Vec<String>,

    /// Debugging options under wasmtime's names; taken, and without effect.
    #[arg(short = 'D', long = "debug", value_name = "KEY[=VALUE],..", help_heading = WASMTIME)]
    pub debug: Vec<String>,

    /// The program, bytecode or text (`-` is standard input), and what it gets as arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "FILE [ARGS]")]
    pub program: Vec<OsString>,
}

const GRANTS: &str = "Grants (nothing is granted by default)";
const PROGRAM: &str = "Program";
const LIMITS: &str = "Limits";
const REPEAT: &str = "Repeatable runs";
const MOVE: &str = "Snapshots";
const WATCH: &str = "Watching";
const WASMTIME: &str = "Options under wasmtime's names";

impl RunOptions {
    /// Options nobody gave, around a program: what most runs need, and without clap's work.
    pub fn plain(program: Vec<OsString>) -> RunOptions {
        RunOptions { program, ..RunOptions::default() }
    }
}

/// How instructions are executed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// The fastest there is.
    #[default]
    Auto,
    /// The interpreter alone.
    Interp,
    /// Compiled code: everything is compiled before the program starts.
    Jit,
}

/// On which threads of the host the guest's threads run.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// All on one, in turns.
    User,
    /// Each on one of its own.
    Kernel,
    /// Many on as many as there are processors.
    #[default]
    Hybrid,
}

impl From<Threads> for brant::ThreadPolicy {
    fn from(threads: Threads) -> brant::ThreadPolicy {
        match threads {
            Threads::User => brant::ThreadPolicy::User,
            Threads::Kernel => brant::ThreadPolicy::Kernel,
            Threads::Hybrid => brant::ThreadPolicy::Hybrid,
        }
    }
}

/// When function bodies are validated.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// All before the program starts.
    Eager,
    /// Each one before it runs for the first time.
    #[default]
    Lazy,
}

/// Form of a listing.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
