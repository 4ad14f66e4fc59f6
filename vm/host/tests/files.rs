//! Every question about files and directories, asked of the real system in a temporary directory.

mod fixture;

use std::fs;
use std::io::{IoSlice, IoSliceMut};

use brant_kernel::errno::Errno;
use brant_kernel::host::{
    Advice, Clock, Durability, Follow, Handle, Host, Kind, MountAccess, OpenHow, SetTime,
};
use fixture::{CREATE, DIRECTORY, Fixture, READ, WRITE};

#[test]
fn opening_takes_each_flag_at_its_word() {
    let mut f = Fixture::new();
    f.make("file", "0123456789");
    f.make_directory("dir");
    assert_eq!(f.open("none", READ), Err(Errno::NoEntry));
    assert_eq!(f.open("file", OpenHow { exclusive: true, ..CREATE }), Err(Errno::Exists));
    assert!(f.open("new", OpenHow { exclusive: true, ..CREATE }).is_ok());
    assert!(f.inside("new").exists());
    assert_eq!(f.open("file", DIRECTORY), Err(Errno::NotDirectory));
    assert_eq!(f.open("dir", WRITE), Err(Errno::IsDirectory));
    assert_eq!(f.open("dir", CREATE), Err(Errno::IsDirectory));
    assert_eq!(f.open("dir", OpenHow { create: true, ..DIRECTORY }), Err(Errno::Invalid));
    assert_eq!(f.open("file", OpenHow { truncate: true, ..DIRECTORY }), Err(Errno::Invalid));
    assert_eq!(f.read("file").unwrap(), "0123456789");
    assert!(f.open("file", OpenHow { truncate: true, ..WRITE }).is_ok());
    assert_eq!(f.read("file").unwrap(), "");
    // Nothing but to create: allowed, and it can be asked about.
    let nothing = OpenHow { read: false, write: false, ..CREATE };
    let handle = f.open("bare", nothing).unwrap();
    assert_eq!(f.host.stat(handle).unwrap().size_bytes, 0);
}

#[test]
fn kinds_are_told_apart() {
    let mut f = Fixture::new();
    f.make("file", "");
    f.make_directory("dir");
    let kind = |f: &mut Fixture, path: &[u8]| f.host.open(f.root, path, READ).unwrap().kind;
    assert_eq!(kind(&mut f, b"file"), Kind::File);
    assert_eq!(kind(&mut f, b"dir"), Kind::Directory);
    assert_eq!(kind(&mut f, b"."), Kind::Directory);
}

#[test]
fn a_pipe_in_a_mount_never_makes_the_host_wait() {
    let mut f = Fixture::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mkfifoat(rustix::fs::CWD, f.inside("pipe"), mode).unwrap();
    let opened = f.host.open(f.root, b"pipe", READ).unwrap();
    assert_eq!(opened.kind, Kind::Unknown);
    let mut buffer = [0; 4];
    assert_eq!(f.host.read(opened.handle, &mut [IoSliceMut::new(&mut buffer)]), Ok(0));
    let writer = f.open("pipe", WRITE).expect("its reader is this process");
    assert_eq!(
        f.host.read(opened.handle, &mut [IoSliceMut::new(&mut buffer)]),
        Err(Errno::Again),
        "a writer may still come up with something"
    );
    assert_eq!(f.host.write(writer, &[IoSlice::new(b"abc")]), Ok(3));
    assert_eq!(f.host.read(opened.handle, &mut [IoSliceMut::new(&mut buffer)]), Ok(3));
    f.host.close(writer).unwrap();
    assert_eq!(
        f.host.read(opened.handle, &mut [IoSliceMut::new(&mut buffer)]),
        Ok(0),
        "nobody writes any more"
    );
    assert_eq!(f.host.read_at(opened.handle, &mut [], 0), Err(Errno::IllegalSeek));
    f.host.close(opened.handle).unwrap();
}

