//! From a state to a kernel of this host: everything in it is a wish, and may be an enemy's.

use std::io::IoSlice;

use super::{
    Action, ClockState, DescriptorState, Identity, KernelState, MemberState, Obstacle, ParkedState,
    Relation,
};
use crate::descriptor::{Binding, Descriptor, FdFlags, Object, OpenFile};
use crate::errno::Errno;
use crate::host::{Answer, Clock, Durability, Follow, Handle, Host, Kind, OpenHow, Opened, Stream};
use crate::kernel::{Ahead, Counted, Kernel, stream_kind};
use crate::manifest::Manifest;
use crate::processes::Member;
use crate::rights::Rights;
use crate::run_state::{Parked, RunState};
use crate::syscall::meaningful;

/// No clock has run for longer: 146 years. Sums of times stay far from the limits of their type.
const LATEST_NS: u64 = 1 << 62;

/// Why a wish is not granted: what happened, and what would help.
struct Refused {
    why: String,
    remedy: String,
}

impl RunState {
    /// The state of a thread that goes on with the call that it waits in, if it waits in one.
    pub fn restore(parked: Option<ParkedState>) -> RunState {
        let Some(parked) = parked else { return RunState::Running };
        RunState::Parked(Parked {
            call: parked.call,
            progress_bytes: parked.progress_bytes,
            began_ns: parked.began_ns.min(LATEST_NS),
            // The call is made again before anything is waited for, and says anew what for.
            waits_for: Vec::new(),
            deadline_ns: Some(0),
            is_interrupted: false,
        })
    }
}

impl Kernel {
    /// The kernel of a process that goes on here, with what `manifest` grants.
    ///
    /// Arguments of the manifest replace those of the state, if there are any; variables of its
    /// environment are added to the state's, in place of those of the same name.
    ///
    /// # Errors
    /// The first wish of the state that the manifest does not grant, or the host does not have.
    pub fn restore(
        manifest: Manifest, host: Box<dyn Host>, state: &KernelState,
    ) -> Result<Kernel, Obstacle> {
        Kernel::restore_with(manifest, host, state, None)
    }

    /// The same for a process of a tree, whose place there and relations these are.
    pub(super) fn restore_with(
        manifest: Manifest, host: Box<dyn Host>, state: &KernelState,
        place: Option<(&Member, &MemberState)>,
    ) -> Result<Kernel, Obstacle> {
        let mut kernel = Kernel::empty(manifest, host);
        if kernel.manifest.args.is_empty() {
            kernel.manifest.args = state.args.clone();
        }
        let own = std::mem::replace(&mut kernel.manifest.env, state.env.clone());
        for pair in own {
            let name = |pair: &[u8]| pair.split(|&byte| byte == b'=').next().map(<[u8]>::to_vec);
            kernel.manifest.env.retain(|other| name(other) != name(&pair));
            kernel.manifest.env.push(pair);
        }
        kernel.restore_clocks(&state.clocks)?;
        kernel.counted = Counted { disk_bytes: state.disk_bytes, stream_bytes: state.stream_bytes };
        if let Some(chance) = state.chance {
            kernel.host.go_on_with(chance);
        }
        for (index, descriptor) in state.descriptors.iter().enumerate() {
            let related = place.map(|(member, relations)| (member, relations.descriptors[index]));
            let restored = match related {
                Some((member, relation)) => kernel.restore_related(descriptor, member, relation),
                None => kernel.restore_descriptor(descriptor, None),
            };
            restored.map_err(|refused| Obstacle {
                fd: Some(descriptor.fd),
                what: descriptor.binding_name(),
                why: refused.why,
                remedy: refused.remedy,
            })?;
        }
        kernel.run_state = RunState::restore(state.parked);
        Ok(kernel)
    }

    fn restore_clocks(&mut self, clocks: &ClockState) -> Result<(), Obstacle> {
        let mut ahead = |clock: Clock, then_ns: u64| {
            let now_ns = self.host.now_ns(clock).unwrap_or(0).min(LATEST_NS);
            match then_ns <= LATEST_NS {
                true => Ok(then_ns.wrapping_sub(now_ns).cast_signed()),
                false => Err(Obstacle {
                    fd: None,
                    what: "its clocks".to_owned(),
                    why: "show more than 146 years".to_owned(),
                    remedy: "the snapshot was not made by brant".to_owned(),
                }),
            }
        };
        self.ahead = Ahead {
            monotonic_ns: ahead(Clock::Monotonic, clocks.monotonic_ns)?,
            process_cpu_ns: ahead(Clock::ProcessCpu, clocks.process_cpu_ns)?,
            thread_cpu_ns: ahead(Clock::ThreadCpu, clocks.thread_cpu_ns)?,
        };
        Ok(())
    }

