//! The execution segment: threads as frames, globals, tables, what was dropped.

use brant_engine::persist::{
    ElementRun, FuncRef, InstanceState, StoreState, ThreadState, TrapFrame, TrapState,
};
use brant_engine::site::SiteId;
use brant_engine::{FrameState, Slot, Trap, ValType};

use crate::spawned::{self, Spawned};
use crate::wire::{Read, Reader, Writer};

/// Where a process stands, memories left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Execution {
    /// Globals, tables, sizes, fuel.
    pub store: StoreState,
    /// The threads that stand.
    pub threads: Vec<ThreadImage>,
    /// What has to run before the program: start functions and the like that are left.
    pub preparation: Vec<FuncRef>,
    /// Why a process does not go on any more: a snapshot of one that has trapped can be looked into,
    /// and nothing else.
    pub trap: Option<TrapState>,
    /// The threads that the program has started, if it has.
    pub spawned: Option<Spawned>,
}

impl Execution {
    /// The size of a memory, as pages name it: those of the first store, then those of the other
    /// threads' stores, each of which has as many.
    pub fn memory_wasm_pages(&self, number: u32) -> Option<u64> {
        let first = &self.store.memories_wasm_pages;
        let number = number as usize;
        if number < first.len() {
            return Some(first[number]);
        }
        let (thread, memory) = (number / first.len().max(1), number % first.len().max(1));
        let thread = self.spawned.as_ref()?.list.get(thread.checked_sub(1)?)?;
        thread.store.memories_wasm_pages.get(memory).copied()
    }

    /// How many memories there are, those of the other threads included.
    pub fn memory_count(&self) -> usize {
        let threads = 1 + self.spawned.as_ref().map_or(0, |spawned| spawned.list.len());
        self.store.memories_wasm_pages.len() * threads
    }
}

/// A thread that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadImage {
    /// What it is for.
    pub purpose: Purpose,
    /// Its frames.
    pub state: ThreadState,
}

/// What a thread is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// It prepares the process: a start function, or `_initialize`.
    Preparation,
    /// It is the program.
    Program,
    /// The embedder has called it.
    Call,
}

impl Purpose {
    const ALL: [Purpose; 3] = [Purpose::Preparation, Purpose::Program, Purpose::Call];

    /// Its name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Preparation => "preparation",
            Purpose::Program => "program",
            Purpose::Call => "call",
        }
    }
}

pub fn write(execution: &Execution, has_spawned: HasSpawned) -> Vec<u8> {
    let mut writer = Writer::default();
    write_store(&mut writer, &execution.store);
    writer.list(&execution.threads, |writer, thread| {
        writer.u8(thread.purpose as u8);
        write_thread(writer, &thread.state);
    });
    writer.list(&execution.preparation, |writer, func| writer.var(func.bits()));
    writer.option(execution.trap.as_ref(), write_trap);
    if has_spawned == HasSpawned::Maybe {
        writer.u8(execution.spawned.is_some().into());
    }
    if let Some(spawned) = &execution.spawned {
        spawned::write(&mut writer, spawned);
    }
    writer.finish()
}

pub fn write_store(writer: &mut Writer, store: &StoreState) {
    let StoreState { fuel, memories_wasm_pages, tables, globals, instances, holds_host_values } =
        store;
    writer.var(*fuel);
    writer.list(memories_wasm_pages, |writer, &size| writer.var(size));
    writer.list(tables, |writer, runs| {
        let mut last = 0;
        writer.list(runs, |writer, run| {
            writer.var(run.count);
            writer.difference(last, run.bits);
            last = run.bits;
        });
    });
    writer.list(globals, |writer, &slot| write_slot(writer, slot));
    writer.list(instances, |writer, instance| {
        writer.flags(&instance.dropped_data);
        writer.flags(&instance.dropped_elements);
    });
    writer.u8((*holds_host_values).into());
}

pub fn write_thread(writer: &mut Writer, state: &ThreadState) {
    writer.var(state.func.bits());
    writer.list(&state.frames, write_frame);
}

/// Whether a section says what there is to say of [`Spawned`] threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HasSpawned {
    /// There were none when it was written first.
    No,
    /// It does.
    Yes,
    /// It says whether it does.
    Maybe,
}

/// What the section of a file says.
pub fn read(mut reader: Reader<'_>, has_spawned: HasSpawned) -> Read<Execution> {
    let store = read_store(&mut reader)?;
    let threads = reader.list(|reader| {
        let number = reader.u8()?;
        let Some(&purpose) = Purpose::ALL.get(number as usize) else {
            return reader.malformed("a thread is for nothing that is known");
        };
        Ok(ThreadImage { purpose, state: read_thread(reader)? })
    })?;
    let preparation = reader.list(read_func)?;
    let trap = reader.option(read_trap)?;
    let spawned = match has_spawned {
        HasSpawned::No => None,
        HasSpawned::Yes => Some(spawned::read(&mut reader)?),
        HasSpawned::Maybe => reader.option(spawned::read)?,
    };
    reader.finish()?;
    Ok(Execution { store, threads, preparation, trap, spawned })
}

