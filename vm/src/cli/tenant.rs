//! The host process of one program of `brant node --isolate`: builds its walls, then serves.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use brant::MountAccess;
use brant::node::{self, Isolation, Node, NodeConfig, ProcessId, Role, Tenancy};
use brant_host::native::landlock::{Coverage, Grant, landlock_with_ports};
use brant_host::native::seccomp::{Network, seccomp};

use super::exit::Failure;
use super::node::{NodeOptions, grants};

/// If this variable is set, a host process does what stands in the file `self-test` of its folder, so
/// that a test can see what the walls stop: `socket`, or `open PATH`.
const SELF_TEST: &str = "BRANT_ISOLATE_SELF_TEST";

/// How a node starts the host process of a program: as this program again, with what it grants.
pub fn isolation(options: &NodeOptions) -> Isolation {
    let allow = options.allow.clone();
    let every = format!("{}ms", options.checkpoint_every.as_millis());
    let worker = move |tenancy: &Tenancy| {
        // The file itself, even if another one has taken its name since.
        let mut command = Command::new("/proc/self/exe");
        command.args(["node", "--tenant", &tenancy.id.to_string(), "--checkpoint-every", &every]);
        command.arg("--state").arg(&tenancy.state);
        let named = format!("{}=", tenancy.name);
        for grant in allow.iter().filter(|grant| grant.starts_with(&named)) {
            command.args(["--allow", grant]);
        }
        command
    };
    Isolation { worker: Arc::new(worker) }
}

/// Says at the start of a node what its host processes will be behind.
pub fn report_walls() {
    if brant_host::native::landlock::probe().coverage == Coverage::None {
        eprintln!("brant: this kernel has no Landlock: programs are isolated by seccomp alone");
    }
}

/// Runs as the host process of a program.
pub fn tenant(options: &NodeOptions, id: &str, state: &Path) -> Result<u8, Failure> {
    let id = ProcessId::from_hex(id).ok_or_else(|| Failure::usage("`--tenant` takes an id"))?;
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::load(format!("the host process of a program cannot start: {error}"))
    };
    let config = NodeConfig {
        state: state.to_owned(),
        grants: grants(&options.allow).map_err(Failure::usage)?,
        credentials: None,
        checkpoint_every: options.checkpoint_every,
        role: Role::Tenant(id),
    };
    node::take_door().map_err(|error| cannot(&error))?;
    // It is of this process alone, and cannot be opened any more behind the wall.
    brant_engine::open_pagemap();
    let (files, ports) = reachable(options, state)?;
    landlock_with_ports(&files, Some(&ports)).map_err(|error| cannot(&error))?;
    let network = if ports.is_empty() { Network::None } else { Network::Listens };
    seccomp(network).map_err(|error| cannot(&error))?;
    if std::env::var_os(SELF_TEST).is_some() {
        let state = state.to_owned();
        std::thread::spawn(move || test_walls(&state));
    }
    let node = Node::open(config).map_err(|error| cannot(&error))?;
    node::work(&node).map_err(|error| cannot(&error))?;
    Ok(0)
}

/// Files and ports that stay reachable: the state, and what the program is granted.
fn reachable(options: &NodeOptions, state: &Path) -> Result<(Vec<Grant>, Vec<u16>), Failure> {
    let (mut files, mut ports) = (vec![Grant::read_write(state)], Vec::new());
    for grant in &options.allow {
        let mut parts = grant.splitn(3, '=').skip(1);
        match (parts.next(), parts.next()) {
            (Some("dir"), Some(value)) => files.push(match super::run::mount(value) {
                (host, _, MountAccess::ReadOnly) => Grant::read(host),
                (host, _, MountAccess::ReadWrite) => Grant::read_write(host),
            }),
            (Some("listen" | "serve"), Some(value)) => {
                let port = value.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                let wrong =
                    || Failure::usage(format!("`--allow {grant}`: write NAME=listen=ADDR:PORT"));
                ports.push(port.ok_or_else(wrong)?);
            }
            _ => {}
        }
    }
    Ok((files, ports))
}

/// Waits for a word of a test, and does what no guest could.
fn test_walls(state: &Path) {
    loop {
        let word = fs::read_to_string(state.join("self-test")).unwrap_or_default();
        match word.trim().split_once(' ') {
            Some(("open", path)) => {
                let answer = match fs::File::open(path) {
                    Ok(_) => "opened".to_owned(),
                    Err(error) => format!("{:?}", error.kind()),
                };
                if let Err(error) = fs::write(state.join("self-test.answer"), answer) {
                    eprintln!("brant: self-test: {error}");
                }
                return;
            }
            // It is not on the list: this ends the process.
            None if word.trim() == "socket" => {
                let bound = std::net::UdpSocket::bind("127.0.0.1:0");
                return eprintln!("brant: self-test: a socket was made: {bound:?}");
            }
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
