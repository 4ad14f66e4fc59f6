//! The terminal of a program that has left: it shows what the program writes, brings it what is
//! typed, passes signals on, and ends as the program ends.

use std::io::{IsTerminal, Read, Write};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use brant::Process;
use brant::control::Left;
use brant::node::{
    Client, Copy, Ended, NodeError, Peer, Position, ProcessId, Route, Terminal, Whereabouts, relay,
};

use super::exit::{Failure, MOVED};
use super::terminal::FilteredOutput;

/// Whether control sequences reach the terminal as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// They do.
    Full,
    /// Those that only draw do.
    Drawing,
}

/// Stays as the terminal of a program that has left, or lets it go.
pub fn stay(left: Left, mut process: Process, trust: Trust) -> Failure {
    let Left { mut departed, route, position, lets_go, broker } = left;
    if lets_go {
        departed.wait_until_durable(&mut process, &route);
        if let Some(broker) = broker {
            eprintln!("brant: the program is gone; its sockets stay here until it ends");
            // Those of a broker that has failed are closed.
            let _ = broker.join();
        }
        return Failure::quiet(MOVED);
    }
    let at = Whereabouts {
        id: departed.id(),
        address: route.address.clone(),
        credentials: route.credentials.clone(),
        goes_on: true,
    };
    let peer = departed.take_peer();
    let mut copy = Some((process, departed));
    let outcome = be_terminal(peer, at, position, trust, &mut |what| match (what, &mut copy) {
        (Copy::Wanted(peer), Some((process, departed))) => departed.send_again(process, peer),
        (Copy::Wanted(_), None) => Err(NodeError::refused("the node has lost the program", "")),
        (Copy::Needless, kept) => {
            if let Some((process, mut departed)) = kept.take() {
                departed.say_durable();
                // Its mappings go with this process: one by one they would only take time.
                std::mem::forget(process);
            }
            Ok(())
        }
    });
    // As a run does: the system takes everything back at once.
    std::mem::forget(copy);
    outcome
}

/// Is the terminal of a program until it ends, and ends as it does.
pub fn be_terminal(
    peer: Option<Peer>, at: Whereabouts, start: Position, trust: Trust, copy: brant::node::Keep<'_>,
) -> Failure {
    let terminal = match terminal(trust) {
        Ok(terminal) => terminal,
        Err(error) => return Failure::load(format!("no terminal can be attached: {error}")),
    };
    match relay(peer, at, start, terminal, copy) {
        Ok(Ended { code, text, .. }) if text.is_empty() => Failure::quiet(code),
        Ok(Ended { code, text, .. }) => Failure { code, ..Failure::load(text) },
        Err(error) => failure(&error),
    }
}

/// What a node says, as a failure of the command.
pub fn failure(error: &NodeError) -> Failure {
    let failure = Failure::load(super::table::printable(&error.to_string()));
    match error.remedy() {
        Some(remedy) => failure.with_help(super::table::printable(remedy)),
        None => failure,
    }
}

/// The terminal of this process.
fn terminal(trust: Trust) -> std::io::Result<Terminal> {
    let output = |is_terminal: bool, stream: Box<dyn Write + Send>| -> Box<dyn Write + Send> {
        match is_terminal && trust == Trust::Drawing {
            true => Box::new(FilteredOutput::new(stream)),
            false => stream,
        }
    };
    let outputs = [
        output(std::io::stdout().is_terminal(), Box::new(std::io::stdout())),
        output(std::io::stderr().is_terminal(), Box::new(std::io::stderr())),
    ];
    let (mut reader, writer) = std::io::pipe()?;
    brant_engine::pass_termination_to(writer.into());
    let (sender, signals) = channel();
    let pass_on = move || {
        let mut number = [0];
        while reader.read_exact(&mut number).is_ok() && sender.send(number[0]).is_ok() {}
    };
    std::thread::Builder::new().name("brant-pipe".to_owned()).spawn(pass_on)?;
    Ok(Terminal { outputs, input: Some(Box::new(std::io::stdin())), signals: Some(signals) })
}

/// While it is there, a signal that ends this process ends the program too that is at its destination
/// in part.
pub struct Together;

impl Drop for Together {
    fn drop(&mut self) {
        brant_engine::keep_termination();
    }
}

/// So long a destination is asked to end a program.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// Pages of a program are here, and it waits for them at its destination: without this process it
/// would wait for ever.
pub fn end_together(id: ProcessId, route: Route) -> std::io::Result<Together> {
    let (mut reader, writer) = std::io::pipe()?;
    let end = move || {
        let mut number = [0];
        if reader.read_exact(&mut number).is_err() {
            return;
        }
        let until = Instant::now() + END_PATIENCE;
        let ask = || {
            Client::connect(&route.address, route.credentials.as_ref())?
                .steer(&id.to_string(), "kill")
        };
        while let Err(error) = ask() {
            let is_known = matches!(error, NodeError::Refused { .. });
            if is_known || Instant::now() > until {
                eprintln!(
                    "brant: the program stands at {} and waits for pages: {error}\n \
                     help: `brant kill {} --node {}` ends it",
                    route.address,
                    id.short(),
                    route.address
                );
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        brant_engine::end_as_by(number[0]);
    };
    std::thread::Builder::new().name("brant-pipe".to_owned()).spawn(end)?;
    brant_engine::pass_termination_to(writer.into());
    Ok(Together)
}
