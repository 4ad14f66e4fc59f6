//! How a run ends or stops.

use std::fmt;

use brant_engine::TrapReport;

/// How a run ended, or why it stopped.
#[derive(Debug)]
pub enum ExitStatus {
    /// The program ended by itself with this code.
    Exited(i32),
    /// The program did what cannot be done.
    Trapped(Box<TrapReport>),
    /// The program stands still; running it again goes on.
    Stopped(Stopped),
}

/// Why a program that could go on stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Its fuel is used up; [`crate::Process::add_fuel`] gives more.
    OutOfFuel,
    /// Its time is used up; each run has the whole time again.
    OutOfTime,
    /// Somebody asked for it through an [`crate::Interrupt`].
    Interrupted,
    /// It has reached the site that [`crate::Process::stop_after_sites`] named.
    AtSite,
    /// Somebody calls at the descriptor that [`crate::Process::stop_on_input`] named.
    Called,
}

impl ExitStatus {
    /// The code of a program that traps, as the command line uses it.
    pub const TRAP_CODE: i32 = 134;
    /// The code of a program that was stopped by a limit.
    pub const LIMIT_CODE: i32 = 124;
    /// The code of a program that was interrupted.
    pub const INTERRUPTED_CODE: i32 = 130;

    /// The exit code that a process of the system would have.
    pub fn code(&self) -> i32 {
        match self {
            ExitStatus::Exited(code) => *code,
            ExitStatus::Trapped(_) => ExitStatus::TRAP_CODE,
            ExitStatus::Stopped(Stopped::OutOfFuel | Stopped::OutOfTime) => ExitStatus::LIMIT_CODE,
            ExitStatus::Stopped(Stopped::Interrupted | Stopped::AtSite | Stopped::Called) => {
                ExitStatus::INTERRUPTED_CODE
            }
        }
    }

    /// Whether the program ended by itself with code 0.
    pub fn success(&self) -> bool {
        matches!(self, ExitStatus::Exited(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Exited(code) => write!(f, "ended with exit code {code}"),
            ExitStatus::Trapped(report) => report.fmt(f),
            ExitStatus::Stopped(why) => why.fmt(f),
        }
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stopped::OutOfFuel => "out of fuel",
            Stopped::OutOfTime => "out of time",
            Stopped::Interrupted => "interrupted",
            Stopped::AtSite => "stopped at a site",
            Stopped::Called => "called",
        })
    }
}
