//! The file server in its three constructions, and its clients, over real connections.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use brant::{
    Captured, Config, Engine, ExitStatus, Module, MountAccess, Output, Process, ThreadPolicy, Tier,
};

const CONSTRUCTIONS: [&str; 3] = ["single", "workers", "machine"];
const POLICIES: [ThreadPolicy; 3] =
    [ThreadPolicy::User, ThreadPolicy::Kernel, ThreadPolicy::Hybrid];

fn module(tier: Tier, name: &str) -> Module {
    let config = Config { tier, ..Config::default() };
    let engine = Engine::new(&brant::with_compiler(config)).expect("an engine");
    let bytes = brant_programs::find(name).expect("a program").module().expect("its module");
    Module::new(&engine, bytes).expect("a valid module")
}

/// A server that runs, and ends after some connections.
struct Server {
    port: u16,
    thread: JoinHandle<ExitStatus>,
}

impl Server {
    fn start(
        module: &Module, construction: &str, policy: ThreadPolicy, folder: &Path, count: usize,
    ) -> Server {
        let output = Captured::new();
        let mut process = Process::builder(module)
            .args(["fileserver", construction, "127.0.0.1:0", &count.to_string()])
            .stdout(Output::Capture(output.clone()))
            .net("listen:127.0.0.1".parse().expect("a rule"))
            .mount(folder, ".", MountAccess::ReadOnly)
            .threads(policy)
            .build()
            .expect("a server");
        let thread = std::thread::spawn(move || process.run().expect("a status"));
        let port = loop {
            if let Some(line) = output.text().strip_suffix('\n') {
                break line.strip_prefix("port ").expect("a port").parse().expect("a number");
            }
            assert!(!thread.is_finished(), "the server has gone");
            std::thread::sleep(Duration::from_millis(1));
        };
        Server { port, thread }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).expect("a connection")
    }

    fn get(&self, path: &str) -> String {
        let mut connection = self.connect();
        // In two pieces: the server has to wait for the second one.
        connection.write_all(b"GET /").expect("it is sent");
        write!(connection, "{path} HTTP/1.0\r\n\r\n").expect("it is sent");
        let mut reply = String::new();
        connection.read_to_string(&mut reply).expect("a reply");
        reply
    }

    fn end(self, what: &str) {
        let status = self.thread.join().expect("the server's thread");
        assert!(matches!(status, ExitStatus::Exited(0)), "{what}: {status:?}");
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn reply(status: &str, body: &str) -> String {
    format!("HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Each construction in each tier under each policy.
fn everywhere(mut check: impl FnMut(&Module, &str, ThreadPolicy, &str)) {
    for tier in [Tier::Interp, Tier::Jit, Tier::Auto] {
        let module = module(tier, "fileserver");
        for construction in CONSTRUCTIONS {
            for policy in POLICIES {
                let what = format!("{construction} in {tier:?} under {policy:?}");
                check(&module, construction, policy, &what);
            }
        }
    }
}

#[test]
fn every_client_gets_its_file_from_each_construction() {
    let large = "0123456789abcdef".repeat(20_000);
    let folder = folder(&[("small", "a line\n"), ("large", &large), ("empty", "")]);
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    let expected = [
        ("small", reply("200 OK", "a line\n")),
        ("large", reply("200 OK", &large)),
        ("empty", reply("200 OK", "")),
        ("none", reply("404 Not Found", "")),
        ("sub", reply("404 Not Found", "")),
        ("../small", reply("404 Not Found", "")),
    ];
    everywhere(|module, construction, policy, what| {
        let server = Server::start(module, construction, policy, folder.path(), 12);
        std::thread::scope(|scope| {
            for (path, expected) in expected.iter().chain(&expected) {
                let server = &server;
                scope.spawn(move || {
                    assert!(server.get(path) == *expected, "{path} from {what}");
                });
            }
        });
        server.end(what);
    });
}

#[test]
fn a_client_that_says_nothing_keeps_nobody_from_being_served_but_by_the_single_thread() {
    let folder = folder(&[("file", "text")]);
    everywhere(|module, construction, policy, what| {
        if construction == "single" {
            return;
        }
        let server = Server::start(module, construction, policy, folder.path(), 3);
        let silent = server.connect();
        assert_eq!(server.get("file"), reply("200 OK", "text"), "{what}");
        assert_eq!(server.get("file"), reply("200 OK", "text"), "{what}");
        drop(silent);
        server.end(what);
    });
}

#[test]
fn nonsense_and_endless_requests_end_their_connection_alone() {
    let folder = folder(&[("file", "text")]);
    everywhere(|module, construction, policy, what| {
        let server = Server::start(module, construction, policy, folder.path(), 3);
        let mut nonsense = server.connect();
        nonsense.write_all(b"PUT x\r\n\r\n").expect("it is sent");
        let mut got = String::new();
        nonsense.read_to_string(&mut got).expect("a reply");
        assert_eq!(got, reply("400 Bad Request", ""), "{what}");
        // The server closes without having read all: the rest may be refused.
        let mut endless = server.connect();
        let _ = endless.write_all(&[b'x'; 1 << 16]);
        let _ = endless.read_to_string(&mut got);
        assert_eq!(server.get("file"), reply("200 OK", "text"), "{what}");
        server.end(what);
    });
}

/// Runs a client to its end: its exit code, and what it printed.
fn client(module: &Module, policy: ThreadPolicy, args: &[&str]) -> (i32, String) {
    let output = Captured::new();
    let mut process = Process::builder(module)
        .args(args.iter().copied())
        .stdout(Output::Capture(output.clone()))
        .net("connect:127.0.0.1".parse().expect("a rule"))
        .threads(policy)
        .build()
        .expect("a client");
    let status = process.run().expect("a status");
    assert!(matches!(status, ExitStatus::Exited(_)), "{status:?}");
    (status.code(), output.text())
}

#[test]
fn a_page_comes_from_whichever_replica_has_its_parts() {
    let (one, two) = (folder(&[("a", "a1\na2\n"), ("b", "b1")]), folder(&[("a", "a1\na2\n")]));
    for tier in [Tier::Interp, Tier::Jit, Tier::Auto] {
        let (server, fetch) = (module(tier, "fileserver"), module(tier, "fetch"));
        for policy in POLICIES {
            for how in ["sequential", "parallel"] {
                let what = format!("{how} in {tier:?} under {policy:?}");
                // Three parts, of which the second begins at the second server, which lacks it, and
                // the third at one that is not there.
                let first = Server::start(&server, "workers", policy, one.path(), 3);
                let second = Server::start(&server, "machine", policy, two.path(), 2);
                let (a, b) = (first.port, second.port);
                let servers = format!("127.0.0.1:{a},127.0.0.1:{b},127.0.0.1:1");
                let (code, text) = client(&fetch, policy, &["fetch", how, &servers, "a", "b", "c"]);
                let mut lines: Vec<&str> = text.lines().collect();
                if how == "parallel" {
                    lines.sort_unstable();
                }
                assert_eq!(lines, ["a: a1", "a: a2", "b: b1", "c: (no server has it)"], "{what}");
                assert_eq!(code, 1, "{what}");
                first.end(&what);
                second.end(&what);
            }
        }
    }
}

#[test]
fn the_load_generator_counts_what_failed() {
    let folder = folder(&[("file", "text")]);
    let (server, load) = (module(Tier::Interp, "fileserver"), module(Tier::Interp, "load"));
    for policy in POLICIES {
        let running = Server::start(&server, "machine", policy, folder.path(), 80);
        let address = format!("127.0.0.1:{}", running.port);
        let (code, text) = client(&load, policy, &["load", &address, "file", "8", "40"]);
        assert!(code == 0 && text.ends_with(", 0 failed\n"), "{policy:?}: {text}");
        let (code, text) = client(&load, policy, &["load", &address, "none", "8", "40"]);
        assert!(code == 1 && text.ends_with(", 40 failed\n"), "{policy:?}: {text}");
        running.end("the server");
    }
}
