//! One module in both tiers side by side: stopped at the same sites, they stand in equal frames, and
//! each goes on from the frames of the other.

use brant_engine::{FrameError, FrameState, Stop, Thread, Trap, Val};

use super::ours::{self, Ours, val, value};
use super::values::{End, Mode, Numbers, Value};

/// How far a comparison came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchanged {
    /// Calls that ended alike in both.
    pub calls_count: u64,
    /// Stops at which the frames were equal and exchanged.
    pub stops_count: u64,
}

/// No module is called more often, and no call is stopped more often.
const CALLS_LIMIT: usize = 12;
const STOPS_LIMIT: u64 = 60;
/// Recursion says nothing new from here on, and each stop takes all of it apart.
const FRAMES_LIMIT: usize = 300;
/// A run goes at most 2 to this power sites, less one.
const SITES_BITS: u64 = 11;

/// Where one side is after a step.
enum Step {
    At(Vec<FrameState>),
    Ended(End),
}

/// Runs the exports of a module in the interpreter and in compiled code, which is entered and left
/// at random.
///
/// # Errors
/// What differs. A slot of the wrong type is no frame of the site, and so differs too.
pub fn exchange(bytes: &[u8], seed: u64) -> Result<Exchanged, String> {
    let mut exchanged = Exchanged::default();
    let mut numbers = Numbers::new(seed);
    let (Ok(interp), Ok(mixed)) =
        (ours::load(bytes, Mode::Guarded), ours::load(bytes, Mode::Mixed))
    else {
        return Ok(exchanged);
    };
    let mut left = Ours::new(&interp, Mode::Guarded, seed);
    let mut right = Ours::new(&mixed, Mode::Mixed, seed);
    let prepared = [left.prepare(), right.prepare()];
    if prepared.iter().any(|end| *end != End::Values(Vec::new())) {
        return Ok(exchanged);
    }
    for (name, params) in ours::functions(&interp).into_iter().take(CALLS_LIMIT) {
        let arguments: Vec<_> = params.iter().map(|kind| numbers.value(*kind)).collect();
        let mut threads = [left.begin(&name, &arguments), right.begin(&name, &arguments)];
        for _ in 0..STOPS_LIMIT {
            let bits = numbers.next() % (SITES_BITS + 1);
            let sites = 1 + numbers.next() % (1 << bits);
            let ways = [left.step(&mut threads[0], sites), right.step(&mut threads[1], sites)];
            let about = || format!("{name:?} {arguments:?}, {sites} sites further");
            match ways {
                [Step::Ended(End::Open), _] | [_, Step::Ended(End::Open)] => return Ok(exchanged),
                [Step::Ended(ours), Step::Ended(theirs)] if ours == theirs => {
                    exchanged.calls_count += 1;
                    break;
                }
                [Step::At(ours), Step::At(theirs)] if ours == theirs => {
                    exchanged.stops_count += 1;
                    if ours.len() > FRAMES_LIMIT {
                        break;
                    }
                    threads = [left.resume(&name, &theirs), right.resume(&name, &ours)]
                        .map(|thread| thread.unwrap_or_else(|error| panic!("{error}")));
                }
                [ours, theirs] => {
                    return Err(format!("{}: interp {ours:?}, mixed {theirs:?}", about()));
                }
            }
        }
    }
    Ok(exchanged)
}

impl Ours {
    /// A thread that will call an export.
    fn begin(&mut self, name: &str, arguments: &[Value]) -> Thread {
        let func = self.func(name);
        let arguments: Vec<Val> = arguments.iter().copied().map(val).collect();
        Thread::new(&mut self.store, func, &arguments)
    }

    /// Runs over so many sites.
    fn step(&mut self, thread: &mut Thread, sites: u64) -> Step {
        self.store.stop_at_site(Some(sites));
        match thread.run(&mut self.store) {
            Stop::Done(values) => Step::Ended(End::Values(values.iter().map(value).collect())),
            Stop::Trap(report) if report.code == Trap::CallStackExhausted => Step::Ended(End::Open),
            Stop::Trap(report) => Step::Ended(End::Trap(report.to_string())),
            Stop::Interrupted if self.store.take_site_stop() => {
                Step::At(thread.frames(&mut self.store).expect("a thread that stands"))
            }
            // The watch: it runs for too long to say anything.
            Stop::Interrupted => Step::Ended(End::Open),
            other => Step::Ended(End::Wrong(other.to_string())),
        }
    }

    /// A thread that goes on from frames. They are checked: number, type and range of each slot.
    fn resume(&mut self, name: &str, frames: &[FrameState]) -> Result<Thread, FrameError> {
        let func = self.func(name);
        Thread::from_frames(&mut self.store, func, frames)
    }
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::At(frames) => write!(f, "stands at {frames:?}"),
            Step::Ended(end) => end.fmt(f),
        }
    }
}
