//! `brant run`: a program in its sandbox.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use brant::{
    CodeCache, Config, Engine, EngineError, Error, ExitStatus, ExternType, Features, Limits,
    Linker, Module, MountAccess, Output, Process, ProcessBuilder, Stopped, Val, ValType,
    Validation,
};

use brant::control::{Control, Throttle};

use super::checkpoint::Checkpoints;
use super::control::{Attendance, Ended, why_stopped};
#[cfg(feature = "node")]
use super::elsewhere::{self, Trust};
use super::exit::{Failure, LIMIT, MOVED, Message, TRAP};
use super::input::{Input, cannot_read, name};
use super::options::{RunOptions, Tier, Validate};
use super::profile::Profiles;
use super::terminal::FilteredOutput;
use super::watch::Watch;
use super::{cache, check, restore, signals, similar_verb, wall, wasmtime};

/// Runs the verb.
pub fn run(mut options: RunOptions) -> Result<u8, Failure> {
    wasmtime::apply(&mut options).map_err(Failure::usage)?;
    let Some((file, args)) = options.program.split_first() else {
        return Err(Failure::usage("there is no program to run"));
    };
    if let Some(snapshot) = restore::find(file)? {
        return restore::go_on(&snapshot, file, &options);
    }
    let mut watch = Watch::new(&options)?;
    let mut profiles = Profiles::new(&options.profile)?;
    let cache = cache::of_run(&options);
    let config = Config {
        code_store: cache.as_ref().map(cache::store),
        perf_map: profiles.perf_map(),
        ..config(&options)?
    };
    let engine = engine(&config)?;
    let module = load(&engine, file, &options)?;
    let builder = grants(Process::builder(&module), file, args, &options)?;
    let builder = watch
        .attach(repeatable(builder, &options)?, &options)?
        .limits(limits(&options))
        .linker(&preloads(&engine, &options)?);
    let (mut process, mut attendance) = begin(builder, file, &options, cache.as_deref())?;
    profiles.begin(&mut process)?;
    watch.begin();
    let outcome = match &options.invoke {
        Some(name) => invoke(&mut process, &mut attendance, &module, (name, args), &options),
        None => start(&mut process, &mut attendance, &module, &options),
    };
    #[cfg(feature = "node")]
    if let Some(left) = attendance.take_left() {
        // What is left is its terminal.
        return Err(elsewhere::stay(left, process, trust(&options)));
    }
    watch.finish(&mut process, engine.code_counts());
    profiles.finish(&process, &options);
    // The process of the system ends now: to give every mapping back one by one would only cost
    // time.
    std::mem::forget(process);
    outcome
}

/// Makes the process, visible to other commands and behind its second wall.
pub(super) fn begin(
    builder: ProcessBuilder, file: &OsStr, options: &RunOptions, cache: Option<&CodeCache>,
) -> Result<(Process, Attendance), Failure> {
    let checkpoints = Checkpoints::new(options)?;
    brant_engine::exit_on_termination();
    let (builder, mut control) = listen(builder, file, options);
    let builder = builder.threads(options.threads.into());
    let mut process = builder.build().map_err(|error| explain(&error, options))?;
    if let Some(control) = &control {
        control.attach(&mut process).map_err(|error| explain(&error, options))?;
    }
    // Everything is open that was granted; from here on nothing else can be opened, whatever the
    // path resolver does.
    wall::build(options, control.as_ref(), cache);
    signals::pass_on(&process)?;
    let mut throttle = None;
    if let Some(percent) = options.max_cpu {
        Throttle::change(&mut throttle, percent, &process).map_err(Failure::load)?;
    }
    match &mut control {
        Some(control) => control.set_throttle(throttle),
        // Nobody can change it: it holds to the end.
        None => std::mem::forget(throttle),
    }
    Ok((process, Attendance { control, checkpoints }))
}

