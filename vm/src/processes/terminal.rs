//! Signals of the terminal, for a program that has processes of its own.

use std::sync::Arc;

use brant_kernel::processes::{Signal, TerminalSignals};

use crate::Interrupt;

/// Brings signals of a terminal to the group of processes that has it, from any thread.
///
/// ```no_run
/// # fn show(process: &brant::Process) {
/// const SIGINT: u8 = 2;
/// if let Some(terminal) = process.terminal().filter(brant::Terminal::is_wanted) {
///     terminal.send(SIGINT);
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Terminal {
    signals: Arc<TerminalSignals>,
    interrupt: Interrupt,
}

impl Terminal {
    pub(crate) fn new(signals: Arc<TerminalSignals>, interrupt: Interrupt) -> Terminal {
        Terminal { signals, interrupt }
    }

    /// Whether a process handles signals, or has said which group has the terminal. Until then a
    /// signal means what it means for any program: INT ends it, TSTP stops it. Safe in a signal
    /// handler.
    pub fn is_wanted(&self) -> bool {
        self.signals.are_wanted()
    }

    /// Sends a signal, by its number of WASI: 2 is INT, 19 TSTP, 27 WINCH.
    pub fn send(&self, signal: Signal) {
        self.signals.send(signal);
        self.interrupt.stop();
    }
}
