//! The errors of a system call, as data that a guest sees.
//!
//! One row gives the number (its place in the list), the name WASI uses for it and what it means.
//! This file must never know which system below produced an error.
//! Spec: WASI preview 1, `errno`.

use std::fmt;

macro_rules! errnos {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        /// How a system call ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Errno {
            $(#[doc = concat!("`", $name, "`: ", $meaning, ".")] $variant,)*
        }

        impl Errno {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Errno] = &[$(Errno::$variant),*];

            /// The name in the specification (`noent`).
            pub const fn name(self) -> &'static str {
                match self { $(Errno::$variant => $name,)* }
            }

            /// What it means, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Errno::$variant => $meaning,)* }
            }
        }
    };
}

errnos! {
    Success "success" "no error"
    TooBig "2big" "argument list too long"
    Access "acces" "permission denied"
    AddressInUse "addrinuse" "address in use"
    AddressNotAvailable "addrnotavail" "address not available"
    AddressFamilyNotSupported "afnosupport" "address family not supported"
    Again "again" "resource unavailable, or the operation would block"
    Already "already" "connection already in progress"
    BadDescriptor "badf" "bad file descriptor"
    BadMessage "badmsg" "bad message"
    Busy "busy" "device or resource busy"
    Canceled "canceled" "operation canceled"
    Child "child" "no child processes"
    ConnectionAborted "connaborted" "connection aborted"
    ConnectionRefused "connrefused" "connection refused"
    ConnectionReset "connreset" "connection reset"
    Deadlock "deadlk" "resource deadlock would occur"
    DestinationRequired "destaddrreq" "destination address required"
    Domain "dom" "argument outside the domain of the function"
    Quota "dquot" "disk quota exceeded"
    Exists "exist" "file exists"
    Fault "fault" "bad address"
    FileTooBig "fbig" "file too large"
    HostUnreachable "hostunreach" "host is unreachable"
    IdentifierRemoved "idrm" "identifier removed"
    IllegalByteSequence "ilseq" "illegal byte sequence"
    InProgress "inprogress" "operation in progress"
    Interrupted "intr" "interrupted function"
    Invalid "inval" "invalid argument"
    Io "io" "input or output error"
    IsConnected "isconn" "socket is connected"
    IsDirectory "isdir" "is a directory"
    Loop "loop" "too many levels of symbolic links"
    TooManyDescriptors "mfile" "too many open descriptors"
    TooManyLinks "mlink" "too many links"
    MessageTooBig "msgsize" "message too large"
    MultiHop "multihop" "multihop attempted"
    NameTooLong "nametoolong" "file name too long"
    NetworkDown "netdown" "network is down"
    NetworkReset "netreset" "connection aborted by the network"
    NetworkUnreachable "netunreach" "network is unreachable"
    TooManyFiles "nfile" "too many files open in the system"
    NoBuffers "nobufs" "no buffer space available"
    NoDevice "nodev" "no such device"
    NoEntry "noent" "no such file or directory"
    NotExecutable "noexec" "executable file format error"
    NoLock "nolck" "no locks available"
    NoLink "nolink" "link has been severed"
    NoMemory "nomem" "not enough memory"
    NoMessage "nomsg" "no message of the desired type"
    NoProtocolOption "noprotoopt" "protocol not available"
    NoSpace "nospc" "no space left on device"
    NotImplemented "nosys" "function not supported"
    NotConnected "notconn" "the socket is not connected"
    NotDirectory "notdir" "not a directory, or a link to one"
    NotEmpty "notempty" "directory not empty"
    NotRecoverable "notrecoverable" "state not recoverable"
    NotSocket "notsock" "not a socket"
    NotSupported "notsup" "not supported"
    NotTerminal "notty" "inappropriate control operation"
    NoDeviceOrAddress "nxio" "no such device or address"
    Overflow "overflow" "value too large for its type"
    OwnerDead "ownerdead" "previous owner died"
    NotPermitted "perm" "operation not permitted"
    BrokenPipe "pipe" "broken pipe"
    Protocol "proto" "protocol error"
    ProtocolNotSupported "protonosupport" "protocol not supported"
    WrongProtocol "prototype" "protocol wrong for the socket"
    OutOfRange "range" "result too large"
    ReadOnly "rofs" "read-only file system"
    IllegalSeek "spipe" "invalid seek"
    NoProcess "srch" "no such process"
    Stale "stale" "reference is stale"
    TimedOut "timedout" "connection timed out"
    TextBusy "txtbsy" "text file busy"
    CrossDevice "xdev" "cross-device link"
    NotCapable "notcapable" "capabilities insufficient"
}

impl Errno {
    /// The number that a guest sees.
    pub const fn code(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

impl std::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_specification() {
        assert_eq!(Errno::ALL.len(), 77);
        assert_eq!(Errno::Success.code(), 0);
        assert_eq!(Errno::BadDescriptor.code(), 8);
        assert_eq!(Errno::Exists.code(), 20);
        assert_eq!(Errno::Invalid.code(), 28);
        assert_eq!(Errno::IsDirectory.code(), 31);
        assert_eq!(Errno::NoEntry.code(), 44);
        assert_eq!(Errno::NotDirectory.code(), 54);
        assert_eq!(Errno::NotPermitted.code(), 63);
        assert_eq!(Errno::IllegalSeek.code(), 70);
        assert_eq!(Errno::NotCapable.code(), 76);
        assert!(Errno::ALL.iter().enumerate().all(|(code, errno)| errno.code() as usize == code));
    }
}
