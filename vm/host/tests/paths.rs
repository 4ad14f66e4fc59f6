//! Hostile paths and links: with every one of them, nothing outside the mount is read or changed.
//!
//! Each check runs twice: with the system's `openat2`, and in a process of its own where a filter
//! makes the system say that it has none, so that paths are walked one component at a time.

mod fixture;

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brant_kernel::errno::Errno;
use brant_kernel::host::{Follow, Handle, Host, Kind, MountAccess, OpenHow, SetTime};
use fixture::{CREATE, DIRECTORY, Fixture, READ, WRITE};

/// Names each check once, as a test and for the run without `openat2`.
macro_rules! checks {
    ($($name:ident)*) => {
        mod with_openat2 { $(#[test] fn $name() { super::$name(); })* }
        const CHECKS: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}

checks! {
    row_21_what_leads_out_is_refused
    row_21_dots_inside_are_followed
    row_19_links_made_by_the_host_lead_nowhere_outside
    row_19_a_guest_makes_no_link_that_leads_out
    row_19_chains_of_forty_links_are_followed_and_no_more
    row_19_dangling_links_are_what_they_are
    row_21_magic_links_are_not_followed
    row_20_a_slash_behind_a_name_means_a_directory
    row_20_a_slash_behind_a_links_target_means_a_directory
    row_21_weird_names_are_names
    row_21_names_that_are_too_long_are_refused
    row_22_a_swapped_directory_never_leads_out
    row_23_a_read_only_mount_changes_in_no_way
    row_26_running_out_of_descriptors_is_an_error_for_the_guest
}

/// Every call that takes a path, on one path; none may succeed.
#[track_caller]
fn all_refused(f: &mut Fixture, path: &str, expected: Errno) {
    let (root, p) = (f.root, path.as_bytes());
    f.make("source", "s");
    let mut buffer = [0; 64];
    let answers = [
        ("open", f.host.open(root, p, READ).map(|_| ())),
        ("open for writing", f.host.open(root, p, WRITE).map(|_| ())),
        ("create", f.host.open(root, p, CREATE).map(|_| ())),
        ("open directory", f.host.open(root, p, DIRECTORY).map(|_| ())),
        ("stat", f.host.stat_at(root, p, Follow::Yes).map(|_| ())),
        ("set times", f.host.set_times_at(root, p, Follow::Yes, SetTime::Now, SetTime::Now)),
        ("create directory", f.host.create_directory(root, p)),
        ("remove directory", f.host.remove_directory(root, p)),
        ("remove file", f.host.remove_file(root, p)),
        ("rename from", f.host.rename(root, p, root, b"x")),
        ("rename to", f.host.rename(root, b"source", root, p)),
        ("link from", f.host.link(root, p, root, b"x")),
        ("link to", f.host.link(root, b"source", root, p)),
        ("symlink", f.host.symlink(b"source", root, p)),
        ("read link", f.host.read_link(root, p, &mut buffer).map(|_| ())),
    ];
    for (call, answer) in answers {
        assert_eq!(answer, Err(expected), "{call} {path}");
    }
    f.untouched();
}

fn row_21_what_leads_out_is_refused() {
    let mut f = Fixture::new();
    f.make_directory("dir");
    let secret = f.outside("secret").display().to_string();
    for path in [
        "../secret",
        "../outside/file",
        "dir/../../secret",
        "dir/../../inside/../secret",
        "./../secret",
        "dir/./.././../secret",
        &secret,
        "//etc/passwd",
        "/",
    ] {
        all_refused(&mut f, path, Errno::NotPermitted);
    }
    all_refused(&mut f, "", Errno::NoEntry);
    all_refused(&mut f, "a\0b", Errno::Invalid);
    // Leaving and coming back in is leaving.
    assert_eq!(f.read("../inside/source"), Err(Errno::NotPermitted));
    for path in ["..", "../", "dir/../..", "../."] {
        assert_eq!(f.open(path, DIRECTORY), Err(Errno::NotPermitted), "{path}");
        let stat = f.host.stat_at(f.root, path.as_bytes(), Follow::No);
        assert_eq!(stat, Err(Errno::NotPermitted), "{path}");
    }
    f.untouched();
}

fn row_21_dots_inside_are_followed() {
    let mut f = Fixture::new();
    f.make_directory("a");
    f.make_directory("a/b");
    f.make("a/b/c", "deep");
    for path in ["a/b/c", "./a/./b/.//c", "a/../a/b/../b/c", "a/b/../../a/b/c", "a//b///c"] {
        assert_eq!(f.read(path).as_deref(), Ok("deep"), "{path}");
    }
    assert_eq!(f.read("a/b/c/../c"), Err(Errno::NotDirectory));
    assert_eq!(f.read("none/../a/b/c"), Err(Errno::NoEntry));
    assert_eq!(f.host.create_directory(f.root, b"a/."), Err(Errno::Exists));
    assert_eq!(f.host.create_directory(f.root, b"a/.."), Err(Errno::Exists));
    assert_eq!(f.host.remove_directory(f.root, b"."), Err(Errno::Invalid));
    assert_eq!(f.host.remove_directory(f.root, b"a/."), Err(Errno::Invalid));
    assert_eq!(f.host.rename(f.root, b".", f.root, b"x"), Err(Errno::Busy));
}

fn row_19_links_made_by_the_host_lead_nowhere_outside() {
    let mut f = Fixture::new();
    f.make("kept", "kept");
    f.make_directory("dir");
    f.link_from_host(f.outside("secret"), "absolute");
    f.link_from_host("../secret", "relative");
    f.link_from_host("../../secret", "dir/twice");
    f.link_from_host("../outside", "directory");
    f.link_from_host("dir/../../secret", "roundabout");
    f.link_from_host("absolute", "chained");
    f.link_from_host("../new", "dangling-out");
    let root = f.root;
    let leading_out = [
        "absolute",
        "relative",
        "dir/twice",
        "roundabout",
        "chained",
        "directory/file",
        "directory",
        "dangling-out",
    ];
    for path in leading_out {
        let p = path.as_bytes();
        for how in [READ, WRITE, CREATE, DIRECTORY, OpenHow { truncate: true, ..WRITE }] {
            let answer = f.host.open(root, p, how).map(|_| ());
            assert_eq!(answer, Err(Errno::NotPermitted), "{path} {how:?}");
        }
        assert_eq!(f.host.stat_at(root, p, Follow::Yes).map(|_| ()), Err(Errno::NotPermitted));
        let now = SetTime::Now;
        assert_eq!(f.host.set_times_at(root, p, Follow::Yes, now, now), Err(Errno::NotPermitted));
    }
    // What works on the link itself still does.
    for path in ["absolute", "relative", "chained"] {
        let stat = f.host.stat_at(root, path.as_bytes(), Follow::No).unwrap();
        assert_eq!(stat.kind, Kind::Link);
        f.host.rename(root, path.as_bytes(), root, b"renamed").unwrap();
        f.host.remove_file(root, b"renamed").unwrap();
    }
    // Through a directory that leads out, no name can be made, moved or removed.
    for path in [&b"directory/x"[..], b"directory/file", b"directory/."] {
        let no = Err(Errno::NotPermitted);
        assert_eq!(f.host.create_directory(root, path), no);
        assert_eq!(f.host.remove_directory(root, path), no);
        assert_eq!(f.host.remove_file(root, path), no);
        assert_eq!(f.host.rename(root, b"kept", root, path), no);
        assert_eq!(f.host.rename(root, path, root, b"stolen"), no);
        assert_eq!(f.host.link(root, b"kept", root, path), no);
        assert_eq!(f.host.link(root, path, root, b"stolen"), no);
        assert_eq!(f.host.symlink(b"kept", root, path), no);
        assert_eq!(f.host.read_link(root, path, &mut [0; 9]).map(|_| ()), no);
    }
    // With a slash behind it Linux follows a link even where it is told not to.
    let no = Err(Errno::NotPermitted);
    assert_eq!(f.host.stat_at(root, b"directory/", Follow::No).map(|_| ()), no);
    assert_eq!(f.host.link(root, b"directory/", root, b"stolen"), no);
    assert_eq!(f.host.read_link(root, b"directory/", &mut [0; 9]).map(|_| ()), no);
    let now = SetTime::Now;
    assert_eq!(f.host.set_times_at(root, b"directory/", Follow::No, now, now), no);
    f.untouched();
}

fn row_19_a_guest_makes_no_link_that_leads_out() {
    let mut f = Fixture::new();
    f.make_directory("a");
    f.make_directory("a/b");
    f.make("file", "target");
    let root = f.root;
    let symlink = |f: &mut Fixture, target: &str, path: &str| {
        f.host.symlink(target.as_bytes(), root, path.as_bytes())
    };
    for (target, path) in [
        ("/etc/passwd", "link"),
        ("/", "link"),
        ("..", "link"),
        ("../secret", "link"),
        ("../../secret", "a/link"),
        ("../../../secret", "a/b/link"),
        ("a/../../secret", "link"),
        ("x/../../../secret", "a/link"),
    ] {
        assert_eq!(symlink(&mut f, target, path), Err(Errno::NotPermitted), "{path} -> {target}");
    }
    for (target, path) in [
        ("file", "one"),
        ("../file", "a/two"),
        ("../../file", "a/b/three"),
        ("a/../file", "four"),
        ("a/b/../../file", "five"),
    ] {
        symlink(&mut f, target, path).unwrap();
        assert_eq!(f.read(path).as_deref(), Ok("target"), "{path} -> {target}");
    }
    // Depth is counted from where the link really stands.
    symlink(&mut f, "a/b", "into").unwrap();
    symlink(&mut f, "../../file", "into/six").unwrap();
    assert_eq!(f.read("a/b/six").as_deref(), Ok("target"));
    let b = f.open("a/b", DIRECTORY).unwrap();
    assert_eq!(f.host.symlink(b"../../file", b, b"seven"), Ok(()));
    assert_eq!(f.host.symlink(b"../../../file", b, b"eight"), Err(Errno::NotPermitted));
    assert_eq!(symlink(&mut f, "file", "one"), Err(Errno::Exists));
    assert_eq!(symlink(&mut f, "", "empty"), Err(Errno::NoEntry));
    assert_eq!(symlink(&mut f, "file", "new/"), Err(Errno::NoEntry));
    let mut buffer = [0; 32];
    assert_eq!(f.host.read_link(root, b"one", &mut buffer), Ok(4));
    assert_eq!(&buffer[..4], b"file");
    assert_eq!(f.host.read_link(root, b"one", &mut buffer[..2]), Ok(2));
    assert_eq!(f.host.read_link(root, b"one", &mut []), Ok(0));
    assert_eq!(f.host.read_link(root, b"file", &mut buffer), Err(Errno::Invalid));
    f.link_from_host(f.outside("secret"), "absolute");
    assert_eq!(f.host.read_link(root, b"absolute", &mut buffer), Err(Errno::NotPermitted));
    assert_eq!(f.host.read_link(root, b"absolute", &mut []), Err(Errno::NotPermitted));
    f.untouched();
}

fn row_19_chains_of_forty_links_are_followed_and_no_more() {
    let mut f = Fixture::new();
    f.make("chain0", "the end");
    for number in 1..=45 {
        f.link_from_host(format!("chain{}", number - 1), &format!("chain{number}"));
    }
    assert_eq!(f.read("chain40").as_deref(), Ok("the end"));
    for number in [41, 45] {
        assert_eq!(f.read(&format!("chain{number}")), Err(Errno::Loop), "{number}");
    }
    f.link_from_host("self", "self");
    f.link_from_host("pong", "ping");
    f.link_from_host("ping", "pong");
    for path in ["self", "ping", "self/x", "ping/../file"] {
        assert_eq!(f.read(path), Err(Errno::Loop), "{path}");
        let stat = f.host.stat_at(f.root, path.as_bytes(), Follow::Yes);
        assert_eq!(stat.map(|_| ()), Err(Errno::Loop), "{path}");
    }
    let how = OpenHow { follow: Follow::No, ..READ };
    assert_eq!(f.open("chain1", how), Err(Errno::Loop), "a link is not followed if not asked to");
    assert!(f.open("chain0", how).is_ok());
}

fn row_19_dangling_links_are_what_they_are() {
    let mut f = Fixture::new();
    f.link_from_host("nowhere", "link");
    let root = f.root;
    assert_eq!(f.read("link"), Err(Errno::NoEntry));
    assert_eq!(f.host.stat_at(root, b"link", Follow::Yes).map(|_| ()), Err(Errno::NoEntry));
    assert_eq!(f.host.stat_at(root, b"link", Follow::No).unwrap().kind, Kind::Link);
    assert_eq!(f.host.create_directory(root, b"link"), Err(Errno::Exists));
    assert_eq!(f.open("link", OpenHow { exclusive: true, ..CREATE }), Err(Errno::Exists));
    let file = f.open("link", CREATE).unwrap();
    f.write_at(file, "made through a link", 0).unwrap();
    assert_eq!(f.read("nowhere").as_deref(), Ok("made through a link"));
}

fn row_21_magic_links_are_not_followed() {
    let mut f = Fixture::new();
    f.link_from_host("/proc/self/root/etc/passwd", "root");
    f.link_from_host("/dev/fd/0", "standard-input");
    f.link_from_host("/proc/self/cwd", "cwd");
    for path in ["root", "standard-input", "cwd", "/proc/self/root/etc/passwd", "/dev/fd/0"] {
        assert_eq!(f.read(path), Err(Errno::NotPermitted), "{path}");
    }
    // Granting /proc grants its files, but its magic links lead out all the same.
    let Ok(proc) = f.host.mount("/proc".as_ref(), MountAccess::ReadOnly) else { return };
    assert!(f.host.open(proc, b"self/status", READ).is_ok());
    for path in [&b"self/root/etc/passwd"[..], b"self/root", b"self/cwd", b"self/exe", b"self/fd/0"]
    {
        let answer = f.host.open(proc, path, READ).map(|_| ());
        assert!(answer.is_err(), "{}", String::from_utf8_lossy(path));
    }
}

fn row_20_a_slash_behind_a_name_means_a_directory() {
    let mut f = Fixture::new();
    f.make("file", "text");
    f.make_directory("dir");
    f.link_from_host("file", "link");
    f.link_from_host("dir", "dirlink");
    let root = f.root;
    let not = Err(Errno::NotDirectory);
    for path in [&b"file/"[..], b"file//", b"link/", b"file/.", b"link/."] {
        let text = String::from_utf8_lossy(path);
        assert_eq!(f.host.open(root, path, READ).map(|_| ()), not, "{text}");
        assert_eq!(f.host.stat_at(root, path, Follow::No).map(|_| ()), not, "{text}");
        assert_eq!(f.host.stat_at(root, path, Follow::Yes).map(|_| ()), not, "{text}");
        assert_eq!(f.host.remove_file(root, path), not, "{text}");
        assert_eq!(f.host.rename(root, path, root, b"x"), not, "{text}");
        assert_eq!(f.host.link(root, path, root, b"x"), not, "{text}");
        let now = SetTime::Now;
        assert_eq!(f.host.set_times_at(root, path, Follow::No, now, now), not, "{text}");
        assert_eq!(f.host.read_link(root, path, &mut [0; 9]).map(|_| ()), not, "{text}");
    }
    assert_eq!(f.host.rename(root, b"file", root, b"new/"), not);
    assert!(f.host.open(root, b"new/", CREATE).is_err());
    assert!(f.host.link(root, b"file", root, b"new/").is_err());
    assert!(!f.inside("new").exists());
    for path in [&b"dir/"[..], b"dirlink/", b"dirlink//"] {
        let stat = f.host.stat_at(root, path, Follow::No).unwrap();
        assert_eq!(stat.kind, Kind::Directory, "{}", String::from_utf8_lossy(path));
        assert!(f.host.open(root, path, DIRECTORY).is_ok());
        assert_eq!(f.host.link(root, path, root, b"x"), Err(Errno::NotPermitted));
        assert_eq!(f.host.read_link(root, path, &mut [0; 9]), Err(Errno::Invalid));
    }
    assert_eq!(f.host.remove_directory(root, b"dirlink/"), not);
    assert_eq!(f.host.remove_file(root, b"dirlink/"), not);
    assert!(f.inside("dirlink").exists());
    f.host.rename(root, b"dir/", root, b"moved//").unwrap();
    f.host.create_directory(root, b"made//").unwrap();
    f.host.remove_directory(root, b"made//").unwrap();
    assert_eq!(f.host.stat_at(root, b"none/", Follow::No).map(|_| ()), Err(Errno::NoEntry));
}

fn row_20_a_slash_behind_a_links_target_means_a_directory() {
    let mut f = Fixture::new();
    f.make("file", "text");
    f.make_directory("dir");
    f.make("dir/file", "deep");
    f.link_from_host("file/", "to-file");
    f.link_from_host("dir/", "to-dir");
    f.link_from_host("dir/.", "to-dot");
    f.link_from_host("../outside/", "to-outside");
    assert_eq!(f.read("to-file"), Err(Errno::NotDirectory));
    let stat = f.host.stat_at(f.root, b"to-file", Follow::Yes);
    assert_eq!(stat.map(|_| ()), Err(Errno::NotDirectory));
    for path in ["to-dir", "to-dir/", "to-dot", "to-dot/"] {
        assert!(f.open(path, DIRECTORY).is_ok(), "{path}");
        assert_eq!(f.read(&format!("{path}/file")).as_deref(), Ok("deep"), "{path}");
    }
    for path in ["to-outside", "to-outside/", "to-outside/file"] {
        assert_eq!(f.read(path), Err(Errno::NotPermitted), "{path}");
    }
    f.untouched();
}

fn row_21_weird_names_are_names() {
    let mut f = Fixture::new();
    let names: [&[u8]; 16] = [
        b" ",
        b"\t\n",
        b"*",
        b"\\",
        b"-rf",
        b"\x1b[31m",
        b"...",
        b"..a",
        b"a..",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b"\xff\xfe",
        b"\xc3(",
        b"C:",
        b"%2e%2e%2f",
        b"..\\secret",
    ];
    for name in names {
        let file = f.host.open(f.root, name, CREATE).unwrap().handle;
        f.write_at(file, "odd", 0).unwrap();
        f.host.close(file).unwrap();
        assert_eq!(f.host.stat_at(f.root, name, Follow::No).unwrap().size_bytes, 3);
    }
    let mut listed = Vec::new();
    f.host
        .list(f.root, 2, &mut |entry| {
            listed.push(entry.name.to_vec());
            true
        })
        .unwrap();
    listed.sort();
    let mut expected = names.map(<[u8]>::to_vec);
    expected.sort();
    assert_eq!(listed, expected);
    for name in names {
        f.host.remove_file(f.root, name).unwrap();
    }
    f.untouched();
}

fn row_21_names_that_are_too_long_are_refused() {
    let mut f = Fixture::new();
    f.make_directory("d");
    let long = Err(Errno::NameTooLong);
    for length in [256, 4_096, 1 << 20] {
        let name = "n".repeat(length);
        assert_eq!(f.open(&name, CREATE).map(drop), long, "{length}");
        assert_eq!(f.host.create_directory(f.root, name.as_bytes()), long);
        assert_eq!(f.host.symlink(b"x", f.root, name.as_bytes()), long);
        assert_eq!(f.host.rename(f.root, b"d", f.root, name.as_bytes()), long);
    }
    assert_eq!(f.host.symlink(&vec![b'x'; 1 << 20], f.root, b"link"), long);
    let dots = "d/../".repeat(200_000);
    assert_eq!(f.open(&dots, DIRECTORY).map(|_| ()), long);
    let most = "d/../".repeat(818) + "d/.//";
    assert_eq!(most.len(), 4_095);
    assert!(f.open(&most, DIRECTORY).is_ok());
    let name = "n".repeat(255);
    let file = f.open(&name, CREATE).unwrap();
    f.host.close(file).unwrap();
    f.host.remove_file(f.root, name.as_bytes()).unwrap();
}

fn row_22_a_swapped_directory_never_leads_out() {
    let mut f = Fixture::new();
    f.make_directory("swap");
    f.make("swap/file", "inside");
    f.link_from_host("../outside", "link");
    let inside = fs::File::open(f.inside("")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let stop = stop.clone();
        std::thread::spawn(move || {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let exchange = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&inside, "swap", &inside, "link", exchange).unwrap();
                swaps += 1;
            }
            swaps
        })
    };
    let (mut read, mut refused) = (0, 0);
    let root = f.root;
    for _ in 0..5_000 {
        match f.read("swap/file") {
            Ok(text) => {
                assert_eq!(text, "inside");
                read += 1;
            }
            // Which error it is depends on the step at which the swap came.
            Err(Errno::NotPermitted | Errno::NoEntry | Errno::NotDirectory) => refused += 1,
            Err(Errno::Loop | Errno::Invalid) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
        // Changes go through the same door; where they land inside they are undone.
        if f.host.create_directory(root, b"swap/made").is_ok() {
            while f.host.remove_directory(root, b"swap/made").is_err()
                && f.host.remove_directory(root, b"link/made").is_err()
            {}
        }
        let _ = f.host.remove_file(root, b"swap/none");
        let _ = f.host.rename(root, b"swap/none", root, b"stolen");
        if let Ok(directory) = f.open("swap", DIRECTORY) {
            assert_eq!(f.list(directory), ["file"], "nothing lies there but what was inside");
            f.host.close(directory).unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapper.join().unwrap();
    assert!(
        read > 0 && refused > 0 && swaps > 100,
        "{read} read, {refused} refused, {swaps} swaps"
    );
    f.untouched();
}

fn row_23_a_read_only_mount_changes_in_no_way() {
    let mut f = Fixture::with_access(MountAccess::ReadOnly, |inside| {
        fs::write(inside.join("file"), "text").unwrap();
        fs::create_dir(inside.join("dir")).unwrap();
        fs::write(inside.join("dir/file"), "deep").unwrap();
        fs::create_dir(inside.join("dir/empty")).unwrap();
        std::os::unix::fs::symlink("file", inside.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", inside.join("dangling")).unwrap();
    });
    let before = tree(&f);
    let no = Err(Errno::ReadOnly);
    let root = f.root;
    let dir = f.open("dir", DIRECTORY).unwrap();
    for bits in 0..64 {
        let bit = |at: u32| bits >> at & 1 == 1;
        let how = OpenHow {
            read: bit(0),
            write: bit(1),
            create: bit(2),
            exclusive: bit(3),
            truncate: bit(4),
            follow: if bit(5) { Follow::Yes } else { Follow::No },
            directory: false,
            sync: None,
        };
        for (at, path) in [
            (root, "file"),
            (root, "dir/file"),
            (dir, "file"),
            (root, "link"),
            (root, "none"),
            (root, "dangling"),
            (root, "dir"),
        ] {
            let opened = f.host.open(at, path.as_bytes(), how);
            if how.write || how.truncate || (how.create && path == "none") {
                assert!(opened.is_err(), "{path} {how:?}");
            }
            if let Ok(opened) = opened {
                change_by_handle(&mut f, opened.handle);
                f.host.close(opened.handle).unwrap();
            }
        }
    }
    assert_eq!(f.open("file", WRITE).map(drop), no);
    assert_eq!(f.open("none", CREATE).map(drop), no);
    assert_eq!(f.open("none", WRITE), Err(Errno::NoEntry));
    assert_eq!(f.open("dir", WRITE), Err(Errno::IsDirectory));
    assert_eq!(f.open("file", OpenHow { exclusive: true, ..CREATE }), Err(Errno::Exists));
    for at in [root, dir] {
        assert_eq!(f.host.create_directory(at, b"new"), no);
        assert_eq!(f.host.remove_directory(at, b"empty"), no);
        assert_eq!(f.host.remove_file(at, b"file"), no);
        assert_eq!(f.host.rename(at, b"file", at, b"new"), no);
        assert_eq!(f.host.link(at, b"file", at, b"new"), no);
        assert_eq!(f.host.symlink(b"file", at, b"new"), no);
        let now = SetTime::Now;
        assert_eq!(f.host.set_times_at(at, b"file", Follow::Yes, now, now), no);
        assert_eq!(f.host.set_times_at(at, b"file", Follow::No, now, now), no);
    }
    change_by_handle(&mut f, root);
    assert_eq!(f.read("file").as_deref(), Ok("text"));
    assert_eq!(f.read("link").as_deref(), Ok("text"));
    assert_eq!(tree(&f), before);
    f.untouched();
}

/// Every call that changes an open object.
fn change_by_handle(f: &mut Fixture, object: Handle) {
    let bytes = [std::io::IoSlice::new(b"changed")];
    assert!(f.host.write_at(object, &bytes, 0).is_err());
    assert!(f.host.append(object, &bytes).is_err());
    assert!(f.host.set_size(object, 1).is_err());
    assert!(f.host.allocate(object, 0, 100).is_err());
    assert_eq!(f.host.set_times(object, SetTime::Now, SetTime::Now), Err(Errno::ReadOnly));
}

/// All that can be seen of a mount: names, contents and times of change.
fn tree(f: &Fixture) -> Vec<(String, String, std::time::SystemTime)> {
    ["", "file", "dir", "dir/file", "dir/empty", "link", "dangling"]
        .into_iter()
        .map(|path| {
            let metadata = fs::symlink_metadata(f.inside(path)).unwrap();
            let text = match metadata.is_dir() {
                true => fixture::names_of(&f.inside(path)).join(" "),
                false => fs::read_to_string(f.inside(path)).unwrap_or_default(),
            };
            (path.to_string(), text, metadata.modified().unwrap())
        })
        .collect()
}

fn row_26_running_out_of_descriptors_is_an_error_for_the_guest() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // Other tests of this process must not run dry: the limit belongs to the whole of it.
    in_a_process_of_its_own("row_26_running_out_of_descriptors_is_an_error_for_the_guest", || {
        let mut f = Fixture::new();
        f.make("file", "text");
        let limit = Rlimit { current: Some(64), maximum: getrlimit(Resource::Nofile).maximum };
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut opened = Vec::new();
        let error = loop {
            match f.open("file", READ) {
                Ok(file) => opened.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Errno::TooManyDescriptors);
        assert!(opened.len() > 40, "{}", opened.len());
        for _ in 0..100_000 {
            assert_eq!(f.open("file", READ), Err(Errno::TooManyDescriptors));
        }
        for file in opened {
            f.host.close(file).unwrap();
        }
        assert_eq!(f.read("file").as_deref(), Ok("text"));
    });
}

/// Runs `check` in a child process, unless this already is one.
fn in_a_process_of_its_own(name: &str, check: impl FnOnce()) {
    if std::env::var_os("BRANT_TEST_CHILD").is_some() {
        return check();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("with_openat2::{name}"), "--nocapture", "--test-threads=1"])
        .env("BRANT_TEST_CHILD", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn row_20_all_of_it_holds_without_openat2() {
    if std::env::var_os("BRANT_TEST_CHILD").is_none() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "row_20_all_of_it_holds_without_openat2", "--nocapture"])
            .env("BRANT_TEST_CHILD", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert_eq!(text.matches("held:").count(), CHECKS.len(), "{text}");
        return;
    }
    forget_openat2();
    let how = rustix::fs::OFlags::PATH;
    let none = rustix::fs::Mode::empty();
    let beneath = rustix::fs::ResolveFlags::BENEATH;
    let answer = rustix::fs::openat2(rustix::fs::CWD, ".", how, none, beneath);
    assert_eq!(answer.unwrap_err(), rustix::io::Errno::NOSYS);
    for (name, check) in CHECKS {
        check();
        eprintln!("held: {name}");
    }
}

/// Makes the system say ENOSYS to `openat2`, on this thread and those it starts.
fn forget_openat2() {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut steps = [
        step(LOAD_NUMBER, 0, 0),
        libc::sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: 1, k: libc::SYS_openat2 as u32 },
        step(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: `program` points to `steps`, which lives until both calls have returned; the kernel
    // copies it and keeps no pointer.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}
