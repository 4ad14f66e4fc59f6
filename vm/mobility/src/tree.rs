//! The section of a process that has others: what all have in common, and each of them as a snapshot
//! of its own.
//!
//! Inside a tree a module stands once: where its first process names it, or with the root. Nothing
//! here is a tree inside a tree.

use brant_engine::ModuleBytes;
use brant_kernel::persist::{MemberState, PipeState, Relation, TreeState};
use brant_kernel::processes::{End, Entry, Pid, Signals, State};

use crate::error::Section;
use crate::resources::{read_parked, write_parked};
use crate::wire::{Read, Reader, Writer};
use crate::{Code, ReadLimits, Snapshot};

/// The processes of a tree besides its root.
#[derive(Clone, Debug)]
pub struct TreeImage {
    /// What all have in common.
    pub state: TreeState,
    /// Those that have not ended, the root left out, by ascending number.
    pub members: Vec<(Pid, Snapshot)>,
}

/// How a process stands, as a byte.
const RUNS: u8 = 0;
const STOPPED: u8 = 1;
const EXITED: u8 = 2;
const SIGNALLED: u8 = 3;

/// What was interrupted by a handler of signals, as a byte.
const NOTHING: u8 = 0;
const RUNNING: u8 = 1;
const PARKED: u8 = 2;

pub fn write(tree: &TreeImage, root: &Code) -> Vec<u8> {
    let mut writer = Writer::default();
    let state = &tree.state;
    writer.list(&state.entries, write_entry);
    writer.var(state.last_pid.into());
    writer.flags(&[state.begins_anew]);
    writer.var(state.foreground.into());
    writer.list(&state.pipes, |writer, pipe| {
        writer.var(pipe.number.into());
        writer.bytes(&pipe.bytes);
    });
    writer.var(state.next_pipe.into());
    writer.list(&state.queue, |writer, &pid| writer.var(pid.into()));
    writer.list(&state.members, write_member);
    let mut known: Vec<[u8; 32]> = root.modules.iter().map(|module| module.hash).collect();
    writer.list(&tree.members, |writer, (pid, snapshot)| {
        writer.var((*pid).into());
        let mut snapshot = snapshot.clone();
        for module in &mut snapshot.code.modules {
            match known.contains(&module.hash) {
                true => module.bytes = None,
                false => known.push(module.hash),
            }
        }
        writer.bytes(&snapshot.to_vec());
    });
    writer.finish()
}

fn write_entry(writer: &mut Writer, (pid, entry): &(Pid, Entry)) {
    writer.var((*pid).into());
    writer.var(entry.parent.into());
    writer.var(entry.group.into());
    match entry.state {
        State::Runs => writer.u8(RUNS),
        State::Stopped { signal, is_told } => {
            writer.u8(STOPPED);
            writer.u8(signal);
            writer.flags(&[is_told]);
        }
        State::Ended(End::Exit(code)) => {
            writer.u8(EXITED);
            writer.var(code.cast_unsigned().into());
        }
        State::Ended(End::Signal(signal)) => {
            writer.u8(SIGNALLED);
            writer.u8(signal);
        }
    }
    writer.var(entry.pending.0.into());
    writer.flags(&[entry.handles_signals]);
    writer.bytes(entry.name.as_bytes());
}

fn write_member(writer: &mut Writer, member: &MemberState) {
    writer.var(member.pid.into());
    writer.option(member.signal_handler.as_ref(), |writer, name| writer.bytes(name.as_bytes()));
    match member.interrupted {
        None => writer.u8(NOTHING),
        Some(None) => writer.u8(RUNNING),
        Some(Some(parked)) => {
            writer.u8(PARKED);
            write_parked(writer, parked);
        }
    }
    writer.flags(&[member.has_to_begin]);
    writer.list(&member.descriptors, |writer, relation| {
        writer.var(relation.description.into());
        writer.flags(&[relation.closes_on_exec]);
    });
}

/// Reads the section; the bytes of modules that stand with the root are put back where they belong.
pub fn read(bytes: &[u8], limits: &ReadLimits, root: &Code) -> Read<TreeImage> {
    let mut reader = Reader::new(Section::Tree, bytes);
    let entries = reader.list(read_entry)?;
    let last_pid = reader.var32()?;
    let begins_anew = flag(&mut reader)?;
    let foreground = reader.var32()?;
    let pipes =
        reader.list(|reader| Ok(PipeState { number: reader.var32()?, bytes: reader.vec()? }))?;
    let next_pipe = reader.var32()?;
    let queue = reader.list(Reader::var32)?;
    let members = reader.list(read_member)?;
    let mut known = root.modules.clone();
    let snapshots = reader.list(|reader| {
        let pid = reader.var32()?;
        // A tree inside a tree would have no end.
        let mut snapshot = Snapshot::from_part(ModuleBytes::from(reader.vec()?), limits)?;
        for module in &mut snapshot.code.modules {
            match known.iter().find(|other| other.hash == module.hash) {
                Some(other) => module.bytes.clone_from(&other.bytes),
                None => known.push(module.clone()),
            }
        }
        Ok((pid, snapshot))
    })?;
    let numbers = members.iter().map(|member| member.pid).skip(1);
    if !numbers.eq(snapshots.iter().map(|(pid, _)| *pid)) {
        return reader.malformed("a process has no snapshot, or a snapshot no process");
    }
    reader.finish()?;
    let state =
        TreeState { entries, last_pid, begins_anew, foreground, pipes, next_pipe, queue, members };
    Ok(TreeImage { state, members: snapshots })
}

fn read_entry(reader: &mut Reader<'_>) -> Read<(Pid, Entry)> {
    let (pid, parent, group) = (reader.var32()?, reader.var32()?, reader.var32()?);
    let state = match reader.u8()? {
        RUNS => State::Runs,
        STOPPED => State::Stopped { signal: reader.u8()?, is_told: flag(reader)? },
        EXITED => State::Ended(End::Exit(reader.var32()?.cast_signed())),
        SIGNALLED => State::Ended(End::Signal(reader.u8()?)),
        _ => return reader.malformed("a process stands in an unknown way"),
    };
    let pending = Signals(reader.var32()?);
    let handles_signals = flag(reader)?;
    let name = reader.text()?;
    Ok((pid, Entry { parent, group, state, pending, handles_signals, name }))
}

fn read_member(reader: &mut Reader<'_>) -> Read<MemberState> {
    let pid = reader.var32()?;
    let signal_handler = reader.option(Reader::text)?;
    let interrupted = match reader.u8()? {
        NOTHING => None,
        RUNNING => Some(None),
        PARKED => Some(Some(read_parked(reader)?)),
        _ => return reader.malformed("a signal has interrupted something unknown"),
    };
    let has_to_begin = flag(reader)?;
    let descriptors = reader.list(|reader| {
        Ok(Relation { description: reader.var32()?, closes_on_exec: flag(reader)? })
    })?;
    Ok(MemberState { pid, signal_handler, interrupted, has_to_begin, descriptors })
}

fn flag(reader: &mut Reader<'_>) -> Read<bool> {
    match reader.flags()?[..] {
        [flag] => Ok(flag),
        _ => reader.malformed("it has another number of flags"),
    }
}
