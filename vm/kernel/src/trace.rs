//! System calls as text, the way strace prints them.
//!
//! ```text
//! path_open(3, follow, "notes.txt", creat|trunc, 0x..., 0x..., 0) = 4
//! fd_write(1, [6 bytes]) = 6
//! ```

use std::fmt::Write;

use brant_engine::GuestMemory;

use crate::errno::Errno;
use crate::kernel::Outcome;
use crate::syscall::{Param, ParamKind, Syscall, read_address};

/// Longer texts are cut off in a trace.
const LONGEST_TEXT_BYTES: u64 = 128;

/// Options of sockets by their numbers. Spec: WASIX, `sock_option`.
const SOCKET_OPTIONS: [&str; 27] = [
    "noop",
    "reuse_port",
    "reuse_addr",
    "no_delay",
    "dont_route",
    "only_v6",
    "broadcast",
    "multicast_loop_v4",
    "multicast_loop_v6",
    "promiscuous",
    "listening",
    "last_error",
    "keep_alive",
    "linger",
    "oob_inline",
    "recv_buf_size",
    "send_buf_size",
    "recv_lowat",
    "send_lowat",
    "recv_timeout",
    "send_timeout",
    "connect_timeout",
    "accept_timeout",
    "ttl",
    "multicast_ttl_v4",
    "type",
    "proto",
];

/// The call with its arguments and how it ended. Results are read from `memory`.
pub fn line(call: Syscall, args: &[u64], outcome: Outcome, memory: &GuestMemory<'_>) -> String {
    let row = call.row();
    let mut text = format!("{}(", row.name);
    let mut first = true;
    let mut result = None;
    for (index, param) in row.params.iter().enumerate() {
        let arg = args.get(index).copied().unwrap_or(0);
        let next = args.get(index + 1).copied().unwrap_or(0);
        let read = match param.kind {
            ParamKind::TextLen | ParamKind::BufferCount => continue,
            ParamKind::OutU8 => Some(memory.read_u8(arg).map(u64::from)),
            ParamKind::OutU16 => Some(memory.read_u16(arg).map(u64::from)),
            ParamKind::OutU32 => Some(memory.read_u32(arg).map(u64::from)),
            ParamKind::OutU64 => Some(memory.read_u64(arg)),
            _ => None,
        };
        if let Some(read) = read {
            result = result.or(read.ok());
            continue;
        }
        if !std::mem::replace(&mut first, false) {
            text.push_str(", ");
        }
        argument(&mut text, param, arg, next, memory);
    }
    text.push(')');
    match outcome {
        Outcome::Done(Errno::Success) => {
            let _ = write!(text, " = {}", result.unwrap_or(0));
        }
        Outcome::Done(errno) => {
            let _ = write!(text, " = -{} ({errno})", errno.name());
        }
        Outcome::Block => text.push_str(" ..."),
        Outcome::Exit(code) => {
            let _ = write!(text, " exits {code}");
        }
    }
    text
}

fn argument(text: &mut String, param: &Param, arg: u64, next: u64, memory: &GuestMemory<'_>) {
    let _ = match param.kind {
        ParamKind::Text => {
            quoted(text, arg, next, memory);
            Ok(())
        }
        ParamKind::Buffers => {
            buffers(text, arg, next, memory);
            Ok(())
        }
        ParamKind::Pointer => write!(text, "{arg:#x}"),
        ParamKind::Rights => write!(text, "{arg:#x}"),
        ParamKind::FileDelta => write!(text, "{}", arg as i64),
        ParamKind::ExitCode => write!(text, "{}", arg as i32),
        ParamKind::ClockId => {
            named(text, arg, &["realtime", "monotonic", "process_cputime", "thread_cputime"])
        }
        ParamKind::Advice => {
            named(text, arg, &["normal", "sequential", "random", "willneed", "dontneed", "noreuse"])
        }
        ParamKind::Whence => named(text, arg, &["set", "cur", "end"]),
        ParamKind::LookupFlags => flags(text, arg, &["follow"]),
        ParamKind::OpenFlags => flags(text, arg, &["creat", "directory", "excl", "trunc"]),
        ParamKind::FdFlags => flags(text, arg, &["append", "dsync", "nonblock", "rsync", "sync"]),
        ParamKind::FstFlags => flags(text, arg, &["atim", "atim_now", "mtim", "mtim_now"]),
        ParamKind::ReceiveFlags => flags(text, arg, &["peek", "waitall", "trunc", "dontwait"]),
        ParamKind::SendFlags => flags(text, arg, &["dontwait"]),
        ParamKind::SocketAddress => match read_address(memory, arg as u32) {
            Ok(address) => write!(text, "{address}"),
            Err(_) => write!(text, "{arg:#x}"),
        },
        ParamKind::AddressFamily => named(text, arg, &["unspec", "inet4", "inet6", "unix"]),
        ParamKind::SocketType => named(text, arg, &["0", "stream", "dgram", "raw", "seqpacket"]),
        ParamKind::SocketOption => named(text, arg, &SOCKET_OPTIONS),
        ParamKind::ShutdownFlags => flags(text, arg, &["rd", "wr"]),
        _ => write!(text, "{arg}"),
    };
}

fn named(text: &mut String, arg: u64, names: &[&str]) -> std::fmt::Result {
    match names.get(arg as usize) {
        Some(name) => text.write_str(name),
        None => write!(text, "{arg}"),
    }
}

fn flags(text: &mut String, arg: u64, names: &[&str]) -> std::fmt::Result {
    let mut set: Vec<&str> = Vec::new();
    for (bit, name) in names.iter().enumerate() {
        if arg >> bit & 1 != 0 {
            set.push(name);
        }
    }
    let unknown = arg >> names.len() << names.len();
    match (set.is_empty(), unknown) {
        (true, rest) => write!(text, "{rest:#x}"),
        (false, 0) => text.write_str(&set.join("|")),
        (false, rest) => write!(text, "{}|{rest:#x}", set.join("|")),
    }
}

fn quoted(text: &mut String, at: u64, len: u64, memory: &GuestMemory<'_>) {
    let shown = len.min(LONGEST_TEXT_BYTES);
    // A copy: other threads of the guest may write to it.
    match memory.slice(at, shown).map(<[u8]>::to_vec) {
        Ok(bytes) => {
            text.push('"');
            for part in bytes.utf8_chunks() {
                text.extend(part.valid().escape_debug());
                for byte in part.invalid() {
                    let _ = write!(text, "\\x{byte:02x}");
                }
            }
            text.push_str(if shown < len { "\"..." } else { "\"" });
        }
        Err(_) => {
            let _ = write!(text, "{at:#x}");
        }
    }
}

fn buffers(text: &mut String, at: u64, count: u64, memory: &GuestMemory<'_>) {
    let mut sum = 0;
    for index in 0..count.min(1024) {
        match memory.read_u32(at + 8 * index + 4) {
            Ok(len) => sum += u64::from(len),
            Err(_) => {
                let _ = write!(text, "{at:#x}");
                return;
            }
        }
    }
    let _ = match count {
        1 => write!(text, "[{sum} bytes]"),
        _ => write!(text, "[{sum} bytes in {count} buffers]"),
    };
}