/// Lets other commands of the user find and steer the program. It runs all the same where it cannot
/// be found.
fn listen(
    builder: ProcessBuilder, file: &OsStr, options: &RunOptions,
) -> (ProcessBuilder, Option<Control>) {
    let opened = Control::open(&file.to_string_lossy());
    let opened = opened.and_then(|control| Ok((control.doorbell()?, control)));
    match opened {
        // A simulated host never waits for long.
        Ok((_, control)) if options.sim => (builder, Some(control)),
        Ok((doorbell, control)) => (builder.doorbell(doorbell), Some(control)),
        Err(error) => {
            if options.verbose {
                eprintln!("brant: `brant ps` will not show this program: {error}");
            }
            (builder, None)
        }
    }
}

/// An engine of these choices.
pub(super) fn engine(config: &Config) -> Result<Engine, Failure> {
    Engine::new(config).map_err(|error| {
        let failure = Failure::usage(error.to_string());
        match error {
            EngineError::NoCompiler(_) => failure.with_help(NOT_COMPILED),
            _ => failure,
        }
    })
}

/// What to do where nothing can be compiled.
const NOT_COMPILED: &str = "`--tier auto` runs it all the same, in the interpreter";

pub(super) fn config(options: &RunOptions) -> Result<Config, Failure> {
    let features = match &options.features {
        Some(list) => Features::parse(list).map_err(|error| Failure::usage(error.to_string()))?,
        None => Features::default(),
    };
    let mut config = Config {
        features: features.into(),
        fuel: options.fuel.is_some(),
        deterministic: options.deterministic,
        ..Config::default()
    };
    config.tier = match options.tier {
        Tier::Auto => brant::Tier::Auto,
        Tier::Interp => brant::Tier::Interp,
        Tier::Jit => brant::Tier::Jit,
    };
    if options.checkpoint_at.is_some() {
        // Sites are counted where every one of them is looked at.
        config.stops = brant_engine::compile::Stops::Every;
    }
    // Where nothing is compiled yet, `brant tier` may ask for it.
    config = brant::with_compiler(config);
    if let Some(bytes) = options.max_stack {
        config.max_stack_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    Ok(config)
}

pub(super) fn limits(options: &RunOptions) -> Limits {
    let default = Limits::default();
    Limits {
        fuel: options.fuel,
        time: options.timeout,
        memory_bytes: options.max_memory.unwrap_or(default.memory_bytes),
        table_elements: options.max_table_elements.unwrap_or(default.table_elements),
        instances_count: options.max_instances.unwrap_or(default.instances_count),
        descriptors_count: options
            .max_open_files
            .map_or(default.descriptors_count, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        threads_count: options.max_threads.unwrap_or(default.threads_count),
        sockets_count: options
            .max_sockets
            .map_or(default.sockets_count, |count| u32::try_from(count).unwrap_or(u32::MAX)),
        processes_count: options.max_processes.unwrap_or(default.processes_count),
        disk_bytes: options.max_disk,
    }
}

pub(super) fn load(engine: &Engine, file: &OsStr, options: &RunOptions) -> Result<Module, Failure> {
    let validation = match options.validate {
        Validate::Eager => Validation::Eager,
        Validate::Lazy => Validation::Lazy,
    };
    let path = Path::new(file);
    // Standard input can be read once; messages about it show what was read.
    let mut piped = None;
    let loaded = if file == "-" {
        let mut bytes = Vec::new();
        let limit_bytes = brant_engine::MAX_MODULE_BYTES as u64 + 1;
        let read = std::io::stdin().lock().take(limit_bytes).read_to_end(&mut bytes);
        read.map_err(|error| Failure::load(format!("cannot read standard input: {error}")))?;
        match brant::is_bytecode(&bytes) {
            true => Module::with_validation(engine, bytes, validation),
            false => Module::from_text(engine, &*piped.insert(bytes)),
        }
    } else {
        Module::from_file_with_validation(engine, path, validation)
    };
    loaded.map_err(|error| match error {
        Error::Read { cause, .. } => missing_file(path, &cause),
        Error::Text(diagnostics) => match source(path, piped) {
            Ok(input) => check::report(&diagnostics, &input, options.format),
            Err(failure) => failure,
        },
        Error::Module(error) => invalid(path, piped, &error, options),
        other => explain(&other, options),
    })
}

/// A file that is not there may be a verb that is misspelt.
fn missing_file(path: &Path, error: &std::io::Error) -> Failure {
    let failure = cannot_read(path, error);
    if error.kind() != std::io::ErrorKind::NotFound {
        return failure;
    }
    match path.to_str().and_then(similar_verb) {
        Some(verb) => failure.with_help(format!("there is a verb `{verb}`: `brant {verb} --help`")),
        None => failure.with_help("give the path of a program, or a verb: `brant --help`"),
    }
}

/// How a component begins: the version of modules is 1, and the layer 0.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// What a module was made from, to show places in it.
fn source(path: &Path, piped: Option<Vec<u8>>) -> Result<Input, Failure> {
    match piped {
        Some(bytes) => Ok(Input { name: name(path).into_owned(), bytes }),
        None => Input::read(path),
    }
}

/// A module that is not valid; in a text the place is shown as `check` shows it.
fn invalid(
    path: &Path, piped: Option<Vec<u8>>, error: &brant_engine::ModuleError, options: &RunOptions,
) -> Failure {
    let failure = Failure::load(format!("{}: {error}", name(path)));
    if path.as_os_str() == "-" && piped.is_none() {
        return failure;
    }
    match source(path, piped) {
        Ok(input) if input.bytes.starts_with(COMPONENT) => {
            Failure::load(format!("{}: this is a component, and brant runs modules", input.name))
                .with_help("build the program for `wasm32-wasip1`")
        }
        Ok(input) if !input.is_bytecode() => {
            let text = brant::skip_interpreter_line(&input.bytes);
            match brant_asm::check(&text, &brant_asm::CheckOptions::default()) {
                Err(diagnostics) => check::report(&diagnostics, &input, options.format),
                Ok(()) => failure,
            }
        }
        _ => failure.with_help(format!("`brant check {}` shows all that is wrong", name(path))),
    }
}

/// Everything the command line grants.
pub(super) fn grants(
    mut builder: ProcessBuilder, file: &OsStr, args: &[OsString], options: &RunOptions,
) -> Result<ProcessBuilder, Failure> {
    let name = match &options.argv0 {
        Some(name) => name.as_bytes().to_vec(),
        None => Path::new(file).file_name().unwrap_or(file).as_bytes().to_vec(),
    };
    let args = args.iter().map(|arg| arg.as_bytes().to_vec());
    builder = builder.args(std::iter::once(name).chain(args));
    granted(builder, options)
}

/// Everything the command line grants but arguments.
pub(super) fn granted(
    mut builder: ProcessBuilder, options: &RunOptions,
) -> Result<ProcessBuilder, Failure> {
    if options.env_inherit {
        for (name, value) in std::env::vars_os() {
            builder = builder.env(name.into_vec(), value.into_vec());
        }
    }
    for pair in &options.env {
        builder = match pair.split_once('=') {
            Some((name, value)) => builder.env(name, value),
            // A variable that is not set here is not set there either.
            None => match std::env::var_os(pair) {
                Some(value) => builder.env(pair.as_str(), value.into_vec()),
                None => builder,
            },
        };
    }
    for grant in &options.dirs {
        let (host, guest, access) = mount(grant);
        builder = builder.mount(host, guest, access);
    }
    for address in &options.listen {
        builder = builder.listen(address);
    }
    for address in &options.serve {
        builder = builder.serve(address);
    }
    for rule in &options.net {
        builder = builder.net(rule.clone());
    }
    builder = builder.inherit_stdio().end_on_broken_pipe();
    if !options.trust_terminal {
        if std::io::stdout().is_terminal() {
            let writer = Box::new(FilteredOutput::new(std::io::stdout()));
            builder = builder.stdout(Output::Writer { writer, terminal: true });
        }
        if std::io::stderr().is_terminal() {
            let writer = Box::new(FilteredOutput::new(std::io::stderr()));
            builder = builder.stderr(Output::Writer { writer, terminal: true });
        }
    }
    Ok(builder)
}

/// Takes away what would make two runs differ, as far as that was asked for.
pub(super) fn repeatable(
    builder: ProcessBuilder, options: &RunOptions,
) -> Result<ProcessBuilder, Failure> {
    let seed = options.seed.unwrap_or(0);
    if options.sim {
        return simulated(builder.sim(seed), options);
    }
    if options.deterministic {
        return Ok(builder.repeatable(seed));
    }
    match options.seed {
        Some(_) => Err(Failure::usage("`--seed` alone has no effect")
            .with_help("give `--deterministic` or `--sim` too")),
        None => Ok(builder),
    }
}

/// Ties the standard streams of a simulated host to those of this process.
///
/// Input is read before the start, so that when it arrives makes no difference.
fn simulated(builder: ProcessBuilder, options: &RunOptions) -> Result<ProcessBuilder, Failure> {
    /// What a person or a test pipes in; more would only fill memory.
    const INPUT_LIMIT_BYTES: u64 = 1 << 30;
    let mut bytes = Vec::new();
    if !std::io::stdin().is_terminal() {
        let read = std::io::stdin().lock().take(INPUT_LIMIT_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| Failure::load(format!("cannot read standard input: {error}")))?;
    }
    let filtered = |is_terminal: bool| is_terminal && !options.trust_terminal;
    let output: Box<dyn Write + Send> = match filtered(std::io::stdout().is_terminal()) {
        true => Box::new(FilteredOutput::new(std::io::stdout())),
        false => Box::new(std::io::stdout()),
    };
    let error: Box<dyn Write + Send> = match filtered(std::io::stderr().is_terminal()) {
        true => Box::new(FilteredOutput::new(std::io::stderr())),
        false => Box::new(std::io::stderr()),
    };
    // The program does not see whether this is a terminal: that would be something of the machine.
    Ok(builder
        .stdin(brant::Input::Bytes(bytes))
        .stdout(Output::Writer { writer: output, terminal: false })
        .stderr(Output::Writer { writer: error, terminal: false }))
}

/// Takes `HOST[::GUEST][:ro]` apart.
pub(super) fn mount(grant: &str) -> (&str, &str, MountAccess) {
    let (path, access) = match grant.strip_suffix(":ro") {
        Some(path) => (path, MountAccess::ReadOnly),
        None => (grant, MountAccess::ReadWrite),
    };
    match path.split_once("::") {
        Some((host, guest)) => (host, guest, access),
        None => (path, path, access),
    }
}

fn preloads(engine: &Engine, options: &RunOptions) -> Result<Linker, Failure> {
    let mut linker = Linker::new();
    for preload in &options.preload {
        let Some((name, file)) = preload.split_once('=') else {
            return Err(Failure::usage(format!("`--preload {preload}` has no `=`"))
                .with_help("write `--preload NAME=FILE`"));
        };
        linker.module(name, &load(engine, OsStr::new(file), options)?);
    }
    Ok(linker)
}

/// Runs the program, or what its module does when it is linked.
fn start(
    process: &mut Process, attendance: &mut Attendance, module: &Module, options: &RunOptions,
) -> Result<u8, Failure> {
    let is_program = module.exports().any(|export| export.name == "_start");
    if !is_program && process.is_prepared() {
        return Err(library(module));
    }
    let run = |process: &mut Process| match is_program {
        true => process.run(),
        false => process.prepare(),
    };
    let outcome = report(attendance.run(process, run, why_stopped)?, options);
    outcome.map_err(|failure| with_others(failure, process.deadlocked()))
}

/// Says where the other threads stood, too.
fn with_others(mut failure: Failure, others: &[(i32, brant::TrapReport)]) -> Failure {
    if let Message::Line(text) = &mut failure.message {
        for (id, report) in others {
            text.push_str(&format!("\nthread {id}: {report}"));
        }
    }
    failure
}

/// Whether control sequences of the program reach the terminal.
#[cfg(feature = "node")]
pub(super) fn trust(options: &RunOptions) -> Trust {
    if options.trust_terminal { Trust::Full } else { Trust::Drawing }
}

/// How a run ended, as an exit code or a failure.
pub(super) fn report(
    ended: Ended<Result<ExitStatus, Error>>, options: &RunOptions,
) -> Result<u8, Failure> {
    let status = match ended {
        Ended::Outcome(status) => status.map_err(|error| explain(&error, options))?,
        Ended::Moved => return Ok(MOVED),
    };
    match status {
        // A system keeps the low byte of an exit code.
        ExitStatus::Exited(code) => Ok(code as u8),
        ExitStatus::Trapped(report) => Err(trapped(&report)),
        ExitStatus::Stopped(why) => Err(stopped(why, options)),
    }
}

/// A module that has nothing to run.
fn library(module: &Module) -> Failure {
    let functions: Vec<&str> = module
        .exports()
        .filter(|export| matches!(export.ty, ExternType::Func(_)))
        .map(|export| export.name)
        .take(8)
        .collect();
    let failure = Failure::load("the module is no program: it does not export `_start`");
    match functions.as_slice() {
        [] => failure.with_help("`brant inspect FILE` shows what it has"),
        names => {
            failure.with_help(format!("call a function with `--invoke`: {}", names.join(", ")))
        }
    }
}

/// Calls an exported function with arguments of the command line.
fn invoke(
    process: &mut Process, attendance: &mut Attendance, module: &Module,
    (name, args): (&str, &[OsString]), options: &RunOptions,
) -> Result<u8, Failure> {
    let Some(kind) = module.exports().find(|export| export.name == name).map(|export| export.ty)
    else {
        return Err(Failure::load(format!("the module does not export `{name}`"))
            .with_help("`brant inspect FILE` shows what it exports"));
    };
    let ExternType::Func(kind) = kind else {
        return Err(Failure::load(format!("the export `{name}` is no function")));
    };
    if kind.params().len() != args.len() {
        let given = args.len();
        return Err(Failure::usage(format!(
            "`{name}` has the type {kind}, {given} arguments given"
        )));
    }
    let mut params = Vec::with_capacity(args.len());
    for (arg, kind) in args.iter().zip(kind.params()) {
        params.push(value(&arg.to_string_lossy(), *kind).map_err(Failure::usage)?);
    }
    let mut has_begun = false;
    let call = |process: &mut Process| match std::mem::replace(&mut has_begun, true) {
        false => process.call(name, &params),
        true => process.resume_call(),
    };
    let why = |outcome: &Result<_, Error>| match outcome {
        Err(Error::Stopped(why)) => Some(*why),
        _ => None,
    };
    match attendance.run(process, call, why)? {
        Ended::Outcome(outcome) => results(outcome, options),
        Ended::Moved => Ok(MOVED),
    }
}

/// Prints what a call gave.
pub(super) fn results(
    outcome: Result<Vec<Val>, Error>, options: &RunOptions,
) -> Result<u8, Failure> {
    match outcome {
        Ok(results) => {
            let mut out = std::io::stdout();
            for result in results {
                writeln!(out, "{}", show(result))?;
            }
            Ok(0)
        }
        Err(Error::Exit(code)) => Ok(code as u8),
        Err(Error::Trap(report)) => Err(trapped(&report)),
        Err(Error::Stopped(why)) => Err(stopped(why, options)),
        Err(error) => Err(explain(&error, options)),
    }
}

/// Reads a number of the command line as a value.
fn value(text: &str, kind: ValType) -> Result<Val, String> {
    let wrong = || format!("`{text}` is no {kind}");
    Ok(match kind {
        // Unsigned numbers have the bits of their signed twins.
        ValType::I32 => {
            let number: i64 = integer(text).ok_or_else(wrong)?;
            let signed = i32::try_from(number).ok();
            let unsigned = u32::try_from(number).ok().map(u32::cast_signed);
            Val::I32(signed.or(unsigned).ok_or_else(wrong)?)
        }
        ValType::I64 => {
            let unsigned = || text.parse::<u64>().ok().map(u64::cast_signed);
            Val::I64(integer(text).or_else(unsigned).ok_or_else(wrong)?)
        }
        ValType::F32 => Val::F32(text.parse::<f32>().map_err(|_| wrong())?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().map_err(|_| wrong())?.to_bits()),
        ValType::V128 => {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            Val::V128(u128::from_str_radix(digits, 16).map_err(|_| wrong())?)
        }
        ValType::FuncRef | ValType::ExternRef => {
            return Err(format!("a {kind} cannot be given on the command line"));
        }
    })
}

fn integer(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
        None => text.parse().ok(),
    }
}

fn show(value: Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(bits).to_string(),
        Val::F64(bits) => f64::from_bits(bits).to_string(),
        Val::V128(bits) => format!("{bits:#034x}"),
        Val::FuncRef(None) | Val::ExternRef(None) => "null".to_owned(),
        Val::FuncRef(Some(_)) => "a function".to_owned(),
        Val::ExternRef(Some(_)) => "a host value".to_owned(),
    }
}

