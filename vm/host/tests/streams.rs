//! The standard streams of a process: pipes with nothing in them or no room, readers that are gone
//! or stopped, closed descriptors, signals that come all the time, terminals.
//!
//! Each case runs in a child process, which is this program again and plays one role.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use brant_host::native::NativeHost;
use brant_kernel::errno::Errno;
use brant_kernel::host::{Clock, Direction, Handle, Host, Interest, Kind, Opened, Stream, Woken};

/// This program again, as a child that plays `role` and tells on standard error what it found.
fn role(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env("BRANT_ROLE", role);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[track_caller]
fn found(child: Child, expected: &[&str]) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for line in expected {
        assert!(text.lines().any(|found| found == *line), "no {line:?} in:\n{text}");
    }
}

#[test]
fn child() {
    let Ok(role) = std::env::var("BRANT_ROLE") else { return };
    let mut host = NativeHost::new();
    let input = host.stream(Stream::Input).unwrap();
    let output = host.stream(Stream::Output).unwrap();
    match role.as_str() {
        "read to the end" => read_to_the_end(&mut host, input),
        "read in time" => read_in_time(&mut host, input),
        "write to nobody" => write_to_nobody(&mut host, output.handle),
        "write to one who stopped" => write_to_one_who_stopped(&mut host, output.handle),
        "under signals" => under_signals(&mut host, input.handle, output.handle),
        "terminal" => terminal(&mut host, input, output),
        "kinds" => eprintln!("{:?} {:?}", input.kind, output.kind),
        other => panic!("no role {other}"),
    }
    // What runs tests would write to standard output now, which may be gone.
    std::process::exit(0);
}

fn read(host: &mut NativeHost, stream: Handle) -> Result<Vec<u8>, Errno> {
    let mut buffer = [0; 1_000];
    let count = host.read(stream, &mut [IoSliceMut::new(&mut buffer)])?;
    Ok(buffer[..count].to_vec())
}

fn write(host: &mut NativeHost, stream: Handle, text: &[u8]) -> Result<usize, Errno> {
    host.write(stream, &[IoSlice::new(text)])
}

fn wait(host: &mut NativeHost, object: Handle, direction: Direction, ms: u64) -> Woken {
    let deadline = host.now_ns(Clock::Monotonic).unwrap() + ms * 1_000_000;
    let mut interests = [Interest { object, direction, ready: None }];
    host.wait(&mut interests, Some(deadline)).unwrap()
}

fn read_to_the_end(host: &mut NativeHost, input: Opened) {
    let mut all = Vec::new();
    loop {
        match read(host, input.handle) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => all.extend(bytes),
            Err(Errno::Again) => {
                assert_eq!(wait(host, input.handle, Direction::Read, 10_000), Woken::Ready)
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    eprintln!("read {:?} terminal {}", String::from_utf8_lossy(&all), input.terminal);
}

#[test]
fn row_34_closed_standard_input_is_at_its_end() {
    found(role("read to the end").spawn().unwrap(), &["read \"\" terminal false"]);
    // Closed for good: the runtime puts /dev/null there, so that no file takes its number.
    let program = std::env::current_exe().unwrap();
    let child = Command::new("sh")
        .args(["-c", "exec \"$0\" --exact child --nocapture <&-"])
        .arg(program)
        .env("BRANT_ROLE", "read to the end")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    found(child, &["read \"\" terminal false"]);
}

#[test]
fn a_file_as_standard_input_is_read_from_where_it_stands() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(4)).unwrap();
    let child = role("read to the end").stdin(file).spawn().unwrap();
    found(child, &["read \"456789\" terminal false"]);
}

fn read_in_time(host: &mut NativeHost, input: Opened) {
    assert_eq!(read(host, input.handle), Err(Errno::Again));
    let before = Instant::now();
    assert_eq!(wait(host, input.handle, Direction::Read, 30), Woken::Deadline);
    assert!(before.elapsed() >= Duration::from_millis(30));
    eprintln!("nothing yet");
    assert_eq!(wait(host, input.handle, Direction::Read, 60_000), Woken::Ready);
    assert_eq!(read(host, input.handle).unwrap(), b"late");
    while read(host, input.handle) == Err(Errno::Again) {
        wait(host, input.handle, Direction::Read, 60_000);
    }
    assert_eq!(read(host, input.handle).unwrap(), b"", "the end stays the end");
    eprintln!("all read");
}

#[test]
fn a_pipe_with_nothing_in_it_makes_nobody_wait() {
    let mut child = role("read in time").stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    pipe.write_all(b"late").unwrap();
    std::thread::sleep(Duration::from_millis(20));
    drop(pipe);
    found(child, &["nothing yet", "all read"]);
}

fn write_to_nobody(host: &mut NativeHost, output: Handle) {
    let error = loop {
        match write(host, output, b"hello") {
            Ok(_) | Err(Errno::Again) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => break error,
        }
    };
    eprintln!("{error:?}");
}

#[test]
fn row_34_a_reader_that_is_gone_is_an_error_and_no_signal() {
    let mut child = role("write to nobody").stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let (mut seen, mut buffer) = (Vec::new(), [0; 100]);
    while !seen.ends_with(b"hello") {
        let count = pipe.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..count]);
    }
    drop(pipe);
    found(child, &["BrokenPipe"]);
}

