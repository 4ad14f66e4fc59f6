//! Specification scripts (`.wast`): modules, actions on them, and what must come of each.
//!
//! A script is parsed by the assembler and run on the engine alone: there are no system calls in
//! it, only the module `spectest` that the specification names.

mod nomad;
mod runner;
mod spectest;
mod value;

use std::fmt;

use brant_asm::script;

use crate::Features;
use runner::Runner;

/// How the modules of a script are executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By the interpreter.
    #[default]
    Interp,
    /// By compiled code: every function is compiled before it is instantiated.
    Jit,
    /// By both in turn: runs stop at random sites, go on in the interpreter, and go back into
    /// compiled code at random calls and loop headers.
    Mixed,
    /// As bytes in between: runs stop at random sites, are written down with all their store, and go
    /// on in a new store, in the interpreter and in compiled code by turns.
    Nomad,
}

/// What came of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many directives did what they must.
    pub passed: usize,
    /// Those that did not.
    /// A directive about a module that has failed is not counted again.
    pub failures: Vec<Failure>,
    /// How often runs have moved, in mode `nomad`.
    pub moves: usize,
}

/// A directive that did not do what it must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its line in the script, from 1.
    pub line: usize,
    /// Its column, from 1.
    pub column: usize,
    /// What came instead.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Runs a script; a script that cannot be parsed is one failure.
pub fn run(text: &[u8], features: Features, mode: Mode) -> Report {
    let mut report = Report::default();
    let script = match script::parse(text) {
        Ok(script) => script,
        Err(diagnostics) => {
            let message = format!("the script cannot be parsed: {diagnostics}");
            report.failures.push(Failure { line: 1, column: 1, message });
            return report;
        }
    };
    let mut runner = match Runner::new(features, mode) {
        Ok(runner) => runner,
        Err(message) => {
            report.failures.push(Failure { line: 1, column: 1, message });
            return report;
        }
    };
    for directive in &script.directives {
        match runner.directive(&directive.kind) {
            Ok(Verdict::Passed) => report.passed += 1,
            Ok(Verdict::Silent) => {}
            Err(message) => {
                let place = directive.place;
                let (line, column) = (place.line as usize, place.column as usize);
                report.failures.push(Failure { line, column, message });
            }
        }
    }
    report.moves = runner.moves_count();
    report
}

/// What a directive that did not fail adds to the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It did what it must.
    Passed,
    /// It is about a module whose failure was counted already.
    Silent,
}
