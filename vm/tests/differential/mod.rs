//! Runs one module in brant and in wasmi, and compares everything that can be seen from outside.
//!
//! Used by a test (`vm/tests/smith.rs`), by the example `smith` for long runs, and by the fuzz
//! target `execute`. All three give a module and a seed; nothing else enters.
//!
//! - `generate` makes valid modules from bytes.
//! - `values` has what both sides are asked and answer with.
//! - `tiers` compares brant's own tiers with each other, frame by frame.
//! - `ours` and `theirs` are the two sides, with the same methods.
//!
//! Brant runs a module in one of several modes, by the seed: interpreted, compiled, or both in turns
//! with stops at random sites, where the frames are taken apart and put together again.
//!
//! Wasmi goes first, on a budget of fuel: what it does not finish says nothing, and what it
//! finishes, brant must finish too.

mod generate;
mod ours;
mod theirs;
mod tiers;
mod values;

pub use generate::{data, module};
use ours::Ours;
use theirs::Theirs;
#[allow(unused_imports, reason = "each user takes what it needs")]
pub use tiers::{Exchanged, exchange};
pub use values::Mode;
use values::{End, Numbers};

/// How far a comparison came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Calls that both ended in the same way, with the same state.
    pub calls_count: u64,
    /// How many of those trapped.
    pub traps_count: u64,
    /// How often brant moved on its way.
    pub moves_count: u64,
    /// Calls that say nothing: wasmi's fuel or one of the stacks came to its end, or wasmi panicked.
    pub open_count: u64,
}

impl std::ops::AddAssign for Compared {
    fn add_assign(&mut self, other: Compared) {
        self.calls_count += other.calls_count;
        self.traps_count += other.traps_count;
        self.moves_count += other.moves_count;
        self.open_count += other.open_count;
    }
}

/// No module is called more often.
const CALLS_LIMIT: usize = 40;

/// Runs the exports of a module on both sides.
///
/// # Errors
/// What differs.
pub fn compare(bytes: &[u8], seed: u64) -> Result<Compared, String> {
    let mode = Mode::pick(&mut Numbers::new(seed));
    compare_in(mode, bytes, seed)
}

/// As [`compare`], with brant in a mode that somebody has chosen.
///
/// # Errors
/// What differs.
pub fn compare_in(mode: Mode, bytes: &[u8], seed: u64) -> Result<Compared, String> {
    let mut numbers = Numbers::new(seed);
    let about = |what: String| format!("{mode:?}: {what}");
    let mut compared = Compared::default();
    let Some(loaded) = guarded(|| theirs::load(bytes)) else {
        compared.open_count += 1;
        return Ok(compared);
    };
    let theirs = match loaded {
        Ok(module) => module,
        // Wasmi's own limits: more functions, results or locals than it can number.
        Err(error) if ours::load(bytes, mode).is_ok() && !error.is_invalid => return Ok(compared),
        Err(error) => {
            return match ours::load(bytes, mode) {
                Ok(_) => Err(about(format!("wasmi refuses the module: {}", error.message))),
                Err(_) => Ok(compared),
            };
        }
    };
    let ours =
        ours::load(bytes, mode).map_err(|error| about(format!("brant refuses it: {error}")))?;
    let exports = theirs::functions(&theirs);
    let mut next = 0;
    // A new pair of instances where the last one has come to a state that says nothing.
    while next < exports.len().min(CALLS_LIMIT) {
        let mut left = Theirs::new(&theirs);
        let ended = guarded(|| left.prepare()).unwrap_or(End::Open);
        if ended.is_open() {
            compared.open_count += 1;
            return Ok(compared);
        }
        let mut right = Ours::new(&ours, mode, seed);
        let answered = right.prepare();
        if answered.is_open() {
            compared.open_count += 1;
            return Ok(compared);
        }
        same("instantiation", &ended, &answered).map_err(about)?;
        compared.calls_count += 1;
        if ended != End::Values(Vec::new()) {
            compared.traps_count += 1;
            return Ok(compared);
        }
        state(&left, &right).map_err(|what| about(format!("after instantiation: {what}")))?;
        while next < exports.len().min(CALLS_LIMIT) {
            let (name, params) = &exports[next];
            next += 1;
            let arguments = params.iter().map(|kind| numbers.value(*kind)).collect::<Vec<_>>();
            let ended = guarded(|| left.call(name, &arguments)).unwrap_or(End::Open);
            if ended.is_open() {
                // What does not end must at least do no harm.
                if mode.has_fuel() {
                    right.try_out(name, &arguments);
                }
                compared.open_count += 1;
                break;
            }
            let answered = right.call(name, &arguments);
            compared.moves_count += right.take_moves();
            if answered.is_open() {
                compared.open_count += 1;
                break;
            }
            let call = format!("call of {name:?} with {arguments:?}");
            same(&call, &ended, &answered).map_err(about)?;
            state(&left, &right).map_err(|what| about(format!("after {call}: {what}")))?;
            compared.calls_count += 1;
            compared.traps_count += u64::from(matches!(ended, End::Trap(_)));
        }
    }
    Ok(compared)
}

/// Wasmi 2.0.0 panics while it translates some modules; what comes after that says nothing.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

fn same(what: &str, theirs: &End, ours: &End) -> Result<(), String> {
    match theirs == ours {
        true => Ok(()),
        false => Err(format!("{what}: wasmi {theirs:?}, brant {ours:?}")),
    }
}

/// Compares calls of host functions, globals, memories and tables.
fn state(theirs: &Theirs, ours: &Ours) -> Result<(), String> {
    let (left, right) = (theirs.log(), ours.log());
    if left != right {
        return Err(format!("calls of the host: wasmi {left:?}, brant {right:?}"));
    }
    for name in theirs.exported() {
        if let (Some(left), Some(right)) = (theirs.memory(&name), ours.memory(&name)) {
            if left.len() != right.len() {
                return Err(format!(
                    "memory {name:?}: wasmi has {} bytes, brant {}",
                    left.len(),
                    right.len()
                ));
            }
            if left != right {
                let at = left.iter().zip(right).position(|(a, b)| a != b).unwrap_or(0);
                return Err(format!(
                    "memory {name:?} at {at:#x}: wasmi {:#04x}, brant {:#04x}",
                    left[at], right[at]
                ));
            }
            continue;
        }
        let (left, right) = (theirs.shown(&name), ours.shown(&name));
        if left != right {
            return Err(format!("{name:?}: wasmi {left:?}, brant {right:?}"));
        }
    }
    Ok(())
}
