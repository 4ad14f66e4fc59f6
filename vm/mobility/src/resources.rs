//! The resource segment: descriptors, clocks, arguments, the call that waits.

use brant_kernel::host::Kind;
use brant_kernel::persist::{
    Action, ClockState, DescriptorState, Identity, KernelState, ParkedState,
};
use brant_kernel::{Binding, FdFlags, Object, Rights, Syscall};

use crate::wire::{Read, Reader, Writer};

const OBJECTS: [Object; 6] = [
    Object::File,
    Object::Directory,
    Object::Stream,
    Object::Connection,
    Object::Listener,
    Object::Socket,
];

const KINDS: [Kind; 8] = [
    Kind::Unknown,
    Kind::BlockDevice,
    Kind::CharacterDevice,
    Kind::Directory,
    Kind::File,
    Kind::DatagramSocket,
    Kind::StreamSocket,
    Kind::Link,
];

/// Stands before the place in the sequence of random numbers.
const CHANCE: u8 = 1;

pub fn write(state: &KernelState) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(&state.args, |writer, arg| writer.bytes(arg));
    writer.list(&state.env, |writer, pair| writer.bytes(pair));
    writer.list(&state.descriptors, write_descriptor);
    writer.var(state.clocks.monotonic_ns);
    writer.var(state.clocks.process_cpu_ns);
    writer.var(state.clocks.thread_cpu_ns);
    state.stream_bytes.iter().for_each(|&bytes| writer.var(bytes));
    writer.var(state.disk_bytes);
    writer.option(state.parked, write_parked);
    // Where there is none, nothing stands here: as in snapshots from before there could be one.
    if let Some(chance) = state.chance {
        writer.u8(CHANCE);
        writer.var(chance);
    }
    writer.finish()
}

pub fn write_parked(writer: &mut Writer, parked: ParkedState) {
    writer.bytes(parked.call.row().name.as_bytes());
    writer.var(parked.progress_bytes);
    writer.var(parked.began_ns);
    writer.option(parked.deadline_ns, Writer::var);
}

pub fn read_parked(reader: &mut Reader<'_>) -> Read<ParkedState> {
    let name = reader.text()?;
    let Some(call) = Syscall::from_name(&name) else {
        return reader.malformed("it waits in a call that is not known");
    };
    Ok(ParkedState {
        call,
        progress_bytes: reader.var()?,
        began_ns: reader.var()?,
        deadline_ns: reader.option(Reader::var)?,
    })
}

pub fn read(mut reader: Reader<'_>) -> Read<KernelState> {
    let args = reader.list(Reader::vec)?;
    let env = reader.list(Reader::vec)?;
    let descriptors = reader.list(read_descriptor)?;
    let clocks = ClockState {
        monotonic_ns: reader.var()?,
        process_cpu_ns: reader.var()?,
        thread_cpu_ns: reader.var()?,
    };
    let stream_bytes = [reader.var()?, reader.var()?, reader.var()?];
    let disk_bytes = reader.var()?;
    let parked = reader.option(read_parked)?;
    let chance = match reader.is_at_end() {
        true => None,
        false if reader.u8()? == CHANCE => Some(reader.var()?),
        false => return reader.malformed("something stands behind its end"),
    };
    reader.finish()?;
    Ok(KernelState { args, env, descriptors, clocks, stream_bytes, disk_bytes, chance, parked })
}

fn write_descriptor(writer: &mut Writer, state: &DescriptorState) {
    writer.var(state.fd.into());
    let object = OBJECTS.iter().position(|&object| object == state.object).unwrap_or(0);
    writer.u8(object as u8);
    writer.u8(state.kind as u8);
    writer.var(state.rights.0);
    writer.var(state.inheriting.0);
    writer.var(state.flags.0.into());
    writer.var(state.offset);
    writer.option(state.preopen.as_ref(), |writer, name| writer.bytes(name.as_bytes()));
    match &state.binding {
        Binding::Stream(number) => {
            writer.u8(0);
            writer.var((*number).into());
        }
        Binding::Mount(name) => {
            writer.u8(1);
            writer.bytes(name.as_bytes());
        }
        Binding::Path { mount, path } => {
            writer.u8(2);
            writer.bytes(mount.as_bytes());
            writer.bytes(path);
        }
        Binding::Listener(number) => {
            writer.u8(3);
            writer.var((*number).into());
        }
        Binding::Connection => writer.u8(4),
        Binding::Pipe => writer.u8(8),
    }
    match &state.action {
        Action::Rebind => writer.u8(0),
        Action::Reopen(identity) => {
            writer.u8(1);
            writer.var(identity.device);
            writer.var(identity.inode);
            writer.var(identity.size_bytes);
        }
        Action::Copy(bytes) => {
            writer.u8(2);
            writer.bytes(bytes);
        }
        Action::TakeOver(name) => {
            writer.u8(3);
            writer.bytes(name);
        }
        Action::Connect(end) => {
            writer.u8(4);
            writer.var((*end).into());
        }
    }
}

fn read_descriptor(reader: &mut Reader<'_>) -> Read<DescriptorState> {
    let fd = reader.var32()?;
    let (object, kind) = (reader.u8()? as usize, reader.u8()? as usize);
    let (Some(&object), Some(&kind)) = (OBJECTS.get(object), KINDS.get(kind)) else {
        return reader.malformed("a descriptor leads to nothing that is known");
    };
    let (rights, inheriting) = (Rights(reader.var()?), Rights(reader.var()?));
    let Ok(flags) = u16::try_from(reader.var()?).map(FdFlags) else {
        return reader.malformed("a descriptor has flags that are not known");
    };
    let offset = reader.var()?;
    let preopen = reader.option(Reader::text)?;
    let binding = match reader.u8()? {
        0 => Binding::Stream(reader.var32()?),
        1 => Binding::Mount(reader.text()?),
        2 => Binding::Path { mount: reader.text()?, path: reader.vec()? },
        3 => Binding::Listener(reader.var32()?),
        4 => Binding::Connection,
        8 => Binding::Pipe,
        _ => return reader.malformed("a binding is not known"),
    };
    let action = match reader.u8()? {
        0 => Action::Rebind,
        1 => Action::Reopen(Identity {
            device: reader.var()?,
            inode: reader.var()?,
            size_bytes: reader.var()?,
        }),
        2 => Action::Copy(reader.vec()?),
        3 => Action::TakeOver(reader.vec()?),
        4 => Action::Connect(reader.var32()?),
        _ => return reader.malformed("an action is not known"),
    };
    Ok(DescriptorState {
        fd,
        object,
        kind,
        rights,
        inheriting,
        flags,
        offset,
        preopen,
        binding,
        action,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_as_the_number_that_guests_see() {
        assert!(KINDS.iter().enumerate().all(|(number, &kind)| kind as usize == number));
    }
}
