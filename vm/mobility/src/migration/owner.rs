//! Who owns a process, whatever breaks.
//!
//! Each move counts the epoch of a process up. The source owns it until it has *fenced* itself, which
//! it does before it sends `Commit`; from then on it does not run the guest unless the destination
//! says that it has lost it. The destination owns it once its record is on the disk.
//!
//! ```text
//! source                                       destination
//! Owns      Offer ------------------------->   Receives
//! Sends     <-------------------------- Accept
//!           pages, state ------------------>   Prepared       (all rebuilt and verified, in memory)
//! Fenced    <------------------------ Prepared
//!           Commit ------------------------>   Owns           (a record on the disk; the guest runs)
//! Left      <--------------------------- Owned
//! Released  <------------------------- Durable                (a checkpoint is on the disk)
//! ```
//!
//! What is prepared is in memory only: a destination that dies has never owned the process, and says
//! `Lost` when it is asked. A source that has fenced itself asks (`Settle`) until it has an answer,
//! after its own death too. A destination that owns the process and has lost its state, because it
//! died before the first checkpoint, says `Wanted` and is sent it once more: so the source keeps its
//! copy, fenced, until then.
//!
//! Both machines are values: they neither wait nor send. The test at the end walks through all that
//! can happen to both.

/// The side that a process leaves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// It owns the process, and nothing is on its way.
    Owns,
    /// It has asked whether the process may come.
    Offers,
    /// It sends, and the guest runs or stands; it is still the owner.
    Sends,
    /// It has given the process up, or is about to hear that it must have it back.
    Fenced,
    /// The destination owns the process and may want the state once more.
    Left,
    /// The process is none of its business any more.
    Released,
}

/// What a source hears.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SourceHears {
    /// Somebody wants the process to move.
    Move,
    /// The destination takes it.
    Accept,
    /// The destination does not, or no more.
    Refuse,
    /// The destination has everything.
    Prepared,
    /// The destination owns it; whether it could start again by itself.
    Owned {
        /// A checkpoint is on its disk.
        is_durable: bool,
    },
    /// The destination never owned it, and will not with this epoch.
    Lost,
    /// The destination owns it and has lost its state.
    Wanted,
    /// The connection is gone.
    Cut,
}

/// What a source does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SourceDoes {
    /// It asks whether the process may come.
    Offer,
    /// It sends everything; at the end of it the guest stands.
    Send,
    /// It brings to the disk that it has given the process up, and sends `Commit`.
    Commit,
    /// It connects once more, and asks.
    Settle,
    /// The guest goes on here.
    GoOn,
    /// It keeps its copy and waits.
    Keep,
    /// It lets go of its copy.
    Release,
}

impl Source {
    /// The state of a host that starts again: whether it had fenced itself is on its disk.
    pub fn restarted(is_fenced: bool) -> Source {
        if is_fenced { Source::Fenced } else { Source::Owns }
    }

    /// Whether the guest may run here.
    pub fn may_run(self) -> bool {
        matches!(self, Source::Owns | Source::Offers | Source::Sends)
    }

    /// What comes of what it hears.
    pub fn hears(&mut self, what: SourceHears) -> SourceDoes {
        use SourceHears as Hears;
        let (next, does) = match (*self, what) {
            (Source::Owns, Hears::Move) => (Source::Offers, SourceDoes::Offer),
            (Source::Offers, Hears::Accept) => (Source::Sends, SourceDoes::Send),
            (Source::Sends, Hears::Prepared) => (Source::Fenced, SourceDoes::Commit),
            // Nothing was given up yet: whatever else is heard, the guest goes on.
            (Source::Owns | Source::Offers | Source::Sends, _) => (Source::Owns, SourceDoes::GoOn),
            (Source::Released, _) => (Source::Released, SourceDoes::Release),
            (_, Hears::Owned { is_durable: true }) => (Source::Released, SourceDoes::Release),
            (_, Hears::Owned { is_durable: false }) => (Source::Left, SourceDoes::Keep),
            (_, Hears::Wanted | Hears::Accept) => (*self, SourceDoes::Send),
            (_, Hears::Prepared) => (*self, SourceDoes::Commit),
            (Source::Fenced, Hears::Lost) => (Source::Owns, SourceDoes::GoOn),
            // After `Owned` only a disk that was lost could say so: the question stays open.
            (_, Hears::Lost | Hears::Cut | Hears::Refuse | Hears::Move) => {
                (*self, SourceDoes::Settle)
            }
        };
        *self = next;
        does
    }
}

