//! `brant node`: a daemon that takes programs in; and the commands that talk to one.

use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brant::control::{self, CallError};
use brant::is_bytecode;
use brant::node::{
    Address, Client, Copy, Credentials, Grants, Mode, Node, NodeConfig, NodeError, Position,
    Progress, Role, Stage, Whereabouts, make_certificates,
};
use serde_json::{Value, json};

use super::elsewhere::{self, Trust, failure};
use super::exit::Failure;
use super::input::Input;
use super::options::Format;
use super::table::{Table, printable};
use super::tenant;
use super::units::{self, show_bytes};

/// A node that is ended waits so long for its disk.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Options of `brant node`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct NodeOptions {
    #[command(subcommand)]
    verb: Option<NodeVerb>,

    /// Where to listen: `HOST:PORT` (with TLS) or `unix:PATH`.
    #[arg(long, value_name = "ADDRESS", required_unless_present = "tenant")]
    listen: Option<Address>,

    /// The folder of the node's state; a node that is started again goes on from there.
    #[arg(long, value_name = "DIR", required = true)]
    state: Option<PathBuf>,

    /// The folder of certificates (default: `BRANT_TLS`, else `brant/tls` of the configuration).
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,

    /// What programs of a name are granted: `NAME=dir=HOST::GUEST:ro`, `NAME=listen=ADDR:PORT`,
    /// `NAME=serve=ADDR:PORT` (the same, and its connections stay here when it moves on),
    /// `NAME=max-memory=SIZE`, `NAME=max-open-files=COUNT`, `NAME=max-disk=SIZE`. May be repeated.
    #[arg(long, value_name = "NAME=GRANT")]
    pub(super) allow: Vec<String>,

    /// How often programs are brought to the disk.
    #[arg(
        long, value_name = "TIME", default_value = "10s", value_parser = units::duration
    )]
    pub(super) checkpoint_every: Duration,

    /// Run each program in a host process of its own, behind Landlock and seccomp: what brings that
    /// down, or breaks out of the guest, is still locked in with this one program.
    #[arg(long)]
    isolate: bool,

    /// Be such a host process; a node starts it so.
    #[arg(long, value_name = "ID", hide = true, conflicts_with_all = ["listen", "isolate"])]
    tenant: Option<String>,
}

/// What else there is to be done with nodes.
#[derive(clap::Subcommand)]
enum NodeVerb {
    /// Make certificates for nodes and clients that shall trust each other
    Init {
        /// The folder to write them to; whoever has it is trusted.
        folder: PathBuf,
    },
}

/// Options of `brant push`.
#[derive(clap::Args)]
pub struct PushOptions {
    /// The program, bytecode or text.
    module: PathBuf,

    /// The node that is to run it: `HOST:PORT` or `unix:PATH`.
    #[arg(value_name = "NODE")]
    node: Address,

    /// Form of what is printed.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    /// What the program gets as arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Options of `brant migrate`.
#[derive(clap::Args)]
pub struct MigrateOptions {
    /// The program, as `brant ps` shows it.
    id: String,

    /// Where it is to go: `HOST:PORT` or `unix:PATH`.
    #[arg(value_name = "NODE")]
    node: Address,

    /// The node that has it now, if it is not a `brant run` of this user.
    #[arg(long, value_name = "NODE")]
    from: Option<Address>,

    /// Move its memory while it runs, and stop it for the last of it only (default).
    #[arg(long, conflicts_with_all = ["cold", "postcopy"])]
    live: bool,

    /// Stop it first.
    #[arg(long, conflicts_with = "postcopy")]
    cold: bool,

    /// Let it run there at once, and send its memory after it.
    #[arg(long)]
    postcopy: bool,

    /// The terminal where it was started lets it go, and ends with exit code 75.
    #[arg(long, conflicts_with = "from")]
    detach: bool,

    /// Form of the progress.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
}

/// Options of `brant settle`.
#[derive(clap::Args)]
pub struct SettleOptions {
    /// The program, as `brant ps NODE` shows it; its first digits are enough.
    id: String,

    /// The node that has given the program up.
    #[arg(long, value_name = "NODE")]
    node: Address,

    /// It goes on here: its destination will never run it. Should it do so after all, there are two.
    #[arg(long, conflicts_with = "there", required_unless_present = "there")]
    here: bool,

    /// It is at its destination: what is kept of it here is let go of.
    #[arg(long)]
    there: bool,
}

/// Options of `brant attach`.
#[derive(clap::Args)]
pub struct AttachOptions {
    /// The node that has the program: `HOST:PORT` or `unix:PATH`.
    #[arg(value_name = "NODE")]
    node: Address,

