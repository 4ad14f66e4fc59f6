//! The second wall holds where the first is broken on purpose.
//!
//! A wall can never be taken down again, so each case runs in a child process, which is this
//! program again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use brant_host::native::NativeHost;
use brant_host::native::landlock::{Coverage, Grant, LandlockError, landlock, probe};
use brant_kernel::errno::Errno::Access;
use brant_kernel::host::{Follow, Host, MountAccess, OpenHow};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// `T/inside` and `T/only` are granted, the second for reading; `T/secret` is not.
struct Places {
    temporary: PathBuf,
}

impl Places {
    fn inside(&self) -> PathBuf {
        self.temporary.join("inside")
    }
    fn only(&self) -> PathBuf {
        self.temporary.join("only")
    }
    fn secret(&self) -> PathBuf {
        self.temporary.join("secret")
    }
}

/// Runs the test of this name again in a child, with the wall; `false` where there can be none.
fn behind_the_wall(name: &str, check: impl FnOnce(&Places)) {
    if let Some(temporary) = std::env::var_os("BRANT_TEST_PLACES") {
        let places = Places { temporary: temporary.into() };
        return check(&places);
    }
    if probe().coverage == Coverage::None {
        eprintln!("this system has no Landlock: {name} shows nothing here");
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let places = Places { temporary: temporary.path().to_path_buf() };
    fs::create_dir(places.inside()).unwrap();
    fs::create_dir(places.only()).unwrap();
    fs::write(places.inside().join("file"), "inside").unwrap();
    fs::write(places.only().join("file"), "only").unwrap();
    fs::write(places.secret(), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", places.inside().join("link")).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("BRANT_TEST_PLACES", temporary.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("behind the wall"), "{text}");
    assert_eq!(fs::read_to_string(places.secret()).unwrap(), "secret");
    assert_eq!(fs::read_to_string(places.only().join("file")).unwrap(), "only");
}

fn raise(places: &Places) {
    let wall = landlock(&[Grant::read_write(places.inside()), Grant::read(places.only())]).unwrap();
    assert_ne!(wall.coverage, Coverage::None);
    assert!(wall.version >= 1);
    eprintln!("behind the wall");
}

/// What a resolver without any check would do with a guest's path.
fn broken_resolver(mount: &fs::File, path: &Path, flags: OFlags) -> Result<fs::File, Errno> {
    rustix::fs::openat(mount, path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o666))
        .map(fs::File::from)
}

#[test]
fn row_35_a_broken_resolver_opens_nothing_outside() {
    behind_the_wall("row_35_a_broken_resolver_opens_nothing_outside", |places| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mount = rustix::fs::openat(CWD, places.inside(), flags, Mode::empty()).unwrap().into();
        raise(places);
        let (read, write) = (OFlags::RDONLY, OFlags::WRONLY);
        assert!(broken_resolver(&mount, "file".as_ref(), read).is_ok());
        assert!(broken_resolver(&mount, "new".as_ref(), write | OFlags::CREATE).is_ok());
        let secret = places.secret();
        for path in [
            Path::new("../secret"),
            Path::new("link"),
            &secret,
            Path::new("/etc/passwd"),
            Path::new("/proc/self/root/etc/passwd"),
        ] {
            assert_eq!(broken_resolver(&mount, path, read).unwrap_err(), Errno::ACCESS, "{path:?}");
            let answer = broken_resolver(&mount, path, write | OFlags::TRUNC);
            assert_eq!(answer.unwrap_err(), Errno::ACCESS, "{path:?}");
        }
        let made = broken_resolver(&mount, "../made".as_ref(), write | OFlags::CREATE);
        assert_eq!(made.unwrap_err(), Errno::ACCESS);
        assert!(fs::remove_file(&secret).is_err());
        assert!(fs::rename(&secret, places.inside().join("stolen")).is_err());
        assert!(fs::hard_link(&secret, places.inside().join("stolen")).is_err());
        assert!(fs::read_dir(&places.temporary).is_err());
        assert!(fs::create_dir(places.temporary.join("made")).is_err());
    });
}

#[test]
fn row_35_what_is_granted_for_reading_is_not_written() {
    behind_the_wall("row_35_what_is_granted_for_reading_is_not_written", |places| {
        raise(places);
        let file = places.only().join("file");
        assert_eq!(fs::read_to_string(&file).unwrap(), "only");
        assert!(fs::write(&file, "changed").is_err());
        assert!(fs::write(places.only().join("new"), "").is_err());
        assert!(fs::remove_file(&file).is_err());
        assert!(fs::rename(&file, places.inside().join("taken")).is_err());
        fs::write(places.inside().join("new"), "new").unwrap();
        fs::create_dir(places.inside().join("dir")).unwrap();
        fs::rename(places.inside().join("new"), places.inside().join("dir/moved")).unwrap();
        fs::remove_file(places.inside().join("dir/moved")).unwrap();
        fs::remove_dir(places.inside().join("dir")).unwrap();
        let pipe = places.inside().join("pipe");
        let made = rustix::fs::mkfifoat(CWD, &pipe, Mode::from_raw_mode(0o666));
        assert_eq!(made, Err(Errno::ACCESS));
        assert!(Command::new("/bin/true").status().is_err(), "nothing can be executed");
    });
}

#[test]
fn the_host_works_as_before_inside() {
    behind_the_wall("the_host_works_as_before_inside", |places| {
        let mut host = NativeHost::new();
        let root = host.mount(&places.inside(), MountAccess::ReadWrite).unwrap();
        raise(places);
        let how = OpenHow { read: true, write: true, create: true, ..OpenHow::default() };
        let file = host.open(root, b"fresh", how).unwrap().handle;
        let text = [std::io::IoSlice::new(b"text")];
        assert_eq!(host.write_at(file, &text, 0), Ok(4));
        assert_eq!(host.append(file, &text), Ok((4, 8)));
        host.set_size(file, 2).unwrap();
        host.create_directory(root, b"sub").unwrap();
        host.rename(root, b"fresh", root, b"sub/moved").unwrap();
        host.link(root, b"sub/moved", root, b"again").unwrap();
        host.symlink(b"sub/moved", root, b"soft").unwrap();
        assert_eq!(host.stat_at(root, b"soft", Follow::Yes).unwrap().size_bytes, 2);
        let mut names = 0;
        let mut count = |_: brant_kernel::host::Entry<'_>| {
            names += 1;
            true
        };
        host.list(root, 0, &mut count).unwrap();
        assert_eq!(names, 2 + 5);
        // A mount that comes after the wall is a mount that was not granted.
        let outside = host.mount(&places.temporary, MountAccess::ReadOnly).unwrap();
        let reading = OpenHow { read: true, ..OpenHow::default() };
        assert_eq!(host.open(outside, b"secret", reading).map(|_| ()), Err(Access));
        assert!(host.list(outside, 2, &mut |_| true).is_err());
        assert!(host.listen("127.0.0.1:0").is_err() || probe().version < 4);
    });
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let error = std::thread::spawn(|| landlock(&[Grant::read("/does/not/exist")])).join().unwrap();
    match error {
        Err(LandlockError::Path(path, _)) => assert_eq!(path, Path::new("/does/not/exist")),
        other => panic!("{other:?}"),
    }
    assert!(fs::metadata("/").is_ok());
}
