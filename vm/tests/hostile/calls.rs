//! Rows 24 to 32: what a guest asks of the system. Rows that need a host's help are tested beside
//! the hosts.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use brant::Limits;
use brant_kernel::CALLS;

use crate::guest::{Guest, MEMORY_BYTES, OUT, in_each_mode};

/// Where lists of buffers lie.
const LIST: u64 = 0x1000;
const MOST: u64 = 0xffff_ffff;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn row_24_without_a_mount_every_path_is_refused() {
    in_each_mode(|mode| {
        let mut guest = Guest::new(mode, None, Limits::default());
        let paths = [".", "/", "..", "Cargo.toml", "/etc/passwd", "/proc/self/cwd", ""];
        for fd in (0..20).chain([MOST, 1 << 31]) {
            assert_eq!(guest.call("fd_prestat_get", &[fd, OUT]), "badf", "{fd}");
            for path in paths {
                let [at, len] = guest.text(0x7000, path);
                let calls: [(&str, Vec<u64>); 10] = [
                    ("path_create_directory", vec![fd, at, len]),
                    ("path_filestat_get", vec![fd, 1, at, len, OUT]),
                    ("path_filestat_set_times", vec![fd, 1, at, len, 0, 0, 10]),
                    ("path_link", vec![fd, 0, at, len, fd, at, len]),
                    ("path_open", vec![fd, 1, at, len, 0, 2, 0, 0, OUT]),
                    ("path_readlink", vec![fd, at, len, OUT, 100, OUT + 200]),
                    ("path_remove_directory", vec![fd, at, len]),
                    ("path_rename", vec![fd, at, len, fd, at, len]),
                    ("path_symlink", vec![at, len, fd, at, len]),
                    ("path_unlink_file", vec![fd, at, len]),
                ];
                let expected = if fd < 3 { "notdir" } else { "badf" };
                for (name, args) in calls {
                    assert_eq!(guest.call(name, &args), expected, "{name} {fd} {path:?}");
                }
            }
        }
    });
}

#[test]
fn row_25_descriptors_are_renumbered_as_the_guest_likes() {
    in_each_mode(|mode| {
        let folder = folder();
        let mut guest = Guest::new(mode, Some(folder.path()), Limits::default());
        let file = guest.open("file");
        let [at, len] = guest.text(0x7000, "written");
        guest.buffers(LIST, &[(at as u32, len as u32)]);
        let renumber = |guest: &mut Guest, from, to| guest.call("fd_renumber", &[from, to]);
        assert_eq!(renumber(&mut guest, file, file), "success", "to itself");
        assert_eq!(renumber(&mut guest, file, 77), "badf", "to what is closed");
        assert_eq!(renumber(&mut guest, 77, file), "badf", "from what is closed");
        assert_eq!(renumber(&mut guest, file, MOST), "badf");
        assert_eq!(renumber(&mut guest, MOST, MOST), "badf");
        // Standard output becomes the file; the file's own number is free again.
        assert_eq!(renumber(&mut guest, file, 1), "success");
        assert_eq!(guest.call("fd_write", &[1, LIST, 1, OUT]), "success");
        assert_eq!(guest.call("fd_write", &[file, LIST, 1, OUT]), "badf");
        assert_eq!(guest.output.text(), "");
        assert_eq!(fs::read_to_string(folder.path().join("file")).expect("the file"), "written");
        // The mount becomes standard input, and keeps what it is.
        assert_eq!(renumber(&mut guest, 3, 0), "success");
        assert_eq!(guest.call("fd_read", &[0, LIST, 1, OUT]), "isdir");
        assert_eq!(guest.call("path_filestat_get", &[3, 0, at, len, OUT]), "badf");
        let [at, len] = guest.text(0x7000, "file");
        assert_eq!(guest.call("path_filestat_get", &[0, 0, at, len, OUT]), "success");
        let [out, out_len] = guest.text(0x7000, "../outside");
        assert_eq!(guest.call("path_filestat_get", &[0, 0, out, out_len, OUT]), "perm");
        // A stream in the place of the mount: no path leads through it.
        assert_eq!(renumber(&mut guest, 2, 0), "success");
        assert_eq!(guest.call("path_filestat_get", &[0, 0, at, len, OUT]), "notdir");
        for fd in [0, 1] {
            assert_eq!(guest.call("fd_close", &[fd]), "success");
            assert_eq!(guest.call("fd_close", &[fd]), "badf");
        }
    });
}

#[test]
fn row_26_descriptors_run_out_for_the_guest_alone() {
    in_each_mode(|mode| {
        let folder = folder();
        let limits = Limits { descriptors_count: 64, ..Limits::default() };
        let mut guest = Guest::new(mode, Some(folder.path()), limits);
        for _ in 4..64 {
            guest.open("file");
        }
        let [at, len] = guest.text(0x7000, "file");
        for _ in 0..1000 {
            let args = [3, 0, at, len, 1, 2, 0, 0, OUT];
            assert_eq!(guest.call("path_open", &args), "mfile");
        }
        assert_eq!(guest.call("fd_close", &[40]), "success");
        assert_eq!(guest.open("file"), 40);
    });
}