#[test]
fn reading_and_writing_use_the_given_offset() {
    let mut f = Fixture::new();
    let file = f.open("file", CREATE).unwrap();
    assert_eq!(f.write_at(file, "hello", 0), Ok(5));
    assert_eq!(f.write_at(file, "world", 7), Ok(5));
    assert_eq!(f.read_all(file).unwrap(), "hello\0\0world");
    let (mut a, mut b) = ([0; 3], [0; 4]);
    let buffers = &mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
    assert_eq!(f.host.read_at(file, buffers, 2), Ok(7));
    assert_eq!((&a, &b), (b"llo", b"\0\0wo"));
    assert_eq!(f.host.read_at(file, &mut [IoSliceMut::new(&mut a)], 12), Ok(0));
    assert_eq!(f.host.read_at(file, &mut [], 0), Ok(0));
    let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")];
    assert_eq!(f.host.write_at(file, &pieces, 1), Ok(4));
    assert_eq!(f.read_all(file).unwrap(), "habcd\0\0world");
    assert_eq!(f.write_at(file, "x", u64::MAX), Err(Errno::Invalid));
    assert_eq!(f.write_at(file, "x", 1 << 62).map(|_| ()), Err(Errno::FileTooBig));
}

#[test]
fn appending_goes_to_the_end_and_tells_where_that_is() {
    let mut f = Fixture::new();
    f.make("log", "start");
    let (one, two) = (f.open("log", WRITE).unwrap(), f.open("log", CREATE).unwrap());
    assert_eq!(f.host.append(one, &[IoSlice::new(b"+1")]), Ok((2, 7)));
    assert_eq!(f.host.append(two, &[IoSlice::new(b"+"), IoSlice::new(b"22")]), Ok((3, 10)));
    assert_eq!(f.host.append(one, &[IoSlice::new(b"+3")]), Ok((2, 12)));
    assert_eq!(f.write_at(one, "START", 0), Ok(5), "an offset still counts where it is given");
    assert_eq!(f.read("log").unwrap(), "START+1+22+3");
}

#[test]
fn row_32_sizes_can_be_set() {
    let mut f = Fixture::new();
    f.make("file", "0123456789");
    let file = f.open("file", CREATE).unwrap();
    f.host.set_size(file, 4).unwrap();
    f.host.set_size(file, 6).unwrap();
    assert_eq!(f.read_all(file).unwrap(), "0123\0\0");
    assert_eq!(f.host.set_size(file, u64::MAX), Err(Errno::Invalid));
    assert_eq!(f.host.set_size(file, 1 << 62).map(|()| 0), Err(Errno::FileTooBig));
    f.host.allocate(file, 0, 20).unwrap();
    assert_eq!(f.host.stat(file).unwrap().size_bytes, 20);
    assert_eq!(f.host.allocate(file, 0, 0), Err(Errno::Invalid));
    assert!(f.host.allocate(file, 1 << 61, 1 << 62).is_err());
    for advice in [Advice::Normal, Advice::Sequential, Advice::Random, Advice::WillNeed] {
        f.host.advise(file, 0, 0, advice).unwrap();
    }
    f.host.sync(file, Durability::Data).unwrap();
    f.host.sync(file, Durability::All).unwrap();
    assert_eq!(f.host.set_size(f.root, 0), Err(Errno::IsDirectory));
}

