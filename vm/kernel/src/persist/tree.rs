//! A tree of processes as plain values: the table, the pipes, and what its processes have in common
//! besides; the state of each kernel stands beside it.
//!
//! ```text
//! pipe            made anew with the bytes that are in it; its ends are found by their numbers
//! duplicates      descriptors of one description get one again, in whichever process they are
//! zombie          a row of the table: all that is left of it is how it ended
//! ```

use super::{DescriptorState, KernelState, Obstacle, ParkedState};
use crate::descriptor::{Descriptor, OpenFile};
use crate::host::{Handle, Host};
use crate::kernel::Kernel;
use crate::manifest::Manifest;
use crate::processes::{Entry, Member, Pid, ROOT, Tree};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the processes of a tree have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeState {
    /// The rows of the table, by ascending number.
    pub entries: Vec<(Pid, Entry)>,
    /// The number that was given last.
    pub last_pid: Pid,
    /// Whether the numbers have come to their end once.
    pub begins_anew: bool,
    /// The group that signals of the terminal go to.
    pub foreground: Pid,
    /// The pipes, by ascending number.
    pub pipes: Vec<PipeState>,
    /// The number that the next pipe gets, if it is free.
    pub next_pipe: u32,
    /// Those that can run, in the order in which they will.
    pub queue: Vec<Pid>,
    /// The processes that have not ended, by ascending number.
    pub members: Vec<MemberState>,
}

/// A pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipeState {
    /// Its number; its ends are 2 times that for reading, and one more.
    pub number: u32,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What is to be known of a process besides the state of its kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberState {
    /// Its number.
    pub pid: Pid,
    /// The exported function that signals are told to.
    pub signal_handler: Option<String>,
    /// Whether that function runs, and the call in which it was told of a signal, if it waited.
    pub interrupted: Option<Option<ParkedState>>,
    /// Whether its program has still to begin.
    pub has_to_begin: bool,
    /// What is to be known of each of its descriptors, in their order.
    pub descriptors: Vec<Relation>,
}

/// What a descriptor has to do with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The number of its open file description: duplicates have the same.
    pub description: u32,
    /// Whether a program that takes the place of this one does not get it.
    pub closes_on_exec: bool,
}

/// Numbers for open file descriptions, in the order in which they are met.
#[derive(Debug, Default)]
pub struct Numbering(BTreeMap<usize, u32>);

impl Numbering {
    fn of(&mut self, open: &Arc<OpenFile>) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(Arc::as_ptr(open).addr()).or_insert(next)
    }
}

/// Open file descriptions that were restored, while others of the tree are.
#[derive(Debug, Default)]
pub(crate) struct Descriptions(BTreeMap<u32, Descriptor>);

impl TreeState {
    /// Whether there is nothing in it that one process alone would not have.
    pub fn is_trivial(&self) -> bool {
        let [(_, root)] = &self.entries[..] else { return false };
        let [
            MemberState {
                signal_handler: None, interrupted: None, has_to_begin, descriptors, ..
            },
        ] = &self.members[..]
        else {
            return false;
        };
        let mut seen: Vec<u32> = descriptors.iter().map(|relation| relation.description).collect();
        seen.sort_unstable();
        let has_duplicates = seen.windows(2).any(|pair| pair[0] == pair[1]);
        let closes = descriptors.iter().any(|relation| relation.closes_on_exec);
        self.last_pid == ROOT
            && root.group == self.foreground
            && root.pending.0 == 0
            && self.pipes.is_empty()
            && !(*has_to_begin || has_duplicates || closes)
    }

    /// What is to be known of a process.
    pub fn member(&self, pid: Pid) -> Option<&MemberState> {
        self.members.iter().find(|member| member.pid == pid)
    }
}

impl Kernel {
    /// What is to be known of this process of a tree besides its state.
    pub fn save_member(&self, numbering: &mut Numbering) -> MemberState {
        let descriptors = self.descriptors.iter().map(|(_, descriptor)| Relation {
            description: numbering.of(&descriptor.open),
            closes_on_exec: descriptor.closes_on_exec,
        });
        MemberState {
            pid: self.number(),
            signal_handler: self.signal_handler.clone(),
            descriptors: descriptors.collect(),
            ..MemberState::default()
        }
    }

    /// The kernel of a process of a tree that goes on here, with what `manifest` grants. The tree is
    /// one that was [restored](Tree::restore), and its root comes first.
    ///
    /// # Errors
    /// As [`Kernel::restore`].
    pub fn restore_member(
        manifest: Manifest, member: Member, state: &KernelState, relations: &MemberState,
    ) -> Result<Kernel, Obstacle> {
        if relations.descriptors.len() != state.descriptors.len() {
            return Err(wrong("has other descriptors than it has"));
        }
        let host: Box<dyn Host> = Box::new(member.clone());
        let mut kernel = Kernel::restore_with(manifest, host, state, Some((&member, relations)))?;
        kernel.signal_handler.clone_from(&relations.signal_handler);
        if kernel.signal_handler.is_some() {
            member.tree.terminal().want();
        }
        kernel.join_tree(member);
        Ok(kernel)
    }
}

impl Member {
    /// The handle of an end of a pipe that was restored, whose description this is.
    pub(super) fn take_end(&self, end: u32) -> Option<Handle> {
        self.tree.lock().restore_end(end)
    }

    /// The descriptor that was restored first of those with a description.
    pub(super) fn duplicate_of(&self, description: u32) -> Option<Descriptor> {
        self.tree.lock().descriptions.0.get(&description).cloned()
    }

    /// Takes note of the first descriptor of a description.
    pub(super) fn is_first_of(&self, description: u32, descriptor: &Descriptor) {
        self.tree.lock().descriptions.0.insert(description, descriptor.clone());
    }
}

impl DescriptorState {
    /// Whether a descriptor that was restored can be a duplicate of what this says.
    pub(super) fn is_of(&self, first: &Descriptor) -> bool {
        self.object == first.object && self.binding == first.binding
    }
}

fn wrong(why: &str) -> Obstacle {
    Obstacle {
        fd: None,
        what: "a process of the tree".to_owned(),
        why: why.to_owned(),
        remedy: "the snapshot was not made by brant".to_owned(),
    }
}

impl Tree {
    /// What the processes of this tree have in common, their [members](Kernel::save_member) left
    /// out.
    pub fn save(&self) -> TreeState {
        let core = self.lock();
        TreeState { foreground: core.table.foreground, ..core.save() }
    }

    /// A tree that goes on here, with no process yet: each is restored by
    /// [`Kernel::restore_member`], and then the tree is [settled](Tree::settle).
    ///
    /// # Errors
    /// There are more processes than `limit`, or what the state says no tree has been.
    pub fn restore(host: Box<dyn Host>, state: &TreeState, limit: u64) -> Result<Tree, Obstacle> {
        let count = state.entries.len() as u64;
        if count > limit {
            return Err(Obstacle {
                fd: None,
                what: "its processes".to_owned(),
                why: format!("are {count}, and {limit} are granted here"),
                remedy: "grant more (`--max-processes`)".to_owned(),
            });
        }
        state.check().map_err(wrong)?;
        let tree = Tree::new(host, String::new(), limit);
        tree.lock().restore(state);
        if state.foreground != ROOT {
            tree.terminal().want();
        }
        Ok(tree)
    }

    /// All processes are there: ends of pipes that none of them has are closed.
    pub fn settle(&self) {
        self.lock().settle();
    }
}