#[test]
fn row_27_a_listing_goes_on_from_any_cookie() {
    in_each_mode(|mode| {
        let folder = folder();
        for number in 0..50 {
            fs::write(folder.path().join(format!("entry-{number}")), "").expect("room");
        }
        let mut guest = Guest::new(mode, Some(folder.path()), Limits::default());
        // Cookies that nobody gave out: an end, an error or entries, and nothing beside the buffer.
        for cookie in [0, 1, 51, 52, 53, 1 << 31, MOST, 1 << 63, u64::MAX] {
            for len in [0, 1, 23, 24, 25, 100, 4096] {
                let before = guest.memory();
                guest.call("fd_readdir", &[3, 0x2000, len, cookie, OUT]);
                let (start, end) = (0x2000, 0x2000 + len as usize);
                let after = guest.memory();
                assert!(after[..start] == before[..start], "{cookie} {len}");
                assert!(after[end..OUT as usize] == before[end..OUT as usize], "{cookie} {len}");
            }
        }
        // From each cookie to the next with room for little more than one entry: all are seen once.
        let (mut cookie, mut names) = (0, BTreeSet::new());
        loop {
            assert_eq!(guest.call("fd_readdir", &[3, 0x2000, 60, cookie, OUT]), "success");
            let used = guest.u32_at(OUT) as usize;
            let memory = guest.memory();
            let entry = &memory[0x2000..0x2000 + used];
            if used == 0 {
                break;
            }
            let len = u32::from_le_bytes(entry[16..20].try_into().expect("4 bytes")) as usize;
            cookie = u64::from_le_bytes(entry[..8].try_into().expect("8 bytes"));
            let name = String::from_utf8_lossy(&entry[24..24 + len]).into_owned();
            assert!(names.insert(name), "an entry comes twice");
        }
        assert_eq!(names.iter().filter(|name| name.starts_with("entry-")).count(), 50);
    });
}

#[test]
fn row_28_subscriptions_that_are_not_there() {
    in_each_mode(|mode| {
        let mut guest = Guest::new(mode, None, Limits::default());
        assert_eq!(guest.call("poll_oneoff", &[0, OUT, 0, OUT]), "inval");
        for count in [2000, 1 << 16, 1 << 28, (1 << 28) + 1, 1 << 30, MOST] {
            let ended = guest.call("poll_oneoff", &[0, OUT, count, OUT]);
            assert!(["fault", "inval"].contains(&ended), "{count}: {ended}");
        }
    });
}