#[test]
fn times_are_set_kept_and_taken_from_the_clock() {
    let mut f = Fixture::new();
    f.make("file", "");
    f.link_from_host("file", "link");
    let (at, later) = (SetTime::At(1_000_000_000_123_456_789), SetTime::At(77_000_000_005));
    f.host.set_times_at(f.root, b"file", Follow::No, at, later).unwrap();
    let stat = f.host.stat_at(f.root, b"file", Follow::No).unwrap();
    assert_eq!((stat.accessed_ns, stat.modified_ns), (1_000_000_000_123_456_789, 77_000_000_005));
    f.host.set_times_at(f.root, b"link", Follow::No, later, at).unwrap();
    assert_eq!(f.host.stat_at(f.root, b"file", Follow::No).unwrap().modified_ns, 77_000_000_005);
    let link = f.host.stat_at(f.root, b"link", Follow::No).unwrap();
    assert_eq!((link.kind, link.modified_ns), (Kind::Link, 1_000_000_000_123_456_789));
    f.host.set_times_at(f.root, b"link", Follow::Yes, SetTime::Keep, at).unwrap();
    let stat = f.host.stat_at(f.root, b"link", Follow::Yes).unwrap();
    assert_eq!(
        (stat.accessed_ns, stat.modified_ns),
        (1_000_000_000_123_456_789, 1_000_000_000_123_456_789)
    );
    let file = f.open("file", READ).unwrap();
    f.host.set_times(file, SetTime::Keep, SetTime::Now).unwrap();
    let now = f.host.now_ns(Clock::Realtime).unwrap();
    assert!(now.abs_diff(f.host.stat(file).unwrap().modified_ns) < 5_000_000_000);
    assert_eq!(f.host.set_times_at(f.root, b"none", Follow::Yes, at, at), Err(Errno::NoEntry));
    assert_eq!(
        f.host.set_times_at(f.root, b"file/", Follow::Yes, at, at),
        Err(Errno::NotDirectory)
    );
}

#[test]
fn names_are_made_moved_and_removed() {
    let mut f = Fixture::new();
    let root = f.root;
    f.make("a", "A");
    f.host.create_directory(root, b"dir").unwrap();
    assert_eq!(f.host.create_directory(root, b"dir"), Err(Errno::Exists));
    assert_eq!(f.host.create_directory(root, b"dir/"), Err(Errno::Exists));
    f.host.create_directory(root, b"slash//").unwrap();
    f.host.rename(root, b"a", root, b"dir/b").unwrap();
    f.host.link(root, b"dir/b", root, b"c").unwrap();
    assert_eq!(f.host.stat_at(root, b"c", Follow::No).unwrap().link_count, 2);
    assert_eq!(f.host.remove_directory(root, b"dir"), Err(Errno::NotEmpty));
    assert_eq!(f.host.remove_file(root, b"dir"), Err(Errno::IsDirectory));
    assert_eq!(f.host.remove_directory(root, b"c"), Err(Errno::NotDirectory));
    f.host.remove_file(root, b"dir/b").unwrap();
    f.host.remove_directory(root, b"dir/").unwrap();
    f.host.remove_directory(root, b"slash").unwrap();
    assert_eq!(f.list(root), ["c"]);
    assert_eq!(f.read("c").unwrap(), "A");
}

#[test]
fn an_open_directory_is_a_place_to_start_from() {
    let mut f = Fixture::new();
    f.make_directory("dir");
    f.make("dir/file", "deep");
    let dir = f.open("dir", DIRECTORY).unwrap();
    f.host.rename(f.root, b"dir", f.root, b"moved").unwrap();
    f.host.rename(dir, b"file", f.root, b"up").unwrap();
    assert_eq!(f.read("up").unwrap(), "deep");
    assert_eq!(f.host.open(dir, b"..", DIRECTORY).map(|_| ()), Err(Errno::NotPermitted));
    let up = f.open("up", READ).unwrap();
    assert_eq!(f.host.open(up, b"x", READ).map(|_| ()), Err(Errno::NotDirectory));
}

#[test]
fn two_mounts_share_names_but_not_paths() {
    let mut f = Fixture::new();
    fs::create_dir(f.outside("second")).unwrap();
    let second = f.host.mount(&f.outside("second"), MountAccess::ReadWrite).unwrap();
    f.make("file", "moved");
    f.host.rename(f.root, b"file", second, b"file").unwrap();
    f.host.link(second, b"file", f.root, b"again").unwrap();
    assert_eq!(f.read("again").unwrap(), "moved");
    assert_eq!(f.read("../second/file"), Err(Errno::NotPermitted));
    let only = f.host.mount(&f.outside("second"), MountAccess::ReadOnly).unwrap();
    assert_eq!(f.host.rename(only, b"file", f.root, b"x"), Err(Errno::ReadOnly));
    assert_eq!(f.host.rename(f.root, b"again", only, b"x"), Err(Errno::ReadOnly));
    assert_eq!(f.host.link(only, b"file", f.root, b"x"), Err(Errno::ReadOnly));
}