/// The side that a process comes to, as far as one process is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Destination {
    /// It has never had the process.
    #[default]
    Nothing,
    /// The process comes.
    Receives {
        /// With this epoch.
        epoch: u64,
        /// It was here before, up to this epoch; 0 if it never was.
        gone: u64,
    },
    /// The process is there, and does not run.
    Prepared {
        /// With this epoch.
        epoch: u64,
        /// It was here before, up to this epoch; 0 if it never was.
        gone: u64,
    },
    /// It owns the process. On its disk.
    Owns {
        /// Since this epoch.
        epoch: u64,
        /// What it has of it.
        held: Held,
    },
    /// It owned the process, which has ended or moved on. On its disk.
    Gone {
        /// Up to this epoch.
        epoch: u64,
    },
}

/// What an owner has of its process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Held {
    /// Nothing: it died before there was a checkpoint.
    Nothing,
    /// All of it, once more; it does not run.
    Prepared,
    /// It runs, and there is no checkpoint yet.
    Running,
    /// It runs, and a checkpoint is on the disk.
    Durable,
}

impl Held {
    fn runs(self) -> bool {
        self >= Held::Running
    }
}

/// What a destination hears. Epochs are those of the sender.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DestinationHears {
    /// A process wants to come.
    Offer {
        /// The epoch that it would have here.
        epoch: u64,
    },
    /// Everything has come and is verified.
    Complete,
    /// The source has given the process up.
    Commit {
        /// For this epoch.
        epoch: u64,
    },
    /// The source has given the process up and asks what became of it.
    Settle {
        /// In this epoch.
        epoch: u64,
    },
    /// The connection on which the process comes is gone.
    Cut,
    /// A checkpoint is on the disk.
    Durable,
    /// The process has ended, or moved on with this epoch.
    Ended {
        /// The last one that is known here.
        epoch: u64,
    },
}

/// What a destination does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DestinationDoes {
    /// It says that the process may come.
    Accept,
    /// It says no.
    Refuse,
    /// It says that all is there.
    SayPrepared,
    /// It brings to its disk that it owns the process, runs it, and says so.
    Own,
    /// It says that it owns the process, or owned it.
    SayOwned {
        /// And needs nothing more of the source.
        is_durable: bool,
    },
    /// It says that it never owned the process.
    SayLost,
    /// It says that it needs the state once more.
    SayWanted,
    /// Nothing is to be said.
    Nothing,
}

impl Destination {
    /// What is left of it when its host dies.
    #[must_use]
    pub fn restarted(self) -> Destination {
        match self {
            Destination::Receives { gone, .. } | Destination::Prepared { gone, .. } => {
                Destination::before(gone)
            }
            Destination::Owns { held: Held::Durable, .. } => self,
            Destination::Owns { epoch, .. } => Destination::Owns { epoch, held: Held::Nothing },
            other => other,
        }
    }

    /// What there was before the process came, or came back.
    fn before(gone: u64) -> Destination {
        match gone {
            0 => Destination::Nothing,
            epoch => Destination::Gone { epoch },
        }
    }

    /// Whether the guest runs here.
    pub fn runs(self) -> bool {
        matches!(self, Destination::Owns { held, .. } if held.runs())
    }

