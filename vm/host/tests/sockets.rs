//! TCP listeners that a manifest grants, the connections that they take, and waiting for both.

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown as TcpShutdown, TcpStream};
use std::time::{Duration, Instant};

use brant_host::native::NativeHost;
use brant_kernel::errno::Errno;
use brant_kernel::host::{
    Clock, Direction, Handle, Host, Interest, Kind, Receive, Shutdown, Truncated, Woken,
};

/// A host that listens somewhere, and where that is.
fn listening() -> (NativeHost, Handle, String) {
    // Asking the system for a free port first may lose a race; trying again is cheap.
    for _ in 0..100 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let mut host = NativeHost::new();
        if let Ok(listener) = host.listen(&address) {
            return (host, listener, address);
        }
    }
    panic!("no free port");
}

fn ready(host: &mut NativeHost, object: Handle, direction: Direction) {
    let deadline = host.now_ns(Clock::Monotonic).unwrap() + 10_000_000_000;
    let mut interests = [Interest { object, direction, ready: None }];
    assert_eq!(host.wait(&mut interests, Some(deadline)), Ok(Woken::Ready));
    assert!(interests[0].ready.is_some());
}

fn connected() -> (NativeHost, Handle, TcpStream) {
    let (mut host, listener, address) = listening();
    assert_eq!(host.accept(listener).map(|_| ()), Err(Errno::Again));
    let client = TcpStream::connect(address).unwrap();
    ready(&mut host, listener, Direction::Read);
    let opened = host.accept(listener).unwrap();
    assert_eq!((opened.kind, opened.terminal), (Kind::StreamSocket, false));
    (host, opened.handle, client)
}

fn receive(
    host: &mut NativeHost, socket: Handle, length: usize, how: Receive,
) -> Result<String, Errno> {
    let mut buffer = vec![0; length];
    let (count, truncated) = host.receive(socket, &mut [IoSliceMut::new(&mut buffer)], how)?;
    assert_eq!(truncated, Truncated::No);
    Ok(String::from_utf8_lossy(&buffer[..count]).into_owned())
}

#[test]
fn a_connection_carries_bytes_both_ways() {
    let (mut host, socket, mut client) = connected();
    let plain = Receive::default();
    assert_eq!(receive(&mut host, socket, 9, plain), Err(Errno::Again));
    client.write_all(b"hello").unwrap();
    ready(&mut host, socket, Direction::Read);
    let peek = Receive { peek: true, ..plain };
    assert_eq!(receive(&mut host, socket, 2, peek).as_deref(), Ok("he"));
    assert_eq!(receive(&mut host, socket, 3, plain).as_deref(), Ok("hel"));
    let mut buffer = [0; 9];
    assert_eq!(host.read(socket, &mut [IoSliceMut::new(&mut buffer)]), Ok(2));
    assert_eq!(host.send(socket, &[IoSlice::new(b"good"), IoSlice::new(b" day")]), Ok(8));
    assert_eq!(host.write(socket, &[IoSlice::new(b"!")]), Ok(1));
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"good day!");
}

#[test]
fn waiting_for_all_takes_nothing_before_all_is_there() {
    let (mut host, socket, mut client) = connected();
    let all = Receive { wait_all: true, ..Receive::default() };
    client.write_all(b"half").unwrap();
    ready(&mut host, socket, Direction::Read);
    assert_eq!(receive(&mut host, socket, 8, all), Err(Errno::Again));
    client.write_all(b"done").unwrap();
    while receive(&mut host, socket, 8, Receive { peek: true, ..all }) == Err(Errno::Again) {}
    assert_eq!(receive(&mut host, socket, 8, all).as_deref(), Ok("halfdone"));
    client.write_all(b"end").unwrap();
    client.shutdown(TcpShutdown::Write).unwrap();
    while receive(&mut host, socket, 8, Receive { peek: true, ..all }) == Err(Errno::Again) {}
    assert_eq!(receive(&mut host, socket, 8, all).as_deref(), Ok("end"), "no more will come");
    assert_eq!(receive(&mut host, socket, 8, all).as_deref(), Ok(""));
}

#[test]
fn half_open_connections_end_one_way() {
    let (mut host, socket, mut client) = connected();
    client.shutdown(TcpShutdown::Write).unwrap();
    ready(&mut host, socket, Direction::Read);
    assert_eq!(receive(&mut host, socket, 9, Receive::default()).as_deref(), Ok(""));
    assert_eq!(host.send(socket, &[IoSlice::new(b"still")]), Ok(5));
    host.shut_down(socket, Shutdown::Write).unwrap();
    assert_eq!(host.send(socket, &[IoSlice::new(b"x")]), Err(Errno::BrokenPipe), "and no signal");
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still");
    // Nothing is left open on either side.
    let again = host.shut_down(socket, Shutdown::Both);
    assert!(matches!(again, Ok(()) | Err(Errno::NotConnected)), "{again:?}");
}

