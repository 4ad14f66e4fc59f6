//! Operations that move many bytes or elements, in chunks; and those that grow something.
//!
//! All bounds of what is left are checked first, then at most a chunk is done and the operands are
//! rewritten to the rest: every pause is a legal "about to execute this instruction".
//!
//! Spec: 4.4.6 (table instructions), 4.4.7 (memory instructions).

use brant_isa::Trap;

use super::StoreInner;
use crate::icode::Operation;
use crate::interp::driver::Done;
use crate::vm::Vm;

/// A guest waits at most for this many bytes between two looks at the stop word.
const CHUNK_BYTES: u64 = 64 << 10;
/// Elements in a chunk of a table.
const CHUNK_ELEMENTS: u64 = CHUNK_BYTES / 4;

impl StoreInner {
    /// Does an operation of the instance that `vm` is, or a chunk of it.
    ///
    /// Immediates are in the order of the bytecode, operands in that of the stack; a result comes
    /// first. 32-bit operands are zero-extended.
    ///
    /// # Errors
    /// What is left does not lie in its memory, table or segment.
    pub fn operate(
        &mut self, vm: *mut Vm, operation: Operation, immediates: [u32; 2], operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        // SAFETY: `vm` is the block of an instance of this store.
        let instance = unsafe { (*vm).instance } as usize;
        let [first, second] = immediates;
        match operation {
            Operation::MemoryGrow => operands[0] = self.memory_grow(instance, first, operands[0]),
            Operation::TableGrow => {
                operands[0] = self.table_grow(instance, first, operands[0] as u32, operands[1]);
            }
            Operation::DataDrop => {
                self.instances[instance].data_dropped[first as usize] = true;
            }
            Operation::ElemDrop => {
                self.instances[instance].elements[first as usize] = Box::default();
            }
            Operation::MemoryInit => return self.memory_init(instance, second, first, operands),
            Operation::MemoryCopy => return self.memory_copy(instance, first, second, operands),
            Operation::MemoryFill => return self.memory_fill(instance, first, operands),
            Operation::TableInit => return self.table_init(instance, second, first, operands),
            Operation::TableCopy => return self.table_copy(instance, first, second, operands),
            Operation::TableFill => return self.table_fill(instance, first, operands),
            Operation::AtomicNotify => {
                operands[0] = self.atomic_notify(instance, immediates, operands)?;
            }
            // Waiting is a matter of the thread: see `Run::wait`.
            Operation::AtomicWait32 | Operation::AtomicWait64 => {}
        }
        Ok(Done::Yes)
    }

    fn memory_grow(&mut self, instance: usize, memory: u32, delta: u64) -> u64 {
        let index = self.instances[instance].memories[memory as usize];
        let memory = &mut self.memories[index as usize];
        let failed = if memory.ty.is_64 { u64::MAX } else { u64::from(u32::MAX) };
        memory.grow(delta, &mut self.budget).unwrap_or(failed)
    }

    fn table_grow(&mut self, instance: usize, table: u32, init: u32, delta: u64) -> u64 {
        let index = self.instances[instance].tables[table as usize];
        let table = &mut self.tables[index as usize];
        let failed = if table.ty.is_64 { u64::MAX } else { u64::from(u32::MAX) };
        table.grow(delta, init, &mut self.budget).unwrap_or(failed)
    }

    /// `memory.atomic.notify`: how many were woken. In a memory that is not shared nobody waits.
    fn atomic_notify(
        &mut self, instance: usize, [memory, offset]: [u32; 2], operands: &[u64; 3],
    ) -> Result<u64, Trap> {
        let memory = self.instances[instance].memories[memory as usize];
        let memory = &self.memories[memory as usize];
        let address = operands[0] + u64::from(offset);
        check_aligned(address, 4, memory.view.len_bytes)?;
        let count = operands[1] as u32;
        let woken = memory.shared().map_or(0, |shared| shared.waits.notify(address, count));
        Ok(u64::from(woken))
    }

    fn memory_init(
        &mut self, instance: usize, memory: u32, data: u32, operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let instance = &self.instances[instance];
        let module = instance.module.inner();
        let segment: &[u8] = match instance.data_dropped[data as usize] {
            true => &[],
            false => module.bytes.at(module.data[data as usize].bytes),
        };
        let memory = &mut self.memories[instance.memories[memory as usize] as usize];
        let [to, from, count] = *operands;
        let trap = Trap::OutOfBoundsMemoryAccess;
        check(to, count, memory.view.len_bytes, trap)?;
        check(from, count, segment.len() as u64, trap)?;
        let chunk = count.min(CHUNK_BYTES);
        let source = &segment[range(from, chunk)];
        memory.bytes_mut()[range(to, chunk)].copy_from_slice(source);
        Ok(forward(operands, chunk, chunk))
    }

