//! Signals of the terminal reach a program that wants them, instead of ending brant or stopping it.

use std::io::{self, Read};

use brant::Process;
use brant_engine::TerminalSignal;

/// From now on they do. Costs a thread, where the program may have processes at all.
///
/// # Errors
/// What the system says.
pub fn pass_on(process: &Process) -> io::Result<()> {
    let Some(terminal) = process.terminal() else { return Ok(()) };
    let (mut reader, writer) = io::pipe()?;
    let theirs = terminal.clone();
    let listen = move || {
        let mut byte = [0];
        while reader.read_exact(&mut byte).is_ok() {
            TerminalSignal::from_byte(byte[0]).inspect(|signal| theirs.send(number(*signal)));
        }
    };
    std::thread::Builder::new().name("brant-terminal".to_owned()).spawn(listen)?;
    brant_engine::pass_terminal_to(writer.into(), move || terminal.is_wanted());
    Ok(())
}

/// The number that a guest knows a signal by. Spec: WASI, `signal`.
fn number(signal: TerminalSignal) -> u8 {
    match signal {
        TerminalSignal::Interrupt => 2,
        TerminalSignal::Stop => 19,
        TerminalSignal::Resize => 27,
    }
}