#[test]
fn row_29_random_numbers_clocks_and_yields() {
    in_each_mode(|mode| {
        let mut guest = Guest::new(mode, None, Limits::default());
        for (at, len) in [(0, MOST), (1, MOST), (MOST, 1), (MOST, MOST), (MEMORY_BYTES, 1)] {
            let before = guest.memory();
            assert_eq!(guest.call("random_get", &[at, len]), "fault", "{at} {len}");
            assert!(guest.memory() == before, "{at} {len}");
        }
        assert_eq!(guest.call("random_get", &[0, MEMORY_BYTES]), "success");
        assert_eq!(guest.call("random_get", &[MEMORY_BYTES, 0]), "success");
        for clock in [4, 5, 1 << 31, MOST] {
            assert_eq!(guest.call("clock_time_get", &[clock, 0, OUT]), "inval", "{clock}");
            assert_eq!(guest.call("clock_res_get", &[clock, OUT]), "inval", "{clock}");
        }
        assert_eq!(guest.call("clock_time_get", &[1, 0, MEMORY_BYTES - 7]), "fault");
        let started = Instant::now();
        guest.storm().expect("yielding is no crime");
        assert!(started.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn row_30_buffers_are_checked_before_anything_happens() {
    in_each_mode(|mode| {
        let folder = folder();
        let mut guest = Guest::new(mode, Some(folder.path()), Limits::default());
        let fd = guest.open("file");
        guest.text(0x7000, "untouched");
        guest.buffers(LIST, &[(0x7000, 9)]);
        assert_eq!(guest.call("fd_write", &[fd, LIST, 1, OUT]), "success");

        let good = (0x7000u32, 9u32);
        let lists: [(&str, Vec<(u32, u32)>); 5] = [
            ("the last one is outside", vec![good, good, (0xffff, 2)]),
            ("the last one is far outside", vec![good, (u32::MAX, u32::MAX)]),
            ("more buffers than there may be", vec![(0, 1); 1025]),
            ("an address at the end, a length that wraps", vec![good, (0xffff_fff0, 0x20)]),
            ("one that is as long as all memory and more", vec![good, (1, 0x1_0000)]),
        ];
        for (what, list) in lists {
            guest.buffers(LIST, &list);
            let count = list.len() as u64;
            for name in ["fd_write", "fd_read"] {
                check(&mut guest, folder.path(), what, name, &[fd, LIST, count, OUT]);
            }
            for name in ["fd_pwrite", "fd_pread"] {
                check(&mut guest, folder.path(), what, name, &[fd, LIST, count, 0, OUT]);
            }
        }
        guest.buffers(LIST, &[good]);
        for count in [1 << 13, 1 << 28, 1 << 29, (1 << 29) + 1, MOST] {
            for name in ["fd_write", "fd_read"] {
                check(&mut guest, folder.path(), "a count", name, &[fd, LIST, count, OUT]);
            }
        }
        // A result that does not fit is known before, too.
        for out in [MEMORY_BYTES - 3, MEMORY_BYTES, MOST] {
            for name in ["fd_write", "fd_read"] {
                check(&mut guest, folder.path(), "the result", name, &[fd, LIST, 1, out]);
            }
        }
    });
}

#[test]
fn row_30_buffers_that_overlap_everything() {
    in_each_mode(|mode| {
        let folder = folder();
        let mut guest = Guest::new(mode, Some(folder.path()), Limits::default());
        let fd = guest.open("file");
        // What is written is the list of buffers itself, over and over; the result lies in it too.
        let list = [(LIST as u32, 64), (LIST as u32 + 8, 64), (LIST as u32, 128)];
        guest.buffers(LIST, &list);
        assert_eq!(guest.call("fd_write", &[fd, LIST, 3, LIST + 4]), "success");
        assert_eq!(guest.u32_at(LIST + 4), 256);
        assert_eq!(fs::metadata(folder.path().join("file")).expect("the file").len(), 256);
        // What is read lands on the list that says where it lands: the list counts as it was.
        guest.buffers(LIST, &list);
        assert_eq!(guest.call("fd_pread", &[fd, LIST, 3, 0, OUT]), "success");
        assert_eq!(guest.u32_at(OUT), 256);
        // A path that lies on the place of its answer.
        let [at, len] = guest.text(0x7000, "file");
        assert_eq!(guest.call("path_filestat_get", &[3, 0, at, len, at - at % 8]), "success");
    });
}

/// A call that must fail, and must have changed neither memory nor file nor offset.
fn check(guest: &mut Guest, folder: &std::path::Path, what: &str, name: &str, args: &[u64]) {
    let before = guest.memory();
    let ended = guest.call(name, args);
    assert!(["fault", "inval"].contains(&ended), "{what}: {name} {args:x?}: {ended}");
    assert!(guest.memory() == before, "{what}: {name} {args:x?} changes the memory");
    let file = fs::read_to_string(folder.join("file")).expect("the file");
    assert_eq!(file, "untouched", "{what}: {name} {args:x?}");
    assert_eq!(guest.call("fd_tell", &[args[0], OUT + 8]), "success");
    assert_eq!(guest.u32_at(OUT + 8), 9, "{what}: {name} {args:x?} moves the offset");
}

#[test]
fn row_32_what_a_disk_limit_leaves_is_all() {
    in_each_mode(|mode| {
        const LIMIT: u64 = 1 << 20;
        let folder = folder();
        let limits = Limits { disk_bytes: Some(LIMIT), ..Limits::default() };
        let mut guest = Guest::new(mode, Some(folder.path()), limits);
        let fd = guest.open("file");
        for (offset, len) in [(0, 1 << 62), (1 << 62, 1 << 62), (0, MOST << 31), (0, LIMIT + 1)] {
            let ended = guest.call("fd_allocate", &[fd, offset, len]);
            assert!(["fbig", "nospc"].contains(&ended), "{offset} {len}: {ended}");
        }
        for size in [1 << 62, u64::MAX, LIMIT + 1] {
            let ended = guest.call("fd_filestat_set_size", &[fd, size]);
            assert!(["fbig", "nospc", "inval"].contains(&ended), "{size}: {ended}");
        }
        guest.buffers(LIST, &[(0, 0x1_0000)]);
        let mut written = 0;
        while guest.call("fd_pwrite", &[fd, LIST, 1, 0, OUT]) == "success" {
            written += 0x1_0000;
            assert!(written <= LIMIT, "the same place over and over counts too");
        }
        assert_eq!(written, LIMIT);
        assert_eq!(guest.call("fd_write", &[fd, LIST, 1, OUT]), "nospc");
        let size = fs::metadata(folder.path().join("file")).expect("the file").len();
        assert!(size <= LIMIT);
    });
}

#[test]
fn rows_24_to_32_every_call_with_nothing_but_edges() {
    in_each_mode(|mode| {
        let folder = folder();
        let edges = [0, 1, MEMORY_BYTES - 1, MEMORY_BYTES, 1 << 31, MOST, 1 << 63, u64::MAX];
        for row in CALLS.iter().filter(|row| row.returns) {
            let mut guest = Guest::new(mode, Some(folder.path()), Limits::default());
            for edge in edges {
                for other in edges {
                    // Both at each place once; what a signal or a wait would do stands elsewhere.
                    let mut args = vec![edge; row.params.len()];
                    if let Some(last) = args.last_mut() {
                        *last = other;
                    }
                    if ["proc_raise", "proc_signal", "fd_allocate", "fd_filestat_set_size"]
                        .contains(&row.name)
                    {
                        continue;
                    }
                    guest.call(row.name, &args);
                }
            }
        }
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 0);
    });
}