#[test]
fn row_27_listing_gives_kinds_and_goes_on_from_any_cookie() {
    let mut f = Fixture::new();
    f.make("file", "");
    f.make_directory("dir");
    f.link_from_host("file", "link");
    let mut all = Vec::new();
    f.host
        .list(f.root, 0, &mut |entry| {
            all.push((entry.next_cookie, entry.kind, entry.name.to_vec()));
            true
        })
        .unwrap();
    assert_eq!(all[0], (1, Kind::Directory, b".".to_vec()));
    assert_eq!(all[1], (2, Kind::Directory, b"..".to_vec()));
    let mut kinds: Vec<_> = all[2..].iter().map(|(_, kind, _)| *kind as u8).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [Kind::Directory as u8, Kind::File as u8, Kind::Link as u8]);
    for (cookie, (_, _, name)) in all.iter().enumerate() {
        let mut first = Vec::new();
        let mut visit = |entry: brant_kernel::host::Entry<'_>| {
            first = entry.name.to_vec();
            false
        };
        f.host.list(f.root, cookie as u64, &mut visit).unwrap();
        assert_eq!(&first, name);
    }
    let file = f.open("file", READ).unwrap();
    assert_eq!(f.host.list(file, 0, &mut |_| true), Err(Errno::NotDirectory));
}

#[test]
fn clocks_and_chance_answer() {
    let mut host = brant_host::native::NativeHost::new();
    for clock in [Clock::Realtime, Clock::Monotonic, Clock::ProcessCpu, Clock::ThreadCpu] {
        let resolution = host.resolution_ns(clock).unwrap();
        assert!((1..=20_000_000).contains(&resolution), "{clock:?}: {resolution}");
        let before = host.now_ns(clock).unwrap();
        assert!(host.now_ns(clock).unwrap() >= before || clock == Clock::Realtime);
    }
    let (mut a, mut b) = (vec![0; 65_536], vec![0; 65_536]);
    host.random(&mut a).unwrap();
    host.random(&mut b).unwrap();
    assert_ne!(a, b);
    assert!(a.iter().filter(|byte| **byte == 0).count() < 500);
    host.random(&mut []).unwrap();
}

#[test]
fn a_simulated_clock_stays_at_the_end_of_time() {
    let mut host = brant_host::sim::SimHost::new(1);
    host.wait(&mut [], Some(u64::MAX)).unwrap();
    for clock in [Clock::Monotonic, Clock::Realtime, Clock::ProcessCpu] {
        let last = host.now_ns(clock).unwrap();
        assert!(last >= u64::MAX - 1_000, "{clock:?}: {last}");
        assert!(host.now_ns(clock).unwrap() >= last, "{clock:?} goes backwards");
    }
}

#[test]
fn a_closed_handle_is_no_handle() {
    let mut f = Fixture::new();
    f.make("file", "");
    let file = f.open("file", READ).unwrap();
    f.host.close(file).unwrap();
    let gone = Err(Errno::BadDescriptor);
    assert_eq!(f.host.close(file), gone);
    assert_eq!(f.host.stat(file).map(|_| ()), gone);
    assert_eq!(f.host.read_at(file, &mut [], 0).map(|_| ()), gone);
    assert_eq!(f.host.open(file, b"x", READ).map(|_| ()), gone);
    assert_eq!(f.host.stat(Handle(u32::MAX)).map(|_| ()), gone);
    assert_eq!(f.open("file", READ), Ok(file), "the number is free again");
}