    /// The program, as `brant ps NODE` shows it; its first digits are enough.
    id: String,

    /// Let terminal control sequences of the program through unfiltered.
    #[arg(long)]
    trust_terminal: bool,
}

/// Who reads the certificates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Node,
    Client,
}

/// The folder of certificates: what is named, `BRANT_TLS`, or one of the user's configuration.
fn certificates(named: Option<&Path>) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = named.map(Path::to_owned).or_else(|| variable("BRANT_TLS").map(PathBuf::from));
    own.or_else(|| variable("XDG_CONFIG_HOME").map(|home| PathBuf::from(home).join("brant/tls")))
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config/brant/tls")))
}

/// What proves who we are, where that is asked.
fn credentials(
    address: &Address, who: Who, named: Option<&Path>,
) -> Result<Option<Credentials>, Failure> {
    let Address::Tcp(_) = address else {
        // Between nodes of one host it may be asked later.
        return Ok(named.and_then(|_| load(who, named).ok()));
    };
    load(who, named).map(Some)
}

fn load(who: Who, named: Option<&Path>) -> Result<Credentials, Failure> {
    let help = "`brant node init DIR` makes certificates; `BRANT_TLS=DIR` names them";
    let folder = certificates(named)
        .ok_or_else(|| Failure::load("there are no certificates").with_help(help))?;
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| super::input::cannot_read(&path, &error).with_help(help))
    };
    let (certificate, key) = match who {
        Who::Node => ("node.pem", "node.key"),
        Who::Client => ("client.pem", "client.key"),
    };
    Ok(Credentials {
        authority: read("authority.pem")?,
        certificate: read(certificate)?,
        key: read(key)?,
    })
}

/// Runs `brant node init`.
fn init(folder: &Path) -> Result<u8, Failure> {
    let cannot = |path: &Path, error: &std::io::Error| {
        let cause = super::input::cause(error);
        Failure::load(format!("cannot write `{}`: {cause}", path.display()))
    };
    let files = make_certificates().map_err(|error| failure(&error))?;
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    for (name, text) in files {
        let path = folder.join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| cannot(&path, &error))?;
    }
    Ok(0)
}

fn connect(address: &Address) -> Result<Client, Failure> {
    let credentials = credentials(address, Who::Client, None)?;
    Client::connect(address, credentials.as_ref()).map_err(|error| {
        let NodeError::Io(cause) = &error else { return failure(&error) };
        let cause = super::input::cause(cause);
        Failure::load(format!("the node at {address} cannot be reached: {cause}"))
            .with_help("is `brant node` running there?")
    })
}

/// Runs `brant node`.
pub fn node(options: &NodeOptions) -> Result<u8, Failure> {
    if let Some(NodeVerb::Init { folder }) = &options.verb {
        return init(folder);
    }
    if let (Some(id), Some(state)) = (&options.tenant, &options.state) {
        return tenant::tenant(options, id, state);
    }
    let (Some(listen), Some(state)) = (&options.listen, &options.state) else {
        return Err(Failure::usage("a node needs `--listen ADDRESS` and `--state DIR`"));
    };
    let grants = grants(&options.allow).map_err(Failure::usage)?;
    let config = NodeConfig {
        state: state.clone(),
        grants,
        credentials: credentials(listen, Who::Node, options.tls.as_deref())?,
        checkpoint_every: options.checkpoint_every,
        role: match options.isolate {
            true => Role::Front(tenant::isolation(options)),
            false => Role::Shared,
        },
    };
    if options.isolate {
        tenant::report_walls();
    }
    let cannot = |error: std::io::Error| Failure::load(format!("the node cannot start: {error}"));
    brant_engine::exit_on_termination();
    let node = Arc::new(Node::open(config).map_err(cannot)?);
    end_in_order(node.clone()).map_err(cannot)?;
    let ready = |address: &str| {
        println!("listening on {address}");
        // Whoever started it may not want to know.
        let _ = std::io::stdout().flush();
    };
    node.listen(listen, ready).map_err(cannot)?;
    Ok(0)
}

/// Brings the programs to the disk when a signal ends the node.
fn end_in_order(node: Arc<Node>) -> std::io::Result<()> {
    let (mut signals, pipe) = std::io::pipe()?;
    brant_engine::pass_termination_to(pipe.into());
    let end = move || {
        let mut number = [0];
        if signals.read_exact(&mut number).is_ok() {
            node.checkpoint_all(END_PATIENCE);
            std::process::exit(128 + i32::from(number[0]));
        }
    };
    std::thread::Builder::new().name("brant-end".to_owned()).spawn(end).map(drop)
}