pub fn read_store(reader: &mut Reader<'_>) -> Read<StoreState> {
    let fuel = reader.var()?;
    let memories_wasm_pages = reader.list(Reader::var)?;
    let tables = reader.list(|reader| {
        let mut last = 0;
        reader.list(|reader| {
            let count = reader.var()?;
            last = reader.difference(last)?;
            Ok(ElementRun { count, bits: last })
        })
    })?;
    let globals = reader.list(read_slot)?;
    let instances = reader.list(|reader| {
        let (dropped_data, dropped_elements) = (reader.flags()?, reader.flags()?);
        Ok(InstanceState { dropped_data, dropped_elements })
    })?;
    let holds_host_values = reader.flag()?;
    Ok(StoreState { fuel, memories_wasm_pages, tables, globals, instances, holds_host_values })
}

pub fn read_thread(reader: &mut Reader<'_>) -> Read<ThreadState> {
    Ok(ThreadState { func: read_func(reader)?, frames: reader.list(read_frame)? })
}

fn write_frame(writer: &mut Writer, frame: &FrameState) {
    writer.var(frame.instance.into());
    writer.var(frame.function.into());
    writer.var(frame.site.0.into());
    writer.list(&frame.locals, |writer, &slot| write_slot(writer, slot));
    writer.list(&frame.operands, |writer, &slot| write_slot(writer, slot));
}

fn read_frame(reader: &mut Reader<'_>) -> Read<FrameState> {
    Ok(FrameState {
        instance: reader.var32()?,
        function: reader.var32()?,
        site: SiteId(reader.var32()?),
        locals: reader.list(read_slot)?,
        operands: reader.list(read_slot)?,
    })
}

fn write_trap(writer: &mut Writer, trap: &TrapState) {
    writer.u8(trap.code as u8);
    writer.list(&trap.backtrace, |writer, frame| {
        writer.var(frame.depth);
        writer.var(frame.instance.into());
        writer.var(frame.function.into());
        writer.option(frame.offset, Writer::var);
    });
    writer.var(trap.frame_count);
    writer.option(trap.fault_address, Writer::var);
    writer.option(trap.memory_bytes, Writer::var);
    writer.list(&trap.locals, |writer, &slot| write_slot(writer, slot));
}

fn read_trap(reader: &mut Reader<'_>) -> Read<TrapState> {
    let Some(code) = Trap::from_code(reader.u8()?.into()) else {
        return reader.malformed("a trap is none that is known");
    };
    let backtrace = reader.list(|reader| {
        Ok(TrapFrame {
            depth: reader.var()?,
            instance: reader.var32()?,
            function: reader.var32()?,
            offset: reader.option(Reader::var)?,
        })
    })?;
    Ok(TrapState {
        code,
        backtrace,
        frame_count: reader.var()?,
        fault_address: reader.option(Reader::var)?,
        memory_bytes: reader.option(Reader::var)?,
        locals: reader.list(read_slot)?,
    })
}

/// The code of a type is that of the bytecode.
const TYPES: [(u8, ValType); 7] = [
    (0x7F, ValType::I32),
    (0x7E, ValType::I64),
    (0x7D, ValType::F32),
    (0x7C, ValType::F64),
    (0x7B, ValType::V128),
    (0x70, ValType::FuncRef),
    (0x6F, ValType::ExternRef),
];

/// Integers and references are short if they are small, floats and vectors have their size.
fn write_slot(writer: &mut Writer, slot: Slot) {
    let code = TYPES.iter().find(|(_, ty)| *ty == slot.ty).map_or(0, |(code, _)| *code);
    writer.u8(code);
    match slot.ty {
        ValType::F32 => writer.u32(slot.bits as u32),
        ValType::F64 => writer.u64(slot.bits as u64),
        ValType::V128 => writer.raw(&slot.bits.to_le_bytes()),
        _ => writer.var(slot.bits as u64),
    }
}

fn read_slot(reader: &mut Reader<'_>) -> Read<Slot> {
    let code = reader.u8()?;
    let Some(&(_, ty)) = TYPES.iter().find(|(known, _)| *known == code) else {
        return reader.malformed("a slot has no type that is known");
    };
    let bits = match ty {
        ValType::F32 => reader.u32()?.into(),
        ValType::F64 => reader.u64()?.into(),
        ValType::V128 => u128::from_le_bytes(reader.array()?),
        ValType::I32 => reader.var32()?.into(),
        _ => reader.var()?.into(),
    };
    Ok(Slot { ty, bits })
}

pub fn read_func(reader: &mut Reader<'_>) -> Read<FuncRef> {
    match FuncRef::from_bits(reader.var()?) {
        Some(func) => Ok(func),
        None => reader.malformed("a reference is neither null nor a function"),
    }
}
