//! The shell runs pipelines of guest programs, in each tier; and at a terminal, with jobs.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use brant::{
    Captured, Config, Engine, ExitStatus, Input, Module, MountAccess, Output, Process, Tier,
};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/bin")
}

fn shell(engine: &Engine) -> Module {
    let bytes = brant_programs::find("sh").expect("the shell").module().expect("its module");
    Module::new(engine, bytes).expect("a valid module")
}

/// What the shell writes in each tier: the same, and with the same exit code.
fn everywhere(options: &[&str], script: &str, input: &str, output: &str, code: i32) {
    for tier in [Tier::Interp, Tier::Jit, Tier::Auto] {
        let config = Config { tier, ..Config::default() };
        let engine = Engine::new(&brant::with_compiler(config)).expect("an engine");
        let module = shell(&engine);
        let folder = tempfile::tempdir().expect("a folder");
        let written = Captured::new();
        let mut process = Process::builder(&module)
            .args(["sh"])
            .args(options.iter().copied())
            .args(["-c", script])
            .stdin(Input::Bytes(input.as_bytes().to_vec()))
            .stdout(Output::Capture(written.clone()))
            .stderr(Output::Capture(written.clone()))
            .mount(programs(), "/bin", MountAccess::ReadOnly)
            .mount(folder.path(), ".", MountAccess::ReadWrite)
            .build()
            .expect("a process");
        let status = process.run().expect("it runs");
        assert_eq!(written.text(), output, "{script} in {tier:?}");
        assert!(matches!(status, ExitStatus::Exited(_)), "{script} in {tier:?}: {status}");
        assert_eq!(status.code(), code, "{script} in {tier:?}");
    }
}

#[test]
fn a_pipeline_carries_what_its_programs_write() {
    everywhere(&[], "seq 20 | grep -v 1 | sort -rn | head -3", "", "20\n9\n8\n", 0);
    everywhere(&[], "cat | tr a-z A-Z | lines number", "a\nb\n", "     1  A\n     2  B\n", 0);
    // More than a pipe holds, and a writer that nobody reads any more.
    everywhere(&[], "seq 30000 | cat | wc; yes | head -2", "", "30000 30000 168894\ny\ny\n", 0);
}

#[test]
fn redirections_lead_to_files_and_to_each_other() {
    everywhere(
        &[],
        "seq 3 > f; echo 4 >> f; wc -l < f; cat nothing 2> e || cat e; (echo x; cat gone) > g 2>&1; cat g",
        "",
        "4\ncat: nothing: No such file or directory\nx\ncat: gone: No such file or directory\n",
        0,
    );
}

#[test]
fn words_are_quoted_expanded_and_matched() {
    everywhere(
        &[],
        r#"A='x  y'; echo $A "$A" '$A' \$A; export A; env | grep A; echo > b.c; echo > a.c; echo *.c "*.c"; echo $(seq 3) a$(echo b)c"#,
        "",
        "x y x  y $A $A\nA=x  y\na.c b.c *.c\n1 2 3 abc\n",
        0,
    );
}

#[test]
fn exit_codes_decide_what_comes_next() {
    everywhere(&[], "true && echo a || echo b; false && echo c; echo $?", "", "a\n1\n", 0);
    everywhere(
        &[],
        "grep x; echo $?; nobody; echo $?; exit 9",
        "y\n",
        "1\nnobody: not found\n127\n",
        9,
    );
    everywhere(&[], "echo 'never ends", "", "sh: the end comes too early\n", 2);
    everywhere(&[], "echo a | | b", "", "sh: `| b` is not understood here\n", 2);
}

#[test]
fn jobs_run_beside_the_shell_and_are_stopped_continued_and_killed() {
    everywhere(&[], "sleep 0.1 & sleep 0.05 & wait; echo done", "", "done\n", 0);
    everywhere(&[], "yes > f & kill $!; wait; echo ended", "", "ended\n", 0);
    everywhere(
        &["-m"],
        "sleep 60 &\nkill -STOP %1\nsleep 0.01\njobs\nbg %1\n(sleep 0.1; kill 2) & fg %1\necho $?\n",
        "",
        "[1] 2\n[1] stopped\tsleep 60 \n[1] stopped\tsleep 60 \n[1] runs\tsleep 60 \n[2] 4\n\
         sleep 60 \n[2] done\t(sleep 0.1; kill 2) \n143\n",
        0,
    );
}

/// A shell at a terminal.
struct Session {
    terminal: File,
    shown: Receiver<Vec<u8>>,
    child: Child,
}

impl Session {
    fn new() -> Session {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&terminal).expect("ours");
        unlockpt(&terminal).expect("ours");
        let name = ptsname(&terminal, Vec::new()).expect("a name");
        let side = || {
            let mut open = File::options();
            open.read(true).write(true).open(name.to_str().expect("UTF-8")).expect("its other side")
        };
        let folder = programs();
        // The terminal has to be the controlling one: that is where its signals come from.
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_brant"), "run", "--dir"])
            .arg(format!("{}::/bin", folder.display()))
            .arg(folder.join("sh.wasm"))
            .stdin(Stdio::from(side()))
            .stdout(Stdio::from(side()))
            .stderr(Stdio::from(side()))
            .spawn()
            .expect("setsid of util-linux");
        let terminal = File::from(terminal);
        let mut reader = terminal.try_clone().expect("a copy");
        let (tell, shown) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let _ = tell.send(buffer[..count].to_vec());
            }
        });
        let mut session = Session { terminal, shown, child };
        session.resize(80, 24);
        session.until("$ ");
        session
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.terminal, size).expect("a terminal");
    }

    fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).expect("a terminal");
    }

    /// Waits until this was shown, and gives what was shown before it.
    fn until(&mut self, text: &str) -> String {
        let (mut seen, until) = (String::new(), Instant::now() + Duration::from_secs(60));
        loop {
            if let Some(at) = seen.find(text) {
                seen.truncate(at);
                return seen;
            }
            match self.shown.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => panic!("`{text}` does not come, but {seen:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it has ended: {seen:?}"),
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_terminal_stops_ends_and_resizes_the_job_in_front() {
    let mut session = Session::new();
    session.types("size -f\n");
    session.until("80 columns, 24 rows");
    session.resize(99, 33);
    session.until("99 columns, 33 rows");
    session.types("\x03");
    session.until("$ ");
    session.types("echo code $?\n");
    session.until("code 130");
    // A program that computes, stopped, and continued in front.
    session.types("(echo be'gun'; yes | wc)\n");
    session.until("begun");
    session.types("\x1a");
    session.until("[1] stopped\t(echo be'gun'; yes | wc)");
    session.types("fg\n");
    session.until("yes | wc");
    session.types("\x03");
    session.until("$ ");
    // What was half typed goes away, and the shell stays.
    session.types("nonsense\x03");
    session.until("$ ");
    session.types("exit 5\n");
    assert_eq!(session.child.wait().expect("a child").code(), Some(5));
}
