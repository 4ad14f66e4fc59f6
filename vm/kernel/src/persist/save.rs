//! From a kernel to its state.

use std::io::IoSliceMut;

use super::{Action, ClockState, DescriptorState, Identity, KernelState, Obstacle, ParkedState};
use crate::descriptor::{Binding, Descriptor, Object};
use crate::errno::Errno;
use crate::host::{Answer, Clock, Direction, Follow, Kind};
use crate::kernel::Kernel;
use crate::processes::end_of;
use crate::run_state::RunState;

/// Files without a name may be so large that their bytes travel, all together.
const COPIED_BYTES_LIMIT: u64 = 64 << 20;
/// How much of a file is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

impl Kernel {
    /// The state of the process. Nothing changes, neither here nor for the guest.
    ///
    /// # Errors
    /// All descriptors for which there is no legal action.
    pub fn save(&mut self) -> Result<KernelState, Vec<Obstacle>> {
        let descriptors: Vec<(u32, Descriptor)> =
            self.descriptors.iter().map(|(fd, descriptor)| (fd, descriptor.clone())).collect();
        let (mut saved, mut obstacles) = (Vec::with_capacity(descriptors.len()), Vec::new());
        let mut copied_bytes = 0;
        for (fd, descriptor) in descriptors {
            match self.action(&descriptor, &mut copied_bytes) {
                Ok(action) => saved.push(state(fd, descriptor, action)),
                Err((why, remedy)) => {
                    let what = state(fd, descriptor, Action::Rebind).binding_name();
                    let (why, remedy) = (why.to_owned(), remedy.to_owned());
                    obstacles.push(Obstacle { fd: Some(fd), what, why, remedy });
                }
            }
        }
        if !obstacles.is_empty() {
            return Err(obstacles);
        }
        // A host without a clock gives guests none.
        let mut now_ns = |clock| self.now_ns(clock).unwrap_or(0);
        let clocks = ClockState {
            monotonic_ns: now_ns(Clock::Monotonic),
            process_cpu_ns: now_ns(Clock::ProcessCpu),
            thread_cpu_ns: now_ns(Clock::ThreadCpu),
        };
        Ok(KernelState {
            args: self.manifest.args.clone(),
            env: self.manifest.env.clone(),
            descriptors: saved,
            clocks,
            stream_bytes: self.stream_bytes(),
            disk_bytes: self.disk_bytes(),
            chance: self.host.chance(),
            parked: self.run_state.save(),
        })
    }

    /// What can be done with a descriptor; else why nothing can, and what would help.
    fn action(
        &mut self, descriptor: &Descriptor, copied_bytes: &mut u64,
    ) -> Result<Action, (&'static str, &'static str)> {
        match &descriptor.binding {
            Binding::Stream(_) | Binding::Mount(_) => Ok(Action::Rebind),
            Binding::Listener(_) => Ok(match self.host.hand_over(descriptor.handle) {
                Ok(name) => Action::TakeOver(name),
                Err(_) => Action::Rebind,
            }),
            Binding::Connection => match self.host.hand_over(descriptor.handle) {
                Ok(name) => Ok(Action::TakeOver(name)),
                Err(_) => Err((
                    "is a connection of this host, which no other host has",
                    "start the program where its sockets are kept (`--serve ADDR:PORT`, or \
                     `--allow NAME=serve=ADDR:PORT` of a node), or let it close the connection first",
                )),
            },
            Binding::Pipe => match end_of(descriptor.handle) {
                Some((number, direction)) => {
                    Ok(Action::Connect(2 * number + u32::from(direction == Direction::Write)))
                }
                None => Err(("is no pipe of its tree", "let the program close it first")),
            },
            Binding::Path { mount, path } => {
                self.path_action(descriptor, mount, path, copied_bytes)
            }
        }
    }

    fn path_action(
        &mut self, descriptor: &Descriptor, mount: &str, path: &[u8], copied_bytes: &mut u64,
    ) -> Result<Action, (&'static str, &'static str)> {
        const LOST: (&str, &str) = ("cannot be asked what it is", "let the program close it first");
        let stat = self.host.stat(descriptor.handle).map_err(|_| LOST)?;
        if stat.kind == Kind::Unknown {
            return Err((
                "is a pipe whose content would be lost",
                "let the program close it first, or use a standard stream",
            ));
        }
        let named = self.with_mount(mount, |kernel, directory| {
            kernel.host.stat_at(directory, path, Follow::Yes)
        });
        if named.is_ok_and(|named| (named.device, named.inode) == (stat.device, stat.inode)) {
            let (device, inode, size_bytes) = (stat.device, stat.inode, stat.size_bytes);
            return Ok(Action::Reopen(Identity { device, inode, size_bytes }));
        }
        if stat.link_count == 0 && descriptor.object == Object::File {
            *copied_bytes = copied_bytes.saturating_add(stat.size_bytes);
            if *copied_bytes > COPIED_BYTES_LIMIT {
                return Err((
                    "has no name any more and is too large to be copied (64 MiB in all)",
                    "let the program close it first",
                ));
            }
            let bytes = self.content(descriptor, stat.size_bytes).map_err(|_| {
                ("has no name any more and cannot be read", "open it for reading and writing")
            })?;
            return Ok(Action::Copy(bytes));
        }
        Err((
            "was renamed or replaced since it was opened, so that its path leads elsewhere",
            "give it its name back, or let the program close it first",
        ))
    }

    /// Asks something of the root of a mount, which the guest may have closed.
    pub(super) fn with_mount<T>(
        &mut self, name: &str, ask: impl FnOnce(&mut Kernel, crate::host::Handle) -> Answer<T>,
    ) -> Answer<T> {
        let mount = self.manifest.mounts.iter().find(|mount| mount.guest == name);
        let (path, access) =
            mount.map(|mount| (mount.host.clone(), mount.access)).ok_or(Errno::NotCapable)?;
        let directory = self.host.mount(&path, access)?;
        let answer = ask(self, directory);
        self.host.close(directory)?;
        answer
    }

    fn content(&mut self, descriptor: &Descriptor, size_bytes: u64) -> Answer<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        while (bytes.len() as u64) < size_bytes {
            let buffers = &mut [IoSliceMut::new(&mut chunk)];
            match self.host.read_at(descriptor.handle, buffers, bytes.len() as u64)? {
                0 => break,
                count => bytes.extend_from_slice(&chunk[..count]),
            }
        }
        Ok(bytes)
    }
}

impl RunState {
    /// The call that the thread waits in, as a value; none if it runs.
    pub fn save(&self) -> Option<ParkedState> {
        match self {
            RunState::Running => None,
            RunState::Parked(parked) => Some(ParkedState {
                call: parked.call,
                progress_bytes: parked.progress_bytes,
                began_ns: parked.began_ns,
                deadline_ns: parked.deadline_ns,
            }),
        }
    }
}

fn state(fd: u32, descriptor: Descriptor, action: Action) -> DescriptorState {
    let (flags, offset) = (descriptor.flags(), descriptor.offset());
    let Descriptor { object, kind, rights, inheriting, .. } = descriptor;
    let Descriptor { preopen, binding, .. } = descriptor;
    DescriptorState {
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
    }
}
