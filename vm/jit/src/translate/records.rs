//! What frames do when they give up their state: store it, and return a dummy.
//!
//! Most of what is live at one call is live at the next, so stores are shared. The values of each
//! exit are put in order, those that most exits have first, and the orders are merged to a tree:
//! an exit stores what only it has, then joins another's stores, and all end in one return.
//!
//! ```text
//! exit 1  {a b c}     c: store c ─┐
//! exit 2  {a b}              store b ─ store a ─ return
//! exit 3  {a d}       d: store d ────┘
//! ```
//!
//! Blocks are made when the body is complete, because only then it is known which values are one.
//! Until then exits lead to a block that stands for all of them. Constants need no code.

use std::cmp::Reverse;
use std::collections::HashMap;

use brant_engine::compile::{CompileError, RecordPlace, RecordSlot, SlotOf};
use cranelift_codegen::ir::{Block, BlockArg, Inst, InstBuilder, Value, types};

use super::{Translator, type_of};
use crate::abi::{ResultPlace, clif, result_places};

/// A way out of the function that is not built yet.
pub struct Exit {
    /// The branch or call that leads there.
    from: Inst,
    /// The number of the call that is stopped.
    call: usize,
    values: Vec<(SlotOf, Value)>,
}

/// A store, and those that follow.
struct Node {
    value: Value,
    /// Where the value is in the record.
    offset: u32,
    parent: usize,
    /// Exits and nodes that lead here.
    ways_here: u32,
    /// The block that begins here, if several lead here.
    block: Option<Block>,
}

/// The node that stores nothing.
const ROOT: usize = 0;

impl Translator<'_, '_> {
    /// The block that stands for all exits; its parameter is the address of the record.
    pub(super) fn exit_block(&mut self) -> Block {
        if let Some(block) = self.any_exit {
            return block;
        }
        let block = self.b.create_block();
        self.b.append_block_param(block, types::I64);
        self.any_exit = Some(block);
        block
    }

    /// Notes that `from` may lead out of the function with these values.
    pub(super) fn note_exit(
        &mut self, from: Inst, call: usize, values: Vec<(SlotOf, Value)>,
    ) -> Result<(), CompileError> {
        self.budget.spend(values.len())?;
        self.exits.push(Exit { from, call, values });
        Ok(())
    }

    /// Builds all exits.
    pub(super) fn build_exits(&mut self) -> Result<(), CompileError> {
        let mut exits = std::mem::take(&mut self.exits);
        self.take_constants(&mut exits);
        let mut nodes = self.merge(&exits)?;
        let Some(any_exit) = self.any_exit else { return Ok(()) };
        for (exit, leaf) in exits.iter().zip(nodes.leaves) {
            let block = self.block_at(&mut nodes.list, leaf)?;
            self.redirect(exit.from, any_exit, block);
        }
        let made = nodes.list.iter().filter_map(|node| node.block);
        made.for_each(|block| self.b.seal_block(block));
        Ok(())
    }

    /// Resolves values to what they are, and moves constants to the side table.
    fn take_constants(&mut self, exits: &mut [Exit]) {
        for exit in exits {
            let (calls, b) = (&mut self.calls, &self.b);
            let call = &mut calls[exit.call];
            exit.values.retain_mut(|(what, value)| {
                *value = b.func.dfg.resolve_aliases(*value);
                let Some(bits) = super::bits(&b.func.dfg, *value) else { return true };
                call.slots.push(RecordSlot { what: *what, at: RecordPlace::Constant(bits) });
                false
            });
        }
    }

