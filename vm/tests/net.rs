//! Sockets that a program makes itself: what the rules let through, that nobody waits for them, and
//! what becomes of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use brant::{
    Captured, Engine, ExitStatus, Limits, Module, Output, Process, ProcessBuilder, ThreadPolicy,
};

fn module(name: &str) -> Module {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    Module::from_file(&Engine::default(), path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A program, with what it is allowed, and what it will print.
fn program(name: &str, args: &[&str], rules: &[&str]) -> (ProcessBuilder, Captured) {
    let output = Captured::new();
    let mut builder = Process::builder(&module(name))
        .args(["program"])
        .args(args.iter().copied())
        .stdout(Output::Capture(output.clone()))
        .stderr(Output::Capture(output.clone()));
    for rule in rules {
        builder = builder.net(rule.parse().expect("a rule"));
    }
    (builder, output)
}

fn run(name: &str, args: &[&str], rules: &[&str]) -> (i32, String) {
    let (builder, output) = program(name, args, rules);
    match builder.build().expect("it links").run() {
        Ok(ExitStatus::Exited(code)) => (code, output.text()),
        other => panic!("{other:?}\n{}", output.text()),
    }
}

/// The echo server on the command line, and its port.
fn echo(options: &[&str], count: &str) -> (Child, u16) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin/echo.wasm");
    let mut server = Command::new(env!("CARGO_BIN_EXE_brant"))
        .arg("run")
        .args(options)
        .arg(path)
        .args(["127.0.0.1:0", count])
        .stdout(Stdio::piped())
        .spawn()
        .expect("brant starts");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("it is piped"))
        .read_line(&mut line)
        .expect("a line");
    let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
    (server, port.unwrap_or_else(|| panic!("{line}")))
}

#[test]
fn each_call_answers_as_written_down() {
    let (mut builder, output) = program(
        "vm/tests/net/calls.wasm",
        &[],
        &["connect:127.0.0.1", "deny:connect:127.0.0.1:9", "listen:127.0.0.1:0"],
    );
    builder = builder.limits(Limits { sockets_count: 10, ..Limits::default() });
    let status = builder.build().expect("it links").run();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/net/calls.out");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, output.text()).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(file).expect("BLESS=1 writes it");
    assert_eq!(output.text(), expected);
    assert!(matches!(status, Ok(ExitStatus::Exited(0))), "{status:?}");
}

#[test]
fn a_server_serves_many_behind_its_walls() {
    for policy in ["user", "kernel", "hybrid"] {
        let options = ["--net", "listen:127.0.0.1:0", "--threads", policy];
        let (mut server, port) = echo(&options, "50");
        let clients: Vec<TcpStream> =
            (0..50).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("it listens")).collect();
        for (index, mut client) in clients.iter().enumerate() {
            client.write_all(format!("client {index}").as_bytes()).expect("it is sent");
        }
        for (index, mut client) in clients.iter().enumerate() {
            let mut answer = vec![0; format!("client {index}").len()];
            client.read_exact(&mut answer).expect("it comes back");
            assert_eq!(answer, format!("client {index}").as_bytes());
        }
        drop(clients);
        assert!(server.wait().expect("it ends").success());
    }
}

#[test]
fn a_client_finds_its_server_by_name() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("it is bound");
    let serve = std::thread::spawn(move || {
        let (mut caller, _) = server.accept().expect("somebody calls");
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = caller.read(&mut buffer) {
            caller.write_all(&buffer[..count].to_ascii_uppercase()).expect("it is sent");
        }
    });
    let to = format!("localhost:{}", address.port());
    let (code, text) =
        run("programs/bin/ask.wasm", &[&to, "one", "two"], &[&format!("connect:{to}")]);
    assert_eq!((code, text.as_str()), (0, "ONE\nTWO\n"));
    serve.join().expect("it serves");
}

#[test]
fn nothing_is_allowed_by_default() {
    let (code, text) = run("programs/bin/ask.wasm", &["127.0.0.1:1", "x"], &[]);
    assert_eq!((code, text.as_str()), (1, "sock_open: error 2\n"));
    let (code, text) = run("programs/bin/ask.wasm", &["localhost:1", "x"], &["connect:127.0.0.1"]);
    assert_eq!((code, text.as_str()), (1, "resolve: error 2\n"));
    let (code, text) = run("programs/bin/echo.wasm", &["127.0.0.1:0"], &["connect", "deny:listen"]);
    assert_eq!((code, text.as_str()), (1, "sock_bind: error 2\n"));
}

#[test]
fn a_process_that_waits_for_a_call_can_be_stopped() {
    for policy in [ThreadPolicy::User, ThreadPolicy::Hybrid] {
        let rules = ["listen:127.0.0.1:0"];
        let (builder, output) = program("programs/bin/echo.wasm", &["127.0.0.1:0"], &rules);
        let mut process = builder.threads(policy).build().expect("it links");
        let interrupt = process.interrupt_handle();
        let (told, tell) = mpsc::channel();
        let stopper = std::thread::spawn(move || {
            while output.text().is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
            interrupt.interrupt();
            tell_end(&told);
        });
        let stopped = process.run();
        assert!(matches!(stopped, Ok(ExitStatus::Stopped(_))), "{stopped:?}");
        tell.recv().expect("it was stopped from there");
        stopper.join().expect("it stops");
    }
}

fn tell_end(told: &mpsc::Sender<()>) {
    told.send(()).expect("somebody waits");
}

#[test]
fn a_process_with_a_connection_is_not_moved() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = server.local_addr().expect("it is bound").to_string();
    let (builder, _) = program("programs/bin/ask.wasm", &[&to, "x"], &["connect:127.0.0.1"]);
    let mut process = builder.build().expect("it links");
    let interrupt = process.interrupt_handle();
    let serve = std::thread::spawn(move || {
        let (mut caller, _) = server.accept().expect("it calls");
        caller.read_exact(&mut [0]).expect("it sends");
        interrupt.interrupt();
        caller
    });
    let stopped = process.run();
    assert!(matches!(stopped, Ok(ExitStatus::Stopped(_))), "{stopped:?}");
    let caller = serve.join().expect("it serves");
    let error = process.checkpoint().map(drop).expect_err("no other host has the connection");
    let text = error.to_string();
    assert!(text.contains("descriptor 3 (connection)") && text.contains("close"), "{text}");
    drop(caller);
}
