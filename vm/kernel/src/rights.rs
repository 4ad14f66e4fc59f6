//! Rights of a descriptor: which calls it may be used for. Spec: WASI preview 1, `rights`.

/// A set of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Rights(pub u64);

macro_rules! rights {
    ($($name:ident = $bit:literal;)*) => {
        impl Rights {
            $(#[doc = concat!("Bit ", $bit, " of the specification.")]
            pub const $name: Rights = Rights(1 << $bit);)*

            /// Every right with its name, lowest bit first.
            pub const NAMES: &'static [(&'static str, Rights)] = &[$((stringify!($name), Rights::$name)),*];
        }
    };
}
rights! {
    FD_DATASYNC = 0;
    FD_READ = 1;
    FD_SEEK = 2;
    FD_FDSTAT_SET_FLAGS = 3;
    FD_SYNC = 4;
    FD_TELL = 5;
    FD_WRITE = 6;
    FD_ADVISE = 7;
    FD_ALLOCATE = 8;
    PATH_CREATE_DIRECTORY = 9;
    PATH_CREATE_FILE = 10;
    PATH_LINK_SOURCE = 11;
    PATH_LINK_TARGET = 12;
    PATH_OPEN = 13;
    FD_READDIR = 14;
    PATH_READLINK = 15;
    PATH_RENAME_SOURCE = 16;
    PATH_RENAME_TARGET = 17;
    PATH_FILESTAT_GET = 18;
    PATH_FILESTAT_SET_SIZE = 19;
    PATH_FILESTAT_SET_TIMES = 20;
    FD_FILESTAT_GET = 21;
    FD_FILESTAT_SET_SIZE = 22;
    FD_FILESTAT_SET_TIMES = 23;
    PATH_SYMLINK = 24;
    PATH_REMOVE_DIRECTORY = 25;
    PATH_UNLINK_FILE = 26;
    POLL_FD_READWRITE = 27;
    SOCK_SHUTDOWN = 28;
    SOCK_ACCEPT = 29;
}

impl Rights {
    /// None.
    pub const NONE: Rights = Rights(0);

    /// What makes sense on a file.
    pub const FILE: Rights = Rights(
        Rights::FD_DATASYNC.0
            | Rights::FD_READ.0
            | Rights::FD_SEEK.0
            | Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_SYNC.0
            | Rights::FD_TELL.0
            | Rights::FD_WRITE.0
            | Rights::FD_ADVISE.0
            | Rights::FD_ALLOCATE.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::FD_FILESTAT_SET_SIZE.0
            | Rights::FD_FILESTAT_SET_TIMES.0
            | Rights::POLL_FD_READWRITE.0,
    );

    /// What makes sense on a directory.
    pub const DIRECTORY: Rights = Rights(
        Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_SYNC.0
            | Rights::FD_ADVISE.0
            | Rights::PATH_CREATE_DIRECTORY.0
            | Rights::PATH_CREATE_FILE.0
            | Rights::PATH_LINK_SOURCE.0
            | Rights::PATH_LINK_TARGET.0
            | Rights::PATH_OPEN.0
            | Rights::FD_READDIR.0
            | Rights::PATH_READLINK.0
            | Rights::PATH_RENAME_SOURCE.0
            | Rights::PATH_RENAME_TARGET.0
            | Rights::PATH_FILESTAT_GET.0
            | Rights::PATH_FILESTAT_SET_SIZE.0
            | Rights::PATH_FILESTAT_SET_TIMES.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::FD_FILESTAT_SET_TIMES.0
            | Rights::PATH_SYMLINK.0
            | Rights::PATH_REMOVE_DIRECTORY.0
            | Rights::PATH_UNLINK_FILE.0
            | Rights::POLL_FD_READWRITE.0,
    );

    /// What a mount lets the descriptors opened below it have.
    pub const BELOW_MOUNT: Rights = Rights(Rights::FILE.0 | Rights::DIRECTORY.0);

    /// What makes sense on a stream. It has no offset: a terminal is known by that.
    pub const STREAM: Rights = Rights(
        Rights::FD_READ.0
            | Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_WRITE.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::POLL_FD_READWRITE.0,
    );

    /// What makes sense on a connection.
    pub const CONNECTION: Rights = Rights(Rights::STREAM.0 | Rights::SOCK_SHUTDOWN.0);

    /// What makes sense on a socket that listens.
    pub const LISTENER: Rights = Rights(
        Rights::SOCK_ACCEPT.0
            | Rights::FD_FDSTAT_SET_FLAGS.0
            | Rights::FD_FILESTAT_GET.0
            | Rights::POLL_FD_READWRITE.0,
    );

    /// What makes sense on a socket that the guest made, which may become anything.
    pub const SOCKET: Rights = Rights(Rights::CONNECTION.0 | Rights::SOCK_ACCEPT.0);

    /// Whether all of `other` are here.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of `other` is here.
    pub const fn intersects(self, other: Rights) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitAnd for Rights {
    type Output = Rights;
    fn bitand(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl std::ops::BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}
