//! A folder with nodes and runs in it; nothing of them is left when it is dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Far more than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with nodes and runs in it.
pub struct Bed {
    folder: tempfile::TempDir,
}

/// A child that is killed when it is dropped.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for its end and gives its exit code.
    pub fn code(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().expect("a child") {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(sent.expect("kill starts").success());
    }
}

/// Shut until somebody opens it.
#[derive(Default)]
pub struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub fn open(&self) {
        *self.is_open.lock().expect("nobody panics with it") = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let is_open = self.is_open.lock().expect("nobody panics with it");
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }
}

impl Bed {
    pub fn new() -> Bed {
        let bed = Bed { folder: tempfile::tempdir().expect("a temporary folder") };
        let run = bed.path("run");
        fs::create_dir(&run).expect("a folder");
        // Control sockets want a folder that nobody else can look into.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(run, private).expect("our folder");
        bed
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The address of the node `name`.
    pub fn address(&self, name: &str) -> String {
        format!("unix:{}", self.path(name).display())
    }

    /// A command of the binary under test.
    pub fn brant(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brant"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("BRANT_TLS", self.path("tls"))
            .stdin(Stdio::null());
        command
    }

    /// Starts the node `name` with more options.
    pub fn node(&self, name: &str, options: &[&str]) -> Running {
        let (address, state) = (self.address(name), self.path(&format!("{name}.state")));
        self.node_at(&address, &state, options)
    }

    /// Starts a node, and waits until it listens.
    pub fn node_at(&self, address: &str, state: &Path, options: &[&str]) -> Running {
        let mut args = vec!["node", "--listen", address, "--state"];
        args.push(state.to_str().expect("UTF-8"));
        args.extend(options);
        let mut command = self.brant(&args);
        let mut node = Running(command.stdout(Stdio::piped()).spawn().expect("brant starts"));
        let mut line = Vec::new();
        let out = node.0.stdout.as_mut().expect("a pipe");
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            match out.read(&mut byte).expect("a pipe") {
                0 => panic!("the node does not start"),
                _ => line.push(byte[0]),
            }
        }
        node
    }

    /// Starts `brant run` with its output in files.
    pub fn run(&self, name: &str, args: &[&str]) -> Running {
        self.run_tracked(name, args, None)
    }

    /// The same; how its writes are noticed while it moves is chosen.
    pub fn run_tracked(&self, name: &str, args: &[&str], tracking: Option<&str>) -> Running {
        let file = |ending: &str| fs::File::create(self.path(&format!("{name}.{ending}")));
        let mut command = self.brant(&[&["run"], args].concat());
        command.stdin(Stdio::piped()).stdout(file("out").expect("room"));
        command.envs(tracking.map(|way| ("BRANT_WRITE_TRACKING", way)));
        Running(command.stderr(file("err").expect("room")).spawn().expect("brant starts"))
    }

    /// What a run has written to standard output so far.
    pub fn output(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.out"))).expect("its output")
    }

    /// What a run has written to standard error so far.
    pub fn errors(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.err"))).expect("its output")
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut(&Bed) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < until, "in vain: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a run has written a line.
    pub fn until_line(&self, name: &str, line: &str) {
        self.until(line, |bed| bed.output(name).lines().any(|found| found == line));
    }

    /// Runs a command to its end.
    pub fn ask(&self, args: &[&str]) -> Output {
        self.brant(args).output().expect("brant starts")
    }

    /// Runs a command that must succeed, and gives its output.
    pub fn does(&self, args: &[&str]) -> String {
        let output = self.ask(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Moves a run to a node.
    pub fn migrate(&self, run: &Running, node: &str, options: &[&str]) -> String {
        let (id, address) = (run.id().to_string(), self.address(node));
        self.does(&[&["migrate", &id, &address], options].concat())
    }

    /// Stands between whoever calls `name` and the node: so many bytes get through to the node, then
    /// all connections break, and none is made until there is a new budget.
    pub fn budgeted(&self, name: &str, node: &str, budget: u64) -> Arc<AtomicU64> {
        let listener = UnixListener::bind(self.path(name)).expect("a socket");
        let (to, left) = (self.path(node), Arc::new(AtomicU64::new(budget)));
        let ours = left.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let Ok(node) = UnixStream::connect(&to) else { continue };
                if ours.load(Ordering::SeqCst) > 0 {
                    let left = ours.clone();
                    std::thread::spawn(move || pass_on(caller, node, &left));
                }
            }
        });
        left
    }

    /// Stands between whoever calls `name` and the node, and passes nothing on until it is let go.
    pub fn held(&self, name: &str, node: &str) -> Arc<Gate> {
        let listener = UnixListener::bind(self.path(name)).expect("a socket");
        let (to, gate) = (self.path(node), Arc::new(Gate::default()));
        let ours = gate.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let Ok(node) = UnixStream::connect(&to) else { continue };
                let gate = ours.clone();
                std::thread::spawn(move || {
                    gate.wait();
                    pass_on(caller, node, &AtomicU64::new(u64::MAX));
                });
            }
        });
        gate
    }

    /// The programs of a node, a JSON value each.
    pub fn list(&self, address: &str) -> Vec<serde_json::Value> {
        let output = self.ask(&["ps", address, "--format", "json"]);
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The one program of a node.
    pub fn only_id(&self, name: &str) -> String {
        let address = self.address(name);
        let mut id = None;
        self.until("one program", |bed| {
            let all = bed.list(&address);
            id = all.first().and_then(|program| program["id"].as_str()).map(str::to_owned);
            all.len() == 1
        });
        id.expect("it was found")
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        let mut file = fs::File::create(&path).expect("room");
        file.write_all(text.as_bytes()).expect("room");
        path.to_str().expect("UTF-8").to_owned()
    }
}

/// Passes bytes on in both directions, as many to the node as are left.
fn pass_on(caller: UnixStream, node: UnixStream, left: &AtomicU64) {
    let (mut back_from, mut back_to) =
        (node.try_clone().expect("a socket"), caller.try_clone().expect("a socket"));
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut back_from, &mut back_to);
        let _ = back_to.shutdown(Shutdown::Both);
    });
    let (mut from, mut to) = (caller, node);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut allowed = 0;
        let _ = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            allowed = left.min(count as u64);
            Some(left - allowed)
        });
        if to.write_all(&buffer[..allowed as usize]).is_err() || allowed < count as u64 {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    back.join().expect("it only copies");
}

/// A program of the tree.
pub fn program(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    root.join("programs").join(name).to_str().expect("UTF-8").to_owned()
}

/// The lines that the counter writes.
pub fn counted(to: u32) -> String {
    (1..=to).map(|n| format!("{n}\n")).collect()
}