    /// What comes of what it hears.
    pub fn hears(&mut self, what: DestinationHears) -> DestinationDoes {
        use DestinationDoes as Does;
        use DestinationHears as Hears;
        let (next, does) = match (*self, what) {
            (_, Hears::Offer { epoch }) => match self.takes(epoch) {
                Takes::Anew { gone } => (Destination::Receives { epoch, gone }, Does::Accept),
                // What is owned stays owned while it comes once more.
                Takes::Again => (Destination::Owns { epoch, held: Held::Nothing }, Does::Accept),
                Takes::No => (*self, Does::Refuse),
            },
            (Destination::Receives { epoch, gone }, Hears::Complete) => {
                (Destination::Prepared { epoch, gone }, Does::SayPrepared)
            }
            (Destination::Owns { epoch, held: Held::Nothing }, Hears::Complete) => {
                (Destination::Owns { epoch, held: Held::Prepared }, Does::SayPrepared)
            }
            (
                Destination::Prepared { epoch: ours, .. },
                Hears::Commit { epoch } | Hears::Settle { epoch },
            ) if ours == epoch => (Destination::Owns { epoch, held: Held::Running }, Does::Own),
            (
                Destination::Owns { epoch: ours, held },
                Hears::Commit { epoch } | Hears::Settle { epoch },
            ) if ours == epoch && !held.runs() => match held {
                Held::Prepared => (Destination::Owns { epoch, held: Held::Running }, Does::Own),
                _ => (*self, Does::SayWanted),
            },
            (
                Destination::Owns { epoch: ours, held },
                Hears::Commit { epoch } | Hears::Settle { epoch },
            ) if ours >= epoch => (*self, Does::SayOwned { is_durable: held == Held::Durable }),
            (
                Destination::Gone { epoch: ours },
                Hears::Commit { epoch } | Hears::Settle { epoch },
            ) if ours >= epoch => (*self, Does::SayOwned { is_durable: true }),
            // It comes back from where it went when it was here last, and whoever brought it then
            // has not heard yet that it arrived.
            (
                Destination::Receives { gone, .. } | Destination::Prepared { gone, .. },
                Hears::Commit { epoch } | Hears::Settle { epoch },
            ) if gone >= epoch => (*self, Does::SayOwned { is_durable: true }),
            // Somebody else's epoch, or one that nothing is left of. What comes is dropped, so that
            // a commit that is still on its way finds nothing.
            (
                Destination::Receives { gone, .. } | Destination::Prepared { gone, .. },
                Hears::Commit { .. } | Hears::Settle { .. },
            ) => (Destination::before(gone), Does::SayLost),
            (_, Hears::Commit { .. } | Hears::Settle { .. }) => (*self, Does::SayLost),
            (Destination::Receives { gone, .. }, Hears::Cut) => {
                (Destination::before(gone), Does::Nothing)
            }
            (Destination::Owns { epoch, held: Held::Running }, Hears::Durable) => {
                let next = Destination::Owns { epoch, held: Held::Durable };
                (next, Does::SayOwned { is_durable: true })
            }
            (Destination::Owns { .. }, Hears::Ended { epoch }) => {
                (Destination::Gone { epoch }, Does::Nothing)
            }
            (_, Hears::Complete) => (*self, Does::Refuse),
            (_, Hears::Cut | Hears::Durable | Hears::Ended { .. }) => (*self, Does::Nothing),
        };
        *self = next;
        does
    }

    fn takes(self, epoch: u64) -> Takes {
        match self {
            Destination::Nothing => Takes::Anew { gone: 0 },
            // The source has begun once more: what came before is dropped.
            Destination::Receives { epoch: ours, gone }
            | Destination::Prepared { epoch: ours, gone }
                if epoch >= ours =>
            {
                Takes::Anew { gone }
            }
            Destination::Owns { epoch: ours, held } if epoch == ours && !held.runs() => {
                Takes::Again
            }
            Destination::Gone { epoch: ours } if epoch > ours => Takes::Anew { gone: ours },
            _ => Takes::No,
        }
    }
}

