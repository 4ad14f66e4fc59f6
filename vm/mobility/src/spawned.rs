//! The threads that a program has started, and who waits at which address: the end of the execution
//! section, in snapshots of such programs only.
//!
//! ```text
//! list     number, state of its store, frames, what runs before it, its argument if it has not
//!          begun, its wait at an address, the call that it waits in
//! numbers  the last one that was given
//! turn     whose it is, and how many sites of it are left where turns are counted
//! wait     of the first thread
//! queue    who waits at an address, in the order in which they came; 0 is the first thread
//! ```
//!
//! Where a thread waits is not written down: it follows from its frames.

use brant_engine::WaitEnd;
use brant_engine::persist::{FuncRef, StoreState, ThreadState};
use brant_kernel::persist::ParkedState;

use crate::execution;
use crate::resources;
use crate::wire::{Read, Reader, Writer};

/// Numbers of threads have 29 bits.
pub const MAX_THREAD_ID: u32 = (1 << 29) - 1;

/// The threads of a process besides its first one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Spawned {
    /// By ascending number.
    pub list: Vec<SpawnedThread>,
    /// The largest number that was given to a thread.
    pub last_id: u32,
    /// Who has the turn: the number of a thread, 0 for the first one.
    pub turn: u32,
    /// How many sites of that turn are left, where turns are counted.
    pub sites_left: Option<u64>,
    /// What the first thread waits for, if it waits at an address.
    pub first_wait: Option<WaitImage>,
    /// Those that wait at addresses, in the order in which they came; 0 is the first thread.
    pub queue: Vec<u32>,
}

/// A thread that the program has started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpawnedThread {
    /// Its number.
    pub id: u32,
    /// Globals, tables and sizes of its own instances.
    pub store: StoreState,
    /// Its frames.
    pub state: ThreadState,
    /// What has to run before its start function.
    pub preparation: Vec<FuncRef>,
    /// The argument of its start function, if that has not begun.
    pub argument: Option<u32>,
    /// Its wait at an address.
    pub wait: Option<WaitImage>,
    /// The call that it waits in.
    pub parked: Option<ParkedState>,
}

/// A wait at an address; which one follows from the frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitImage {
    /// How it ended, if it did.
    pub end: Option<WaitEnd>,
    /// When it ends at the latest, on the guest's monotonic clock.
    pub deadline_ns: Option<u64>,
}

impl Spawned {
    /// The wait of a thread by its number, if it waits.
    pub fn wait_of(&self, id: u32) -> Option<&WaitImage> {
        match id {
            0 => self.first_wait.as_ref(),
            id => self.list.iter().find(|thread| thread.id == id)?.wait.as_ref(),
        }
    }

    /// What no process has been, if this is none.
    fn mistake(&self) -> Option<&'static str> {
        let ids = || self.list.iter().map(|thread| thread.id);
        if self.last_id > MAX_THREAD_ID || ids().any(|id| id == 0 || id > self.last_id) {
            return Some("a thread has no number that threads have");
        }
        if !ids().is_sorted_by(|one, next| one < next) {
            return Some("the threads are not in their order");
        }
        if self.turn != 0 && self.list.binary_search_by_key(&self.turn, |one| one.id).is_err() {
            return Some("a thread has a turn that is not there");
        }
        // Both lists are in order then, so that they are equal only if they say the same.
        let mut queued = self.queue.clone();
        queued.sort_unstable();
        let waits = |wait: &Option<WaitImage>| wait.is_some_and(|wait| wait.end.is_none());
        let first = waits(&self.first_wait).then_some(0);
        let others = self.list.iter().filter(|thread| waits(&thread.wait));
        match queued.into_iter().eq(first.into_iter().chain(others.map(|thread| thread.id))) {
            true => None,
            false => Some("those that wait are not those in the queue"),
        }
    }
}

pub fn write(writer: &mut Writer, spawned: &Spawned) {
    writer.list(&spawned.list, |writer, thread| {
        writer.var(thread.id.into());
        execution::write_store(writer, &thread.store);
        execution::write_thread(writer, &thread.state);
        writer.list(&thread.preparation, |writer, func| writer.var(func.bits()));
        writer.option(thread.argument, |writer, argument| writer.var(argument.into()));
        writer.option(thread.wait, write_wait);
        writer.option(thread.parked, resources::write_parked);
    });
    writer.var(spawned.last_id.into());
    writer.var(spawned.turn.into());
    writer.option(spawned.sites_left, Writer::var);
    writer.option(spawned.first_wait, write_wait);
    writer.list(&spawned.queue, |writer, &id| writer.var(id.into()));
}

