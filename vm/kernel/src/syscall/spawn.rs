//! Other programs: found in the guest's own file tree, and run in place of the caller or beside it.

use std::io::IoSliceMut;

use brant_engine::GuestMemory;

use super::path::{Wanted, path};
use crate::errno::Errno;
use crate::host::{Handle, Kind, OpenHow};
use crate::kernel::{CallResult, Kernel, Stopped};
use crate::processes::{Program, ProgramId, Request};
use crate::syscall::Syscall;

/// Texts of one call, all arguments and variables together. Spec: POSIX, `ARG_MAX`.
const LONGEST_TEXTS_BYTES: u32 = 1 << 20;
/// The largest program that is read.
const LARGEST_PROGRAM_BYTES: u64 = 128 << 20;
/// Where programs are looked for where no path says so.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin:/";
/// What is tried behind a name.
const ENDINGS: [&[u8]; 3] = [b"", b".wasm", b".wat"];
/// The exit code of a process that shall run what is not there.
const NOT_FOUND_EXIT: i32 = 127;
/// How much of a program is read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Operations on descriptors before a program runs. Spec: WASIX, `proc_spawn_fd_op`.
const OPERATION_BYTES: u64 = 56;
const MOST_OPERATIONS: u32 = 1024;

/// A range of guest memory with text.
#[derive(Clone, Copy)]
struct Text {
    at: u32,
    len: u32,
}

impl Text {
    fn read(self, memory: &GuestMemory<'_>) -> Result<Vec<u8>, Stopped> {
        if self.len > LONGEST_TEXTS_BYTES {
            return Err(Errno::TooBig.into());
        }
        Ok(memory.slice(self.at.into(), self.len.into())?.to_vec())
    }

    /// The lines of it; a NUL at its end is none of it.
    fn lines(self, memory: &GuestMemory<'_>) -> Result<Vec<Vec<u8>>, Stopped> {
        let mut bytes = self.read(memory)?;
        while matches!(bytes.last(), Some(0 | b'\n')) {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        Ok(bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect())
    }
}

impl Kernel {
    /// `proc_exec(name, name_len, args, args_len)`: runs another program in place of this one, with
    /// the arguments in lines; descriptors stay, but for those that close then.
    ///
    /// Never returns; the process ends with 127 where the program cannot be had. Spec: WASIX,
    /// `proc_exec`.
    pub(crate) fn proc_exec(
        &mut self, memory: &mut GuestMemory<'_>, name: u32, name_len: u32, args: u32, args_len: u32,
    ) -> CallResult {
        let (name, args) = (Text { at: name, len: name_len }, Text { at: args, len: args_len });
        let result = self.exec_call(memory, Syscall::ProcExec, name, args, None, None);
        result.or_else(end_where_not_found)
    }

    /// `proc_exec2(name, .., args, .., envs, ..)`: as `proc_exec`, with an environment in lines.
    ///
    /// Never returns. Spec: WASIX, `proc_exec2`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn proc_exec2(
        &mut self, memory: &mut GuestMemory<'_>, name: u32, name_len: u32, args: u32,
        args_len: u32, envs: u32, envs_len: u32,
    ) -> CallResult {
        let (name, args) = (Text { at: name, len: name_len }, Text { at: args, len: args_len });
        let envs = Text { at: envs, len: envs_len };
        let result = self.exec_call(memory, Syscall::ProcExec2, name, args, Some(envs), None);
        result.or_else(end_where_not_found)
    }