    /// Restores a descriptor of a process of a tree: by itself, or as a duplicate of another one.
    fn restore_related(
        &mut self, state: &DescriptorState, member: &Member, relation: Relation,
    ) -> Result<(), Refused> {
        let Relation { description, closes_on_exec } = relation;
        match member.duplicate_of(description) {
            Some(first) if state.is_of(&first) => self.insert(state, first)?,
            Some(_) => return Err(wrong("is a duplicate of something else")),
            None => self.restore_descriptor(state, Some(member))?,
        }
        // A stream that is closed here has no descriptor.
        if let Ok(descriptor) = self.descriptors.get_mut(state.fd) {
            descriptor.closes_on_exec = closes_on_exec;
            member.is_first_of(description, descriptor);
        }
        Ok(())
    }

    fn restore_descriptor(
        &mut self, state: &DescriptorState, member: Option<&Member>,
    ) -> Result<(), Refused> {
        let (opened, object) = match (&state.action, &state.binding) {
            (Action::Connect(end), Binding::Pipe) => {
                let handle = member.and_then(|member| member.take_end(*end));
                let handle = handle.ok_or_else(|| wrong("is an end of no pipe"))?;
                (Opened { handle, kind: state.kind, terminal: false }, Object::Stream)
            }
            (Action::Rebind, Binding::Stream(number)) => match self.stream(*number)? {
                Some(opened) => (opened, Object::Stream),
                // A stream that is closed here is closed inside.
                None => return Ok(()),
            },
            (Action::Rebind, Binding::Mount(name)) => (self.mount(name)?, Object::Directory),
            (Action::Rebind, Binding::Listener(number)) => {
                (self.listener(*number)?, Object::Listener)
            }
            (Action::Reopen(identity), Binding::Path { mount, path }) => {
                self.reopen(state, *identity, mount, path)?
            }
            (Action::Copy(bytes), Binding::Path { .. }) => (self.copy(bytes)?, Object::File),
            (Action::TakeOver(name), Binding::Listener(number)) => {
                let opened = match self.host.take_over(name) {
                    Ok(opened) => opened,
                    // Nobody keeps it any more, or ever did for this host: it is one of its own.
                    Err(_) => self.listener(*number)?,
                };
                (opened, Object::Listener)
            }
            (Action::TakeOver(name), Binding::Connection) => {
                let opened = self.host.take_over(name).map_err(|errno| {
                    refused(errno, "restore it on the host that the connection was handed over to")
                })?;
                (opened, Object::Connection)
            }
            _ => {
                let why = format!("cannot be bound by `{}`", state.action.name());
                return Err(wrong(&why));
            }
        };
        let taken = self.put(state, opened, object);
        if taken.is_err() {
            // Whatever was opened goes with the host, which is dropped with this kernel.
            let _ = self.host.close(opened.handle);
        }
        taken
    }

    fn put(
        &mut self, state: &DescriptorState, opened: Opened, object: Object,
    ) -> Result<(), Refused> {
        if object != state.object || i64::try_from(state.offset).is_err() {
            return Err(wrong("is something else here"));
        }
        let first = Descriptor {
            handle: opened.handle,
            object,
            kind: opened.kind,
            rights: Rights::NONE,
            inheriting: Rights::NONE,
            open: OpenFile::new(FdFlags(state.flags.0 & FdFlags::ALL.0), state.offset),
            closes_on_exec: false,
            preopen: None,
            binding: state.binding.clone(),
        };
        self.insert(state, first)
    }

    /// Gives a descriptor the rights and the number that the state says, as far as there can be such.
    fn insert(&mut self, state: &DescriptorState, first: Descriptor) -> Result<(), Refused> {
        let object = first.object;
        let inheriting = match object {
            Object::Directory => Rights::BELOW_MOUNT,
            Object::Listener | Object::Socket => Rights::CONNECTION,
            Object::File | Object::Stream | Object::Connection => Rights::NONE,
        };
        let preopen = match &state.binding {
            Binding::Mount(name) => state.preopen.as_ref().map(|_| name.clone()),
            _ => None,
        };
        let descriptor = Descriptor {
            rights: state.rights & meaningful(object),
            inheriting: state.inheriting & inheriting,
            preopen,
            ..first
        };
        self.descriptors
            .insert_at(state.fd, descriptor)
            .map_err(|errno| refused(errno, "grant more descriptors (`--max-open-files`)"))
    }

    fn stream(&mut self, number: u32) -> Result<Option<Opened>, Refused> {
        let streams = [Stream::Input, Stream::Output, Stream::Error];
        let stream = *streams.get(number as usize).ok_or_else(|| wrong("is no stream"))?;
        let Ok(opened) = self.host.stream(stream) else { return Ok(None) };
        let bytes = self.counted.stream_bytes[number as usize];
        self.host
            .resume_stream(stream, bytes)
            .map_err(|errno| refused(errno, "attach the stream that the process had before"))?;
        Ok(Some(Opened { kind: stream_kind(opened), ..opened }))
    }