fn write_to_one_who_stopped(host: &mut NativeHost, output: Handle) {
    let chunk = vec![b'x'; 10_000];
    let mut written = 0;
    let error = loop {
        match write(host, output, &chunk) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::Again);
    assert!((4_096..=2 << 20).contains(&written), "{written}");
    assert_eq!(wait(host, output, Direction::Write, 30), Woken::Deadline);
    let flags = rustix::fs::fcntl_getfl(rustix::stdio::stdout()).unwrap();
    assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "the pipe belongs to others too");
    eprintln!("full");
    assert_eq!(wait(host, output, Direction::Write, 60_000), Woken::Ready);
    assert!(write(host, output, b"more").is_ok());
    eprintln!("goes on");
}

#[test]
fn row_33_a_reader_that_stopped_holds_the_writer_and_not_the_host() {
    let mut child = role("write to one who stopped").stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes.len()
    });
    found(child, &["full", "goes on"]);
    assert!(reader.join().unwrap() > 4_096);
}

/// Signals a thousand times a second, with a handler that restarts nothing.
fn under_signals(host: &mut NativeHost, input: Handle, output: Handle) {
    extern "C" fn ignore(_signal: libc::c_int) {}
    // SAFETY: the handler does nothing, so it is safe at any moment; `action` lives until the call
    // has returned.
    let this = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
        libc::pthread_self()
    };
    std::thread::spawn(move || {
        loop {
            // SAFETY: the process ends, and this thread with it, before the other thread does.
            unsafe { libc::pthread_kill(this, libc::SIGUSR1) };
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let (mut waits, mut read_bytes, mut written_bytes) = (0, 0, 0);
    let end = Instant::now() + Duration::from_millis(400);
    while Instant::now() < end {
        match read(host, input) {
            Ok(bytes) => read_bytes += bytes.len(),
            Err(error) => assert_eq!(error, Errno::Again),
        }
        match write(host, output, &[b'y'; 3_000]) {
            Ok(count) => written_bytes += count,
            Err(error) => assert_eq!(error, Errno::Again),
        }
        let mut bytes = vec![0; 65_536];
        host.random(&mut bytes).unwrap();
        if wait(host, input, Direction::Read, 5) == Woken::Interrupted {
            waits += 1;
        }
    }
    assert!(
        read_bytes > 0 && written_bytes > 0 && waits > 10,
        "{read_bytes} {written_bytes} {waits}"
    );
    eprintln!("undisturbed");
}

#[test]
fn row_34_signals_interrupt_a_wait_and_nothing_else() {
    let mut child =
        role("under signals").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let writer = std::thread::spawn(move || {
        while input.write_all(b"some text").is_ok() {
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let reader = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    found(child, &["undisturbed"]);
    writer.join().unwrap();
    assert!(reader.join().unwrap().unwrap() > 0);
}

fn terminal(host: &mut NativeHost, input: Opened, output: Opened) {
    eprintln!(
        "input {:?} {}, output {:?} {}",
        input.kind, input.terminal, output.kind, output.terminal
    );
    assert_eq!(read(host, input.handle), Err(Errno::Again));
    let question = [IoSlice::new(b"what "), IoSlice::new(b"now? ")];
    assert_eq!(host.write(output.handle, &question), Ok(10));
    let long = vec![b'-'; 5_000];
    assert_eq!(write(host, output.handle, &long), Ok(4_096), "a little at a time");
    assert_eq!(wait(host, input.handle, Direction::Read, 60_000), Woken::Ready);
    eprintln!("answer {:?}", String::from_utf8_lossy(&read(host, input.handle).unwrap()));
}

#[test]
fn a_terminal_is_told_apart_and_never_waited_for() {
    let (mut ours, theirs) = terminal_pair();
    let child = role("terminal").stdin(theirs.try_clone().unwrap()).stdout(theirs).spawn().unwrap();
    let mut screen = Vec::new();
    let mut buffer = [0; 4_096];
    // It speaks to us first; reading it all makes room for the rest.
    while !screen.ends_with(&[b'-'; 4_000]) {
        let count = ours.read(&mut buffer).unwrap();
        screen.extend_from_slice(&buffer[..count]);
    }
    assert!(String::from_utf8_lossy(&screen).contains("what now? "));
    ours.write_all(b"nothing\n").unwrap();
    found(
        child,
        &["input CharacterDevice true, output CharacterDevice true", "answer \"nothing\\n\""],
    );
}

#[test]
fn streams_have_kinds() {
    found(role("kinds").spawn().unwrap(), &["CharacterDevice CharacterDevice"]);
    let child = role("kinds").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    found(child, &["Unknown Unknown"]);
    let file = tempfile::tempfile().unwrap();
    let child = role("kinds").stdin(file.try_clone().unwrap()).stdout(file).spawn().unwrap();
    assert_eq!(Kind::Unknown as u8, 0);
    found(child, &["Unknown Unknown"]);
}

/// Both ends of a new terminal: the one that a person would sit at, and the program's.
fn terminal_pair() -> (File, File) {
    let (mut ours, mut theirs) = (-1, -1);
    let none = std::ptr::null_mut;
    // SAFETY: both numbers live until the call has returned; the null pointers say that nothing
    // else is asked for.
    let answer = unsafe {
        libc::openpty(&mut ours, &mut theirs, none(), std::ptr::null(), std::ptr::null())
    };
    assert_eq!(answer, 0);
    // SAFETY: the call above has just opened both, and nobody else knows them.
    let own = |number| File::from(unsafe { OwnedFd::from_raw_fd(number) });
    (own(ours), own(theirs))
}