pub fn read(reader: &mut Reader<'_>) -> Read<Spawned> {
    let list = reader.list(|reader| {
        Ok(SpawnedThread {
            id: reader.var32()?,
            store: execution::read_store(reader)?,
            state: execution::read_thread(reader)?,
            preparation: reader.list(execution::read_func)?,
            argument: reader.option(Reader::var32)?,
            wait: reader.option(read_wait)?,
            parked: reader.option(resources::read_parked)?,
        })
    })?;
    let spawned = Spawned {
        list,
        last_id: reader.var32()?,
        turn: reader.var32()?,
        sites_left: reader.option(Reader::var)?,
        first_wait: reader.option(read_wait)?,
        queue: reader.list(Reader::var32)?,
    };
    match spawned.mistake() {
        None => Ok(spawned),
        Some(what) => reader.malformed(what),
    }
}

fn write_wait(writer: &mut Writer, wait: WaitImage) {
    writer.u8(match wait.end {
        None => 0,
        Some(WaitEnd::Woken) => 1,
        Some(WaitEnd::TimedOut) => 2,
    });
    writer.option(wait.deadline_ns, Writer::var);
}

fn read_wait(reader: &mut Reader<'_>) -> Read<WaitImage> {
    let end = match reader.u8()? {
        0 => None,
        1 => Some(WaitEnd::Woken),
        2 => Some(WaitEnd::TimedOut),
        _ => return reader.malformed("a wait has no end that waits have"),
    };
    Ok(WaitImage { end, deadline_ns: reader.option(Reader::var)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Section;

    fn thread(id: u32, wait: Option<WaitImage>) -> SpawnedThread {
        SpawnedThread {
            id,
            store: StoreState::default(),
            state: ThreadState { func: FuncRef { place: Some((0, 1)) }, frames: Vec::new() },
            preparation: vec![FuncRef { place: Some((0, 2)) }],
            argument: Some(u32::MAX),
            wait,
            parked: None,
        }
    }

    fn waits(end: Option<WaitEnd>) -> Option<WaitImage> {
        Some(WaitImage { end, deadline_ns: Some(5) })
    }

    /// The first thread and 3 wait, 7 was woken, 9 runs.
    fn sample() -> Spawned {
        Spawned {
            list: vec![
                thread(3, waits(None)),
                thread(7, waits(Some(WaitEnd::Woken))),
                thread(9, None),
            ],
            last_id: 11,
            turn: 9,
            sites_left: Some(77),
            first_wait: waits(None),
            queue: vec![3, 0],
        }
    }

    fn there_and_back(spawned: &Spawned) -> Read<Spawned> {
        let mut writer = Writer::default();
        write(&mut writer, spawned);
        let bytes = writer.finish();
        let mut reader = Reader::new(Section::Execution, &bytes);
        let found = read(&mut reader)?;
        reader.finish()?;
        Ok(found)
    }

    #[test]
    fn threads_come_back_with_their_waits_and_their_order() {
        assert_eq!(there_and_back(&sample()).ok(), Some(sample()));
        assert_eq!(there_and_back(&Spawned::default()).ok(), Some(Spawned::default()));
    }

    #[test]
    fn what_no_process_has_been_is_refused() {
        let refused = |change: fn(&mut Spawned)| {
            let mut spawned = sample();
            change(&mut spawned);
            there_and_back(&spawned).is_err()
        };
        assert!(refused(|spawned| spawned.list.swap(0, 1)), "another order");
        assert!(refused(|spawned| spawned.list[1].id = 3), "a number twice");
        assert!(refused(|spawned| spawned.list[0].id = 0), "the number of the first thread");
        assert!(refused(|spawned| spawned.last_id = 8), "a number that was not given yet");
        assert!(refused(|spawned| spawned.last_id = MAX_THREAD_ID + 1), "too large a number");
        assert!(refused(|spawned| spawned.turn = 8), "the turn of nobody");
        assert!(refused(|spawned| spawned.queue.push(3)), "twice in a queue");
        assert!(refused(|spawned| spawned.queue.push(7)), "in a queue, though it was woken");
        assert!(refused(|spawned| spawned.queue.push(9)), "in a queue, though it runs");
        assert!(
            refused(|spawned| spawned.queue.truncate(spawned.queue.len() - 1)),
            "in no queue, though it waits"
        );
        assert!(refused(|spawned| spawned.first_wait = None), "the first one does not wait");
    }
}