    /// `proc_exec3(name, .., args, .., envs, .., search_path, path, ..)`: as `proc_exec2`, and
    /// returns where the program cannot be had.
    ///
    /// Errors: noent, noexec for what is no program, acces, 2big, nomem, notsup where the process
    /// is in no tree, fault. Spec: WASIX, `proc_exec3`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn proc_exec3(
        &mut self, memory: &mut GuestMemory<'_>, name: u32, name_len: u32, args: u32,
        args_len: u32, envs: u32, envs_len: u32, search_path: u32, path: u32, path_len: u32,
    ) -> CallResult {
        let (name, args) = (Text { at: name, len: name_len }, Text { at: args, len: args_len });
        let envs = Text { at: envs, len: envs_len };
        let path = (search_path & 0xff != 0).then_some(Text { at: path, len: path_len });
        self.exec_call(memory, Syscall::ProcExec3, name, args, Some(envs), path)
    }

    fn exec_call(
        &mut self, memory: &mut GuestMemory<'_>, call: Syscall, name: Text, args: Text,
        envs: Option<Text>, path: Option<Text>,
    ) -> CallResult {
        // The answer is an error: otherwise nobody would be there to get it.
        if let Some(answer) = self.answered(call) {
            return Ok(answer.map(|_| ())?);
        }
        self.tree()?;
        let args = args.lines(memory)?;
        let env = envs.map(|envs| envs.lines(memory)).transpose()?;
        let program = self.program(memory, name, path)?;
        Err(self.ask(Request::Exec { program, args, env }))
    }

    /// `proc_spawn2(name, .., args, .., envs, .., fd_ops, .., signal_dispositions, .., search_path,
    /// path, .., pid)`: runs a program in a new process, a child of this one.
    ///
    /// The child has duplicates of all descriptors, on which `fd_ops` are done first: close (0),
    /// dup2 (1) and open (2); chdir (3, 4) is not supported. Descriptors that close when another
    /// program runs are closed then. Dispositions of signals are always the default ones.
    ///
    /// Errors: as `proc_exec3`, again at the limit of processes, and those of the operations. Spec:
    /// WASIX, `proc_spawn2`.
    #[allow(clippy::too_many_arguments, reason = "the specification has as many")]
    pub(crate) fn proc_spawn2(
        &mut self, memory: &mut GuestMemory<'_>, name: u32, name_len: u32, args: u32,
        args_len: u32, envs: u32, envs_len: u32, fd_ops: u32, fd_ops_len: u32, _signals: u32,
        _signals_len: u32, search_path: u32, path: u32, path_len: u32, pid: u32,
    ) -> CallResult {
        if let Some(answer) = self.answered(Syscall::ProcSpawn2) {
            return Ok(memory.write_u32(pid.into(), answer?)?);
        }
        memory.slice(pid.into(), 4)?;
        let member = self.tree()?;
        let path = (search_path & 0xff != 0).then_some(Text { at: path, len: path_len });
        let args = Text { at: args, len: args_len }.lines(memory)?;
        let env = Text { at: envs, len: envs_len }.lines(memory)?;
        let program = self.program(memory, Text { at: name, len: name_len }, path)?;
        let child_pid = member.tree.lock().table.add(member.pid, false)?;
        let mut child = self.child(child_pid)?;
        if let Err(stopped) = child.operate(memory, fd_ops, fd_ops_len) {
            child.close_all();
            member.tree.lock().table.forget(child_pid);
            return Err(stopped);
        }
        child.exec(args, Some(env));
        Err(self.ask(Request::Spawn(child_pid, Box::new(child), program)))
    }

    /// Does what is to be done with the descriptors of a child that has not begun.
    fn operate(&mut self, memory: &GuestMemory<'_>, list: u32, count: u32) -> CallResult {
        if count > MOST_OPERATIONS {
            return Err(Errno::TooBig.into());
        }
        for index in 0..u64::from(count) {
            let at = u64::from(list) + index * OPERATION_BYTES;
            let fd = memory.read_u32(at + 4)?;
            match memory.read_u8(at)? {
                0 => {
                    let closed = self.descriptors.remove(fd)?;
                    let _ = self.let_go(closed);
                }
                1 => self.duplicate_to(memory.read_u32(at + 8)?, fd)?,
                2 => {
                    let (text, text_len) = (memory.read_u32(at + 12)?, memory.read_u32(at + 16)?);
                    let name = path(memory, text, text_len)?;
                    let wanted = Wanted {
                        dirflags: memory.read_u32(at + 20)?,
                        oflags: memory.read_u16(at + 24)?.into(),
                        rights_base: memory.read_u64(at + 32)?,
                        rights_inheriting: memory.read_u64(at + 40)?,
                        fdflags: memory.read_u16(at + 48)?.into(),
                    };
                    let (mount, below) = self.below_mount(&name)?;
                    let opened = self.open_below(mount, wanted, || Ok(below))?;
                    if let Some(old) = self.descriptors.replace(fd, opened)? {
                        let _ = self.let_go(old);
                    }
                }
                3 | 4 => return Err(Errno::NotSupported.into()),
                _ => return Err(Errno::Invalid.into()),
            }
        }
        Ok(())
    }

    /// The program of a name: that file, or the first one of that name in the folders of a path.
    fn program(
        &mut self, memory: &GuestMemory<'_>, name: Text, path: Option<Text>,
    ) -> Result<Program, Stopped> {
        let name = name.read(memory)?;
        let name = name.strip_suffix(b"\0").unwrap_or(&name).to_vec();
        if name.is_empty() || name.contains(&0) {
            return Err(Errno::NoEntry.into());
        }
        let Some(path) = path.filter(|_| !name.contains(&b'/')) else {
            return Ok(self.program_at(&name)?);
        };
        let folders = match path.read(memory)? {
            own if own.is_empty() => DEFAULT_PATH.to_vec(),
            own => own,
        };
        for folder in folders.split(|&byte| byte == b':') {
            for ending in ENDINGS {
                let file = [folder, b"/", &name, ending].concat();
                match self.program_at(&file) {
                    Err(Errno::NoEntry | Errno::NotDirectory | Errno::NotCapable) => {}
                    found => return Ok(found?),
                }
            }
        }
        Err(Errno::NoEntry.into())
    }

    /// Reads the program in a file, unless it is known.
    fn program_at(&mut self, name: &[u8]) -> Result<Program, Errno> {
        let (mount, below) = self.below_mount(name)?;
        let directory = self.descriptors.get(mount)?.handle;
        let how = OpenHow { read: true, follow: crate::host::Follow::Yes, ..OpenHow::default() };
        let file = self.host.open(directory, &below, how)?.handle;
        let program = self.read_program(file);
        let _ = self.host.close(file);
        program
    }

    fn read_program(&mut self, file: Handle) -> Result<Program, Errno> {
        let stat = self.host.stat(file)?;
        if stat.kind != Kind::File {
            return Err(Errno::Access);
        }
        if stat.size_bytes > LARGEST_PROGRAM_BYTES {
            return Err(Errno::FileTooBig);
        }
        let id = ProgramId {
            device: stat.device,
            inode: stat.inode,
            size_bytes: stat.size_bytes,
            modified_ns: stat.modified_ns,
        };
        if self.tree()?.tree.lock().knows(id) {
            return Ok(Program { id, bytes: None });
        }
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
        while (bytes.len() as u64) < stat.size_bytes {
            let buffers = &mut [IoSliceMut::new(&mut chunk)];
            match self.host.read_at(file, buffers, bytes.len() as u64)? {
                0 => break,
                count => bytes.extend_from_slice(&chunk[..count]),
            }
        }
        Ok(Program { id, bytes: Some(bytes) })
    }

    /// The descriptor of the mount that holds a path, and the path below it: that of the longest
    /// name that the path begins with, as the C library finds it.
    fn below_mount(&self, path: &[u8]) -> Result<(u32, Vec<u8>), Errno> {
        let strip = |name: &[u8], path: &[u8]| -> Option<Vec<u8>> {
            let name = name.strip_prefix(b"./").unwrap_or(name);
            let name = name.strip_suffix(b"/").unwrap_or(name);
            let rest = match name {
                b"" | b"." => path,
                name => match path.strip_prefix(name)? {
                    b"" => b"/",
                    rest if rest.starts_with(b"/") => rest,
                    _ => return None,
                },
            };
            let first = rest.iter().position(|&byte| byte != b'/').unwrap_or(rest.len());
            Some(if first == rest.len() { b".".to_vec() } else { rest[first..].to_vec() })
        };
        let mut best: Option<(u32, usize, Vec<u8>)> = None;
        for (fd, descriptor) in self.descriptors.iter() {
            let Some(name) = descriptor.preopen.as_ref().map(String::as_bytes) else { continue };
            let is_absolute = name.starts_with(b"/");
            // A path that begins nowhere begins at the root, and at a mount named `.`.
            let rooted = [&b"/"[..], path.strip_prefix(b"./").unwrap_or(path)].concat();
            let path = if is_absolute && !path.starts_with(b"/") { &rooted } else { path };
            if !is_absolute && path.starts_with(b"/") {
                continue;
            }
            if let Some(rest) = strip(name, path)
                && best.as_ref().is_none_or(|(_, length, _)| name.len() > *length)
            {
                best = Some((fd, name.len(), rest));
            }
        }
        best.map(|(fd, _, rest)| (fd, rest)).ok_or(Errno::NoEntry)
    }
}

/// A process that has no program to go on with ends.
fn end_where_not_found(stopped: Stopped) -> CallResult {
    match stopped {
        Stopped::Errno(_) => Err(Stopped::Exit(NOT_FOUND_EXIT)),
        stopped => Err(stopped),
    }
}