    /// Merges the exits to a tree, and fills in where values are in records.
    fn merge(&mut self, exits: &[Exit]) -> Result<Tree, CompileError> {
        let mut users: HashMap<Value, u32> = HashMap::new();
        for exit in exits {
            for (_, value) in &exit.values {
                *users.entry(*value).or_default() += 1;
            }
        }
        let mut tree = Tree::new(self.vm);
        let mut places: HashMap<Value, u32> = HashMap::new();
        for exit in exits {
            let mut order: Vec<Value> = exit.values.iter().map(|(_, value)| *value).collect();
            order.sort_unstable_by_key(|value| (Reverse(users[value]), *value));
            order.dedup();
            places.clear();
            let (mut leaf, mut end) = (ROOT, 0u32);
            for value in order {
                leaf = tree.child(leaf, value, end);
                places.insert(value, end);
                end += if self.type_of(value).is_vector() { 16 } else { 8 };
            }
            i32::try_from(end).map_err(|_| CompileError::TooLarge)?;
            tree.list[leaf].ways_here += 1;
            tree.leaves.push(leaf);
            let call = &mut self.calls[exit.call];
            call.record_bytes = end;
            call.slots.extend(exit.values.iter().map(|&(what, value)| RecordSlot {
                what,
                at: RecordPlace::Offset(places[&value]),
            }));
            call.slots.sort_by_key(|slot| slot.what);
        }
        Ok(tree)
    }

    /// The block that begins with the store of node `at`.
    fn block_at(&mut self, nodes: &mut [Node], at: usize) -> Result<Block, CompileError> {
        if let Some(block) = nodes[at].block {
            return Ok(block);
        }
        self.budget.spend(1)?;
        let (first, mut record) = self.cold_block();
        nodes[at].block = Some(first);
        self.b.switch_to_block(first);
        let mut next = at;
        while next != ROOT {
            let node = &nodes[next];
            self.store(node.value, record, node.offset as i32);
            next = node.parent;
            if nodes[next].ways_here == 1 {
                continue;
            }
            if let Some(block) = nodes[next].block {
                self.b.ins().jump(block, &[BlockArg::Value(record)]);
                return Ok(first);
            }
            // The first that comes here goes on into a block of its own, which others join.
            let (block, param) = self.cold_block();
            self.b.ins().jump(block, &[BlockArg::Value(record)]);
            nodes[next].block = Some(block);
            self.b.switch_to_block(block);
            record = param;
        }
        self.return_dummy(record)?;
        Ok(first)
    }

    /// A block for exits, and its parameter: the address of the record.
    fn cold_block(&mut self) -> (Block, Value) {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        (block, self.b.append_block_param(block, types::I64))
    }

    fn store(&mut self, value: Value, record: Value, offset: i32) {
        let value = match self.type_of(value) {
            types::I8 => self.b.ins().uextend(types::I32, value),
            _ => value,
        };
        let flags = self.regions.record();
        self.b.ins().store(flags, value, record, offset);
    }

    /// Returns what nobody looks at: what is at hand, and needs no register of its own.
    fn return_dummy(&mut self, record: Value) -> Result<(), CompileError> {
        let ty = type_of(self.module, self.function)?;
        let mut dummies = Vec::new();
        for (&ty, place) in ty.results().iter().zip(result_places(ty.results())) {
            if let ResultPlace::Register(_) = place {
                dummies.push(match clif(ty) {
                    types::I64 => record,
                    types::I32 => self.b.ins().ireduce(types::I32, record),
                    ty => self.zero(ty),
                });
            }
        }
        self.b.ins().return_(&dummies);
        Ok(())
    }

    /// Makes what leads to `old` lead to `new`.
    fn redirect(&mut self, from: Inst, old: Block, new: Block) {
        let dfg = &mut self.b.func.dfg;
        let targets =
            dfg.insts[from].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
        for target in targets {
            if target.block(&dfg.value_lists) == old {
                target.set_block(new, &mut dfg.value_lists);
            }
        }
    }
}

/// All stores of a function.
struct Tree {
    list: Vec<Node>,
    children: HashMap<(usize, Value), usize>,
    /// Where each exit begins.
    leaves: Vec<usize>,
}

impl Tree {
    /// The root alone; its value is never stored.
    fn new(any: Value) -> Self {
        let root = Node { value: any, offset: 0, parent: ROOT, ways_here: 0, block: None };
        Self { list: vec![root], children: HashMap::new(), leaves: Vec::new() }
    }

    /// The node that stores `value` at `offset` and goes on at `parent`.
    fn child(&mut self, parent: usize, value: Value, offset: u32) -> usize {
        let made = self.list.len();
        let child = *self.children.entry((parent, value)).or_insert(made);
        if child == made {
            let (ways_here, block) = (0, None);
            self.list.push(Node { value, offset, parent, ways_here, block });
            self.list[parent].ways_here += 1;
        }
        child
    }
}