pub(super) fn grants(list: &[String]) -> Result<Grants, String> {
    let mut grants = Grants::default();
    for text in list {
        let wrong =
            || format!("`--allow {text}`: write NAME=dir=HOST::GUEST or NAME=max-memory=SIZE");
        let (name, grant) = text.split_once('=').ok_or_else(wrong)?;
        let (what, value) = grant.split_once('=').ok_or_else(wrong)?;
        let limits = grants.limits_mut(name);
        match what {
            "dir" => {
                let (host, guest, access) = super::run::mount(value);
                // The node may be asked from any folder later.
                let host = std::path::absolute(host).map_err(|error| error.to_string())?;
                grants.mount(name, host, guest.to_owned(), access);
            }
            "listen" => grants.listen(name, value.to_owned()),
            "serve" => grants.serve(name, value.to_owned()),
            "max-memory" => limits.memory_bytes = units::bytes(value)?,
            "max-disk" => limits.disk_bytes = Some(units::bytes(value)?),
            "max-open-files" => {
                limits.descriptors_count = value.parse().map_err(|_| wrong())?;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(grants)
}

/// Lists the programs of a node.
pub fn list(address: &Address, format: Format) -> Result<u8, Failure> {
    let all = connect(address)?.list().map_err(|error| failure(&error))?;
    let mut out = std::io::stdout();
    if format == Format::Json {
        for program in all {
            let value = json!({
                "id": program.id.to_string(), "program": program.name, "state": program.state,
                "epoch": program.epoch, "attached": program.is_attached,
                "memory_bytes": program.memory_bytes, "cpu_ns": program.cpu_ns,
                "uptime_ns": program.uptime_ns,
            });
            writeln!(out, "{value}")?;
        }
        return Ok(0);
    }
    let mut table = Table::new(["id", "state", "moves", "memory", "cpu", "uptime", "program"]);
    let seconds = |ns: u64| format!("{:.1} s", ns as f64 / 1e9);
    for program in &all {
        table.row([
            &program.id.short(),
            &program.state,
            &program.epoch.to_string(),
            &show_bytes(program.memory_bytes),
            &seconds(program.cpu_ns),
            &seconds(program.uptime_ns),
            &program.name,
        ]);
    }
    write!(out, "{table}")?;
    Ok(0)
}

/// `brant pause`, `resume` or `kill` of a program of a node.
pub fn steer(address: &Address, id: &str, verb: &str) -> Result<u8, Failure> {
    let steered = connect(address)?.steer(id, verb);
    steered.map(|()| 0).map_err(|error| failure(&error))
}

/// Runs `brant settle`.
pub fn settle(options: &SettleOptions) -> Result<u8, Failure> {
    let settled = connect(&options.node)?.resolve(&options.id, options.here);
    settled.map(|()| 0).map_err(|error| failure(&error))
}

/// Runs `brant push`.
pub fn push(options: &PushOptions) -> Result<u8, Failure> {
    let input = Input::read(&options.module)?;
    let bytes = match is_bytecode(&input.bytes) {
        true => input.bytes,
        false => {
            let text = brant::skip_interpreter_line(&input.bytes);
            let assembled = brant_asm::assemble(&text, &brant_asm::AssembleOptions::default());
            assembled
                .map_err(|diagnostics| super::check::report(&diagnostics, &input, options.format))?
        }
    };
    let name = options.module.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let args = std::iter::once(name.as_str()).chain(options.args.iter().map(String::as_str));
    let args = args.map(|arg| arg.as_bytes().to_vec()).collect();
    let pushed = connect(&options.node)?.push(&name, args, &bytes);
    let (id, was_sent) = pushed.map_err(|error| failure(&error))?;
    let mut out = std::io::stdout();
    match options.format {
        Format::Json => {
            writeln!(out, "{}", json!({ "id": id.to_string(), "code_was_sent": was_sent }))?;
        }
        Format::Text => writeln!(out, "{}", id.short())?,
    }
    Ok(0)
}

/// Runs `brant attach`.
pub fn attach(options: &AttachOptions) -> Result<u8, Failure> {
    let mut client = connect(&options.node)?;
    let id = client.find(&options.id).map_err(|error| failure(&error))?;
    brant_engine::exit_on_termination();
    let at = Whereabouts {
        id,
        address: options.node.clone(),
        credentials: credentials(&options.node, Who::Client, None)?,
        goes_on: false,
    };
    let trust = if options.trust_terminal { Trust::Full } else { Trust::Drawing };
    let peer = Some(client.into_peer());
    let mut copy = |what: Copy<'_>| match what {
        Copy::Wanted(_) => Err(NodeError::refused(
            "the node was killed before it had brought the program to its disk",
            "where it came from it is kept: it goes on when that can be reached",
        )),
        Copy::Needless => Ok(()),
    };
    Err(elsewhere::be_terminal(peer, at, Position::default(), trust, &mut copy))
}

/// Runs `brant migrate`.
pub fn migrate(options: &MigrateOptions) -> Result<u8, Failure> {
    let mode = match (options.cold, options.postcopy) {
        (true, _) => Mode::Cold,
        (_, true) => Mode::Postcopy,
        _ => Mode::Live,
    };
    let to = options.node.clone().absolute();
    match &options.from {
        Some(from) => {
            let mut client = connect(from)?;
            let show = |progress: &Progress| show(&as_json(progress), options.format);
            client.migrate(&options.id, &to, mode, show).map_err(|error| failure(&error))?;
        }
        None => ask_a_run(options, &to, mode)?,
    }
    Ok(0)
}

fn ask_a_run(options: &MigrateOptions, to: &Address, mode: Mode) -> Result<(), Failure> {
    let Ok(id) = options.id.parse::<u32>() else {
        return Err(Failure::usage(format!("`{}` is no program of `brant ps`", options.id))
            .with_help("name the node that has it: `--from NODE`"));
    };
    let mut request = json!({
        "verb": "migrate", "node": to.to_string(), "detach": options.detach,
        "mode": match mode {
            Mode::Cold => "cold",
            Mode::Live => "live",
            Mode::Postcopy => "postcopy",
        },
    });
    if let Some(Credentials { authority, certificate, key }) = credentials(to, Who::Client, None)? {
        request["authority"] = authority.into();
        request["certificate"] = certificate.into();
        request["key"] = key.into();
    }
    let mut has_moved = false;
    let told = control::follow(id, &request, |line| {
        let last = if mode == Mode::Postcopy { "followed" } else { "moved" };
        has_moved |= line["stage"] == last;
        show(line, options.format);
    });
    told.and_then(|()| match has_moved {
        true => Ok(()),
        false => Err(CallError::Refused("the program has ended before it could move".to_owned())),
    })
    .map_err(|error| match error {
        CallError::Unknown => Failure::load(format!("no program of this user has the id {id}"))
            .with_help("`brant ps` lists those that run"),
        CallError::Refused(text) => match text.split_once("\n help: ") {
            Some((text, help)) => Failure::load(printable(text)).with_help(printable(help)),
            None => Failure::load(printable(&text)),
        },
        other => Failure::load(other.to_string()),
    })
}

fn as_json(progress: &Progress) -> Value {
    let stage = match progress.stage {
        Stage::Accepted => "accepted",
        Stage::Round => "round",
        Stage::Moved => "moved",
        Stage::Durable => "durable",
        Stage::Followed => "followed",
    };
    json!({
        "stage": stage, "round": progress.round, "pages": progress.pages, "bytes": progress.bytes,
        "ns": progress.ns, "downtime_ns": progress.downtime_ns,
    })
}

/// Prints a line of progress. Somebody who does not read it does not stop the move.
fn show(line: &Value, format: Format) {
    let mut out = std::io::stdout();
    if format == Format::Json {
        let _ = writeln!(out, "{line}");
        return;
    }
    let number = |name: &str| line[name].as_u64().unwrap_or(0);
    let ms = |name: &str| number(name) as f64 / 1e6;
    let (pages, bytes) = (number("pages"), show_bytes(number("bytes")));
    let _ = match line["stage"].as_str() {
        Some("began") => writeln!(out, "process {}", line["id"].as_str().unwrap_or("-")),
        Some("accepted") => writeln!(out, "accepted after {:.1} ms", ms("ns")),
        Some("round") => writeln!(
            out,
            "round {}: {pages} pages, {bytes} in {:.1} ms ({}/s)",
            number("round"),
            ms("ns"),
            show_bytes((number("bytes") as f64 / (ms("ns").max(0.001) / 1e3)) as u64),
        ),
        Some("followed") => {
            writeln!(out, "followed: {pages} pages, {bytes} in {:.1} ms", ms("ns"))
        }
        Some("moved") => writeln!(
            out,
            "moved: {pages} pages, {bytes} in {:.1} ms; it stood for {:.1} ms",
            ms("ns"),
            ms("downtime_ns"),
        ),
        _ => Ok(()),
    };
}