/// Whether a process may come.
enum Takes {
    /// It was here before, up to this epoch; 0 if it never was.
    Anew {
        gone: u64,
    },
    Again,
    No,
}

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};

    use super::*;

    /// Faults that may happen in one history.
    const FAULTS: u8 = 6;
    /// The epoch that the process has at the source.
    const EPOCH: u64 = 1;

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum ToDestination {
        Offer(u64),
        State,
        Commit(u64),
        Settle(u64),
    }

    /// Both hosts, their disks, and what is on its way between them.
    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct World {
        source: Source,
        /// The epoch with which the source would send.
        epoch: u64,
        /// The epoch of the source's fence; on its disk.
        fenced: bool,
        source_is_up: bool,
        destination: Destination,
        destination_is_up: bool,
        is_connected: bool,
        /// How often somebody will yet want the process to move.
        wishes: u8,
        there: VecDeque<ToDestination>,
        back: VecDeque<SourceHears>,
        faults: u8,
    }

    impl World {
        fn new() -> World {
            World {
                source: Source::Owns,
                epoch: EPOCH,
                fenced: false,
                source_is_up: true,
                destination: Destination::Nothing,
                destination_is_up: true,
                is_connected: true,
                wishes: 2,
                there: VecDeque::new(),
                back: VecDeque::new(),
                faults: 0,
            }
        }

        fn source_hears(&mut self, what: SourceHears) {
            let had = self.source;
            match self.source.hears(what) {
                SourceDoes::Offer => self.say(ToDestination::Offer(self.epoch + 1)),
                SourceDoes::Send => {
                    if had != Source::Offers {
                        self.say(ToDestination::Offer(self.epoch + 1));
                    }
                    self.say(ToDestination::State);
                }
                SourceDoes::Commit => {
                    self.fenced = true;
                    self.say(ToDestination::Commit(self.epoch + 1));
                }
                SourceDoes::Settle => self.say(ToDestination::Settle(self.epoch + 1)),
                SourceDoes::GoOn if had == Source::Fenced => {
                    // Whatever is left of that epoch is older than what is owned here now.
                    self.fenced = false;
                    self.epoch += 2;
                }
                SourceDoes::GoOn | SourceDoes::Keep | SourceDoes::Release => {}
            }
        }

        fn say(&mut self, what: ToDestination) {
            if self.is_connected {
                self.there.push_back(what);
            }
        }

        fn destination_hears(&mut self, what: ToDestination) {
            let hears = match what {
                ToDestination::Offer(epoch) => DestinationHears::Offer { epoch },
                ToDestination::State => DestinationHears::Complete,
                ToDestination::Commit(epoch) => DestinationHears::Commit { epoch },
                ToDestination::Settle(epoch) => DestinationHears::Settle { epoch },
            };
            let answer = match self.destination.hears(hears) {
                // The state follows an offer that is made again without being asked for.
                DestinationDoes::Accept if self.source != Source::Offers => return,
                DestinationDoes::Accept => SourceHears::Accept,
                DestinationDoes::Refuse => SourceHears::Refuse,
                DestinationDoes::SayPrepared => SourceHears::Prepared,
                DestinationDoes::Own => SourceHears::Owned { is_durable: false },
                DestinationDoes::SayOwned { is_durable } => SourceHears::Owned { is_durable },
                DestinationDoes::SayLost => SourceHears::Lost,
                DestinationDoes::SayWanted => SourceHears::Wanted,
                DestinationDoes::Nothing => return,
            };
            self.back.push_back(answer);
        }

        /// The connection goes, and with it all but the first few of what was on its way.
        fn cut(&self, there: usize, back: usize) -> World {
            let mut next = self.clone();
            next.is_connected = false;
            next.there.truncate(there);
            next.back.truncate(back);
            next
        }

        /// All that can happen next without a fault.
        fn steps(&self) -> Vec<World> {
            let mut all = Vec::new();
            let mut push = |change: &dyn Fn(&mut World)| {
                let mut next = self.clone();
                change(&mut next);
                all.push(next);
            };
            if self.destination_is_up && !self.there.is_empty() {
                push(&|next| {
                    let first = next.there.pop_front().expect("it is not empty");
                    next.destination_hears(first);
                });
            }
            if self.source_is_up && !self.back.is_empty() {
                push(&|next| {
                    let first = next.back.pop_front().expect("it is not empty");
                    next.source_hears(first);
                });
            }
            if !self.source_is_up {
                push(&|next| {
                    next.source_is_up = true;
                    next.source = match (next.fenced, next.source) {
                        (_, Source::Released) => Source::Released,
                        (fenced, _) => Source::restarted(fenced),
                    };
                });
            }
            if !self.destination_is_up {
                push(&|next| next.destination_is_up = true);
            }
            let is_quiet = self.there.is_empty() && self.back.is_empty();
            if self.source_is_up && self.destination_is_up && !self.is_connected && is_quiet {
                push(&|next| {
                    // Both hear that the old connection is gone before there is a new one.
                    next.destination.hears(DestinationHears::Cut);
                    next.is_connected = true;
                    next.source_hears(SourceHears::Cut);
                });
            }
            if self.source_is_up && self.is_connected && self.wishes > 0 {
                push(&|next| {
                    next.wishes -= 1;
                    next.source_hears(SourceHears::Move);
                });
            }
            if self.destination_is_up && self.destination.runs() {
                push(&|next| {
                    if let DestinationDoes::SayOwned { is_durable } =
                        next.destination.hears(DestinationHears::Durable)
                        && next.is_connected
                    {
                        next.back.push_back(SourceHears::Owned { is_durable });
                    }
                });
            }
            all
        }

        fn faults(&self) -> Vec<World> {
            let mut all = Vec::new();
            for there in 0..=self.there.len() {
                for back in 0..=self.back.len() {
                    let mut cut = self.cut(there, back);
                    cut.faults += 1;
                    for (source_dies, destination_dies) in
                        [(false, false), (true, false), (false, true), (true, true)]
                    {
                        let mut next = cut.clone();
                        if source_dies && next.source_is_up {
                            next.source_is_up = false;
                            next.back.clear();
                        }
                        if destination_dies && next.destination_is_up {
                            next.destination_is_up = false;
                            next.destination = next.destination.restarted();
                            next.there.clear();
                        }
                        all.push(next);
                    }
                }
            }
            all
        }

        fn check(&self) {
            let source_runs = self.source_is_up && self.source.may_run();
            let destination_runs = self.destination_is_up && self.destination.runs();
            assert!(!(source_runs && destination_runs), "both run it: {self:?}");
            let is_released = self.source == Source::Released;
            let is_safe = matches!(self.destination, Destination::Owns { held: Held::Durable, .. });
            assert!(!is_released || is_safe, "nobody could start it again: {self:?}");
        }

        /// Lets everything happen that is due, without faults.
        fn settle(&self) -> World {
            let mut now = self.clone();
            for _ in 0..100 {
                match now.steps().into_iter().find(|next| *next != now) {
                    Some(next) => now = next,
                    None => return now,
                }
                now.check();
            }
            panic!("it never comes to rest: {self:?}");
        }
    }

    #[test]
    fn whatever_breaks_one_side_owns_the_process_and_both_never_do() {
        let (mut seen, mut open) = (HashSet::new(), vec![World::new()]);
        while let Some(world) = open.pop() {
            if !seen.insert(world.clone()) {
                continue;
            }
            world.check();
            let end = world.settle();
            let runs = u8::from(end.source.may_run()) + u8::from(end.destination.runs());
            assert_eq!(runs, 1, "from {world:?} to {end:?}");
            assert!(end.source_is_up && end.destination_is_up);
            open.extend(world.steps());
            if world.faults < FAULTS {
                open.extend(world.faults());
            }
        }
        assert!(seen.len() > 1000, "only {} states", seen.len());
    }

    #[test]
    fn without_faults_the_process_moves_and_is_let_go() {
        let end = World::new().settle();
        assert_eq!(end.source, Source::Released);
        assert!(end.destination.runs());
    }

    #[test]
    fn an_old_epoch_is_never_taken() {
        let mut destination = Destination::Gone { epoch: 5 };
        let old = destination.hears(DestinationHears::Offer { epoch: 5 });
        assert_eq!(old, DestinationDoes::Refuse);
        let new = destination.hears(DestinationHears::Offer { epoch: 6 });
        assert_eq!(new, DestinationDoes::Accept);
    }

    #[test]
    fn whoever_brought_it_last_time_is_answered_while_it_comes_back() {
        let mut destination = Destination::Nothing;
        for epoch in [1, 3, 5] {
            destination.hears(DestinationHears::Offer { epoch });
            destination.hears(DestinationHears::Complete);
            let does = destination.hears(DestinationHears::Commit { epoch });
            assert_eq!(does, DestinationDoes::Own);
            destination.hears(DestinationHears::Durable);
            // It moves on, and is on its way back when the host that it came from asks whether it
            // has arrived.
            destination.hears(DestinationHears::Ended { epoch: epoch + 1 });
            destination.hears(DestinationHears::Offer { epoch: epoch + 2 });
            for _ in 0..2 {
                let before = destination;
                for asked in [epoch, epoch + 1] {
                    let does = destination.hears(DestinationHears::Settle { epoch: asked });
                    assert_eq!(does, DestinationDoes::SayOwned { is_durable: true });
                }
                assert_eq!(destination, before, "what comes is not disturbed");
                destination.hears(DestinationHears::Complete);
            }
            // The host that it comes from now hears that this has come to nothing, and what was
            // known before is not forgotten.
            let mut cut = destination;
            let does = cut.hears(DestinationHears::Settle { epoch: epoch + 3 });
            assert_eq!(
                (cut, does),
                (Destination::Gone { epoch: epoch + 1 }, DestinationDoes::SayLost)
            );
            assert_eq!(destination.restarted(), cut);
            destination = cut;
        }
    }
}