/// A trap with its backtrace.
fn trapped(report: &brant::TrapReport) -> Failure {
    Failure { code: TRAP, ..Failure::load(report.to_string()) }
}

fn stopped(why: Stopped, options: &RunOptions) -> Failure {
    let (text, help) = match why {
        Stopped::OutOfTime => ("its time is over", "`--timeout TIME` sets the limit"),
        Stopped::OutOfFuel => ("its fuel is used up", "`--fuel COUNT` sets the limit"),
        Stopped::Interrupted | Stopped::AtSite | Stopped::Called => {
            ("somebody asked for it", "nothing has to be done")
        }
    };
    let limit = match why {
        Stopped::OutOfTime => options.timeout.map(|time| format!(" ({time:?})")),
        Stopped::OutOfFuel => options.fuel.map(|fuel| format!(" ({fuel} operators)")),
        Stopped::Interrupted | Stopped::AtSite | Stopped::Called => None,
    };
    let text = format!("the program was stopped: {text}{}", limit.unwrap_or_default());
    Failure { code: LIMIT, ..Failure::load(text) }.with_help(help)
}

/// Any other error of the library, with what can be done about it.
pub(super) fn explain(error: &Error, options: &RunOptions) -> Failure {
    match error {
        Error::MissingImports(list) => {
            let mut text = String::from("the program imports what nothing provides:");
            for import in list {
                text.push_str(&format!("\n  {import}"));
            }
            let is_old = list.iter().any(|import| import.module == "wasi_unstable");
            Failure::load(text).with_help(match is_old {
                true => "build it with a newer compiler: `wasi_snapshot_preview1` is provided",
                false => "`--preload NAME=FILE` links another module",
            })
        }
        Error::Module(error) => {
            // Lazily validated: a part of the program may have run.
            Failure::load(format!("a function of the program is not valid: {error}"))
                .with_help("output may have been written before; `brant check` shows all mistakes")
        }
        Error::Grant(_) => Failure::load(error.to_string()),
        Error::Stopped(why) => stopped(*why, options),
        other => Failure::load(other.to_string()),
    }
}