    fn memory_copy(
        &mut self, instance: usize, to_memory: u32, from_memory: u32, operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let indices = &self.instances[instance].memories;
        let to_memory = indices[to_memory as usize] as usize;
        let from_memory = indices[from_memory as usize] as usize;
        let [to, from, count] = *operands;
        let trap = Trap::OutOfBoundsMemoryAccess;
        check(to, count, self.memories[to_memory].view.len_bytes, trap)?;
        check(from, count, self.memories[from_memory].view.len_bytes, trap)?;
        let chunk = count.min(CHUNK_BYTES);
        if to_memory != from_memory {
            let [target, source] = self
                .memories
                .get_disjoint_mut([to_memory, from_memory])
                .expect("two memories of the store");
            target.bytes_mut()[range(to, chunk)]
                .copy_from_slice(&source.bytes()[range(from, chunk)]);
            return Ok(forward(operands, chunk, chunk));
        }
        let bytes = self.memories[to_memory].bytes_mut();
        if to <= from {
            bytes.copy_within(range(from, chunk), range(to, chunk).start);
            return Ok(forward(operands, chunk, chunk));
        }
        // The target lies above: from the end, so that nothing is overwritten before it is read.
        let rest = count - chunk;
        bytes.copy_within(range(from + rest, chunk), range(to + rest, chunk).start);
        operands[2] = rest;
        Ok(if rest == 0 { Done::Yes } else { Done::More })
    }

    fn memory_fill(
        &mut self, instance: usize, memory: u32, operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let index = self.instances[instance].memories[memory as usize];
        let memory = &mut self.memories[index as usize];
        let [to, value, count] = *operands;
        check(to, count, memory.view.len_bytes, Trap::OutOfBoundsMemoryAccess)?;
        let chunk = count.min(CHUNK_BYTES);
        memory.bytes_mut()[range(to, chunk)].fill(value as u8);
        Ok(forward(operands, chunk, 0))
    }

    fn table_init(
        &mut self, instance: usize, table: u32, segment: u32, operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let instance = &self.instances[instance];
        let segment = &instance.elements[segment as usize];
        let table = &mut self.tables[instance.tables[table as usize] as usize];
        let [to, from, count] = *operands;
        let trap = Trap::OutOfBoundsTableAccess;
        check(to, count, table.elements().len() as u64, trap)?;
        check(from, count, segment.len() as u64, trap)?;
        let chunk = count.min(CHUNK_ELEMENTS);
        table.elements_mut()[range(to, chunk)].copy_from_slice(&segment[range(from, chunk)]);
        Ok(forward(operands, chunk, chunk))
    }

    fn table_copy(
        &mut self, instance: usize, to_table: u32, from_table: u32, operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let indices = &self.instances[instance].tables;
        let to_table = indices[to_table as usize] as usize;
        let from_table = indices[from_table as usize] as usize;
        let [to, from, count] = *operands;
        let trap = Trap::OutOfBoundsTableAccess;
        check(to, count, self.tables[to_table].elements().len() as u64, trap)?;
        check(from, count, self.tables[from_table].elements().len() as u64, trap)?;
        let chunk = count.min(CHUNK_ELEMENTS);
        if to_table != from_table {
            let [target, source] = self
                .tables
                .get_disjoint_mut([to_table, from_table])
                .expect("two tables of the store");
            let source = &source.elements()[range(from, chunk)];
            target.elements_mut()[range(to, chunk)].copy_from_slice(source);
            return Ok(forward(operands, chunk, chunk));
        }
        let elements = self.tables[to_table].elements_mut();
        if to <= from {
            elements.copy_within(range(from, chunk), range(to, chunk).start);
            return Ok(forward(operands, chunk, chunk));
        }
        let rest = count - chunk;
        elements.copy_within(range(from + rest, chunk), range(to + rest, chunk).start);
        operands[2] = rest;
        Ok(if rest == 0 { Done::Yes } else { Done::More })
    }

    fn table_fill(
        &mut self, instance: usize, table: u32, operands: &mut [u64; 3],
    ) -> Result<Done, Trap> {
        let index = self.instances[instance].tables[table as usize];
        let table = &mut self.tables[index as usize];
        let [to, value, count] = *operands;
        check(to, count, table.elements().len() as u64, Trap::OutOfBoundsTableAccess)?;
        let chunk = count.min(CHUNK_ELEMENTS);
        table.elements_mut()[range(to, chunk)].fill(value as u32);
        Ok(forward(operands, chunk, 0))
    }
}

/// Whether `bytes` bytes at `address` are one cell of a memory of `len` bytes.
pub(crate) fn check_aligned(address: u64, bytes: u64, len: u64) -> Result<(), Trap> {
    if !address.is_multiple_of(bytes) {
        return Err(Trap::UnalignedAtomic);
    }
    check(address, bytes, len, Trap::OutOfBoundsMemoryAccess)
}

/// Whether `count` units from `from` on lie in `len`.
fn check(from: u64, count: u64, len: u64, trap: Trap) -> Result<(), Trap> {
    let end = from.checked_add(count).ok_or(trap)?;
    if end <= len { Ok(()) } else { Err(trap) }
}

/// The indices of `count` units from `from` on, which `check` has seen.
fn range(from: u64, count: u64) -> std::ops::Range<usize> {
    from as usize..(from + count) as usize
}

/// Goes past a chunk: the first operand is a place, the second another place or a value.
fn forward(operands: &mut [u64; 3], chunk: u64, second_step: u64) -> Done {
    operands[2] -= chunk;
    if operands[2] == 0 {
        return Done::Yes;
    }
    operands[0] += chunk;
    operands[1] += second_step;
    Done::More
}