#[test]
fn a_slow_reader_makes_the_writer_wait_and_not_the_host() {
    let (mut host, socket, mut client) = connected();
    let chunk = vec![b'z'; 1 << 16];
    let mut sent = 0_usize;
    let error = loop {
        match host.send(socket, &[IoSlice::new(&chunk)]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
        assert!(sent < 256 << 20, "somebody buffers without bound");
    };
    assert_eq!(error, Errno::Again);
    let reader = std::thread::spawn(move || {
        let mut all = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match client.read(&mut buffer).unwrap() {
                0 => return all,
                count => all += count,
            }
        }
    });
    ready(&mut host, socket, Direction::Write);
    host.close(socket).unwrap();
    assert_eq!(reader.join().unwrap(), sent);
}

#[test]
fn what_is_no_socket_or_no_connection_says_so() {
    let (mut host, listener, address) = listening();
    let plain = Receive::default();
    assert_eq!(receive(&mut host, listener, 1, plain), Err(Errno::NotConnected));
    assert_eq!(host.send(listener, &[]), Err(Errno::NotConnected));
    assert_eq!(host.shut_down(listener, Shutdown::Both), Err(Errno::NotConnected));
    let directory = tempfile::tempdir().unwrap();
    let mount = host.mount(directory.path(), brant_kernel::host::MountAccess::ReadWrite).unwrap();
    assert_eq!(receive(&mut host, mount, 1, plain), Err(Errno::NotSocket));
    assert_eq!(host.send(mount, &[]), Err(Errno::NotSocket));
    assert_eq!(host.accept(mount).map(|_| ()), Err(Errno::NotSocket));
    assert_eq!(host.shut_down(mount, Shutdown::Read), Err(Errno::NotSocket));
    assert_eq!(host.listen(&address), Err(Errno::AddressInUse));
    for wrong in ["", "nowhere", "127.0.0.1", "127.0.0.1:99999", "localhost:80"] {
        assert_eq!(host.listen(wrong), Err(Errno::Invalid), "{wrong}");
    }
    assert_eq!(host.listen("203.0.113.1:80"), Err(Errno::AddressNotAvailable));
}

#[test]
fn a_wait_ends_at_its_deadline_or_when_woken() {
    let (mut host, listener, _) = listening();
    let interest = Interest { object: listener, direction: Direction::Read, ready: None };
    let now = host.now_ns(Clock::Monotonic).unwrap();
    let before = Instant::now();
    assert_eq!(host.wait(&mut [interest], Some(now + 30_000_000)), Ok(Woken::Deadline));
    assert!(before.elapsed() >= Duration::from_millis(29));
    assert_eq!(host.wait(&mut [interest], Some(0)), Ok(Woken::Deadline), "long past");
    assert_eq!(host.wait(&mut [], Some(now)), Ok(Woken::Deadline), "nothing to wait for");
    let waker = host.waker();
    waker.wake();
    waker.wake();
    assert_eq!(host.wait(&mut [interest], None), Ok(Woken::Interrupted), "woken before");
    assert_eq!(host.wait(&mut [interest], Some(0)), Ok(Woken::Deadline), "only once");
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        waker.wake();
    });
    assert_eq!(host.wait(&mut [interest], None), Ok(Woken::Interrupted));
    other.join().unwrap();
    host.close(listener).unwrap();
    assert_eq!(host.wait(&mut [interest], Some(0)), Err(Errno::BadDescriptor));
}

#[test]
fn files_are_always_ready_and_end_every_wait() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, listener, _) = listening();
    let mount = host.mount(directory.path(), brant_kernel::host::MountAccess::ReadWrite).unwrap();
    let mut interests = [
        Interest { object: listener, direction: Direction::Read, ready: None },
        Interest { object: mount, direction: Direction::Read, ready: None },
    ];
    assert_eq!(host.wait(&mut interests, None), Ok(Woken::Ready));
    assert!(interests[0].ready.is_none() && interests[1].ready.is_some());
    let mut many = vec![interests[1]; 10_000];
    many.push(interests[0]);
    assert_eq!(host.wait(&mut many, None), Ok(Woken::Ready));
    assert_eq!(many.iter().filter(|interest| interest.ready.is_some()).count(), 10_000);
}