    fn mount(&mut self, name: &str) -> Result<Opened, Refused> {
        let mount = self.granted(name)?;
        let (path, access) = (mount.host.clone(), mount.access);
        let opened = self.host.mount(&path, access);
        let handle = opened.map_err(|errno| refused(errno, "grant a directory that is there"))?;
        Ok(Opened { handle, kind: Kind::Directory, terminal: false })
    }

    fn granted(&self, name: &str) -> Result<&crate::manifest::Mount, Refused> {
        let mount = self.manifest.mounts.iter().find(|mount| mount.guest == name);
        mount.ok_or_else(|| Refused {
            why: "is not granted here".to_owned(),
            remedy: format!("grant it with `--dir HOST::{name}`"),
        })
    }

    fn listener(&mut self, number: u32) -> Result<Opened, Refused> {
        let Some(address) = self.manifest.listeners.get(number as usize).cloned() else {
            return Err(Refused {
                why: "is not granted here".to_owned(),
                remedy: "grant as many listening sockets as it had (`--listen ADDR:PORT`)"
                    .to_owned(),
            });
        };
        let opened = self.host.listen(&address);
        let handle = opened.map_err(|errno| refused(errno, "grant an address that is free"))?;
        Ok(Opened { handle, kind: Kind::StreamSocket, terminal: false })
    }

    fn reopen(
        &mut self, state: &DescriptorState, identity: Identity, mount: &str, path: &[u8],
    ) -> Result<(Opened, Object), Refused> {
        self.granted(mount)?;
        let how = how(state);
        let opened = self.with_mount(mount, |kernel, directory| {
            let opened = kernel.host.open(directory, path, how)?;
            Ok((opened, kernel.is_same(opened.handle, state.kind, identity)))
        });
        let (opened, same) = opened.map_err(|errno| {
            refused(errno, "put the file where it was, or grant the mount that has it")
        })?;
        if !same {
            let _ = self.host.close(opened.handle);
            return Err(Refused {
                why: "is another file here: neither the same one nor one of the same size"
                    .to_owned(),
                remedy: "put the file that the process had open where it was".to_owned(),
            });
        }
        let object = match opened.kind {
            Kind::Directory => Object::Directory,
            Kind::File | Kind::BlockDevice => Object::File,
            _ => Object::Stream,
        };
        Ok((opened, object))
    }

    fn is_same(&mut self, handle: Handle, kind: Kind, identity: Identity) -> bool {
        self.host.stat(handle).is_ok_and(|stat| {
            stat.kind == kind
                && ((stat.device, stat.inode) == (identity.device, identity.inode)
                    || kind != Kind::File
                    || stat.size_bytes == identity.size_bytes)
        })
    }

    fn copy(&mut self, bytes: &[u8]) -> Result<Opened, Refused> {
        let opened = self
            .host
            .scratch()
            .map_err(|errno| refused(errno, "restore it on a host that has files without names"))?;
        self.fill(opened.handle, bytes).map_err(|errno| refused(errno, "make room on the host"))?;
        Ok(opened)
    }

    fn fill(&mut self, handle: Handle, bytes: &[u8]) -> Answer<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.host.write_at(handle, &[IoSlice::new(&bytes[done..])], done as u64)? {
                0 => return Err(Errno::NoSpace),
                count => done += count,
            }
        }
        Ok(())
    }
}

/// How an open file is opened again: never made, never emptied.
fn how(state: &DescriptorState) -> OpenHow {
    let writes = Rights::FD_WRITE | Rights::FD_ALLOCATE | Rights::FD_FILESTAT_SET_SIZE;
    let is_directory = state.object == Object::Directory;
    let flags = state.flags;
    OpenHow {
        read: state.rights.intersects(Rights::FD_READ | Rights::FD_READDIR),
        write: !is_directory
            && (state.rights.intersects(writes) || flags.contains(FdFlags::APPEND)),
        directory: is_directory,
        follow: Follow::Yes,
        sync: match flags {
            flags if flags.contains(FdFlags::SYNC) || flags.contains(FdFlags::RSYNC) => {
                Some(Durability::All)
            }
            flags if flags.contains(FdFlags::DSYNC) => Some(Durability::Data),
            _ => None,
        },
        ..OpenHow::default()
    }
}

fn refused(errno: Errno, remedy: &str) -> Refused {
    Refused { why: format!("cannot be had here: {errno}"), remedy: remedy.to_owned() }
}

fn wrong(why: &str) -> Refused {
    Refused { why: why.to_owned(), remedy: "the snapshot was not made by brant".to_owned() }
}
