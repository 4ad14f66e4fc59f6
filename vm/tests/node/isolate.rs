//! `brant node --isolate`: each program in a host process of its own, behind walls.
//!
//! The variable `BRANT_ISOLATE_SELF_TEST` makes a host process do what no guest could, on a word that
//! is written into its folder: as if the guest had broken all walls before.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::bed::{Bed, Running, counted, program};

/// A node with host processes.
fn isolated(bed: &Bed, name: &str, options: &[&str]) -> Running {
    bed.node(name, &[&["--isolate"], options].concat())
}

/// The numbers of the host processes that this process has started and not yet lost.
fn host_processes(node: &Running) -> Vec<u32> {
    let path = format!("/proc/{0}/task", node.id());
    let mut all = Vec::new();
    for task in fs::read_dir(path).expect("a process").flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
    }
    all
}

/// A node whose host processes listen to words of a test.
fn tested(bed: &Bed, name: &str) -> Running {
    let (address, state) = (bed.address(name), bed.path(&format!("{name}.state")));
    let args =
        ["node", "--isolate", "--listen", &address, "--state", state.to_str().expect("UTF-8")];
    let mut command = bed.brant(&args);
    command.env("BRANT_ISOLATE_SELF_TEST", "1").stdout(Stdio::null());
    command.stderr(fs::File::create(bed.path(&format!("{name}.err"))).expect("room"));
    let node = Running(command.spawn().expect("brant starts"));
    bed.until("it listens", |bed| bed.ask(&["ps", &address]).status.success());
    node
}

fn push(bed: &Bed, name: &str, args: &[&str]) -> String {
    let (text, address) = (program("counter.wat"), bed.address(name));
    let out = bed.does(&[&["push", "--format", "json", &text, &address], args].concat());
    let value: serde_json::Value = serde_json::from_str(out.trim()).expect("JSON");
    value["id"].as_str().expect("an id").to_owned()
}

fn state_of(bed: &Bed, name: &str, id: &str) -> String {
    let all = bed.list(&bed.address(name));
    let found = all.iter().find(|program| program["id"] == id);
    found.and_then(|program| program["state"].as_str()).unwrap_or("gone").to_owned()
}

fn folder(bed: &Bed, name: &str, id: &str) -> PathBuf {
    bed.path(&format!("{name}.state/tenants/{id}/state"))
}

#[test]
fn a_program_moves_through_two_isolated_nodes_and_each_has_a_host_process_for_it() {
    let bed = Bed::new();
    let one = isolated(&bed, "one", &[]);
    let two = isolated(&bed, "two", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "80"]);
    bed.until_line("run", "3");
    bed.migrate(&run, "one", &[]);
    let id = bed.only_id("one");
    assert_eq!(host_processes(&one).len(), 1);
    bed.until_line("run", "10");
    for (from, to) in [("one", "two"), ("two", "one"), ("one", "two")] {
        let (from, to) = (bed.address(from), bed.address(to));
        bed.does(&["migrate", &id, &to, "--from", &from]);
    }
    assert_eq!(host_processes(&two).len(), 1);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(80));
    // A host process that has nothing left to do ends.
    bed.until("it is not needed", |_| host_processes(&one).len() + host_processes(&two).len() == 0);
}

#[test]
fn a_program_whose_pages_follow_and_one_that_comes_from_a_shared_node_arrive() {
    let bed = Bed::new();
    let _shared = bed.node("shared", &[]);
    let _isolated = isolated(&bed, "isolated", &[]);
    for (name, how) in [("post", "--postcopy"), ("cold", "--cold")] {
        let mut run = bed.run(name, &[&program("counter.wat"), "20"]);
        bed.until_line(name, "2");
        bed.migrate(&run, "shared", &[]);
        let id = bed.only_id("shared");
        let (from, to) = (bed.address("shared"), bed.address("isolated"));
        bed.does(&["migrate", &id, &to, how, "--from", &from]);
        bed.until_line(name, "8");
        bed.does(&["migrate", &id, &from, how, "--from", &to]);
        assert_eq!(run.code(), 0, "{}", bed.errors(name));
        assert_eq!(bed.output(name), counted(20));
    }
}

#[test]
fn ps_pause_kill_attach_and_checkpoints_work_through_the_walls() {
    let bed = Bed::new();
    let node = isolated(&bed, "node", &["--checkpoint-every", "100ms"]);
    let address = bed.address("node");
    let counter = push(&bed, "node", &["80"]);
    let other = push(&bed, "node", &["1000000"]);
    assert_eq!(bed.list(&address).len(), 2);
    assert_eq!(host_processes(&node).len(), 2);
    bed.does(&["pause", "--node", &address, &other]);
    bed.until("it stands", |bed| state_of(bed, "node", &other) == "paused");
    bed.does(&["resume", "--node", &address, &other]);
    bed.until("it runs", |bed| state_of(bed, "node", &other) == "running");
    bed.does(&["kill", "--node", &address, &other]);
    bed.until("it has ended", |bed| state_of(bed, "node", &other) == "gone");
    // Killed without a warning: it goes on from its checkpoint, in a new host process.
    let processes = folder(&bed, "node", &counter).join("processes").join(&counter);
    bed.until("a checkpoint", |_| {
        let names = fs::read_dir(&processes).into_iter().flatten().flatten();
        names.into_iter().any(|name| name.file_name().to_string_lossy().starts_with("check-"))
    });
    drop(node);
    let _node = isolated(&bed, "node", &[]);
    let output = bed.ask(&["attach", &address, &counter]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), counted(80));
}

#[test]
fn a_node_that_is_ended_lets_its_host_processes_bring_programs_to_the_disk() {
    let bed = Bed::new();
    let mut node = isolated(&bed, "node", &["--checkpoint-every", "1h"]);
    let mut run = bed.run("run", &[&program("counter.wat"), "20"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "node", &[]);
    let id = bed.only_id("node");
    bed.until_line("run", "8");
    node.signal("TERM");
    assert_eq!(node.code(), 143);
    let names = fs::read_dir(folder(&bed, "node", &id).join("processes").join(&id));
    let mut names = names.expect("a folder").flatten();
    assert!(names.any(|name| name.file_name().to_string_lossy().starts_with("check-")));
    let _node = isolated(&bed, "node", &[]);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(20));
}

#[test]
fn a_forbidden_call_ends_one_host_process_and_the_neighbour_counts_on() {
    let bed = Bed::new();
    let node = tested(&bed, "node");
    let address = bed.address("node");
    let mut neighbour = bed.run("neighbour", &[&program("counter.wat"), "30"]);
    bed.until_line("neighbour", "2");
    bed.migrate(&neighbour, "node", &[]);
    let hostile = push(&bed, "node", &["1000000"]);
    assert_eq!(host_processes(&node).len(), 2);
    fs::write(folder(&bed, "node", &hostile).join("self-test"), "socket").expect("room");
    bed.until("the node says so", |bed| state_of(bed, "node", &hostile) == "crashed");
    assert_eq!(host_processes(&node).len(), 1);
    let errors = bed.errors("node");
    assert!(errors.contains("SIGSYS") && errors.contains(&hostile), "{errors}");
    let attached = bed.ask(&["attach", &address, &hostile]);
    assert_eq!(attached.status.code(), Some(70));
    let text = String::from_utf8_lossy(&attached.stderr);
    assert!(text.contains("a system call that it may not make"), "{text}");
    // It does not start again by itself, and is let go of when somebody says so.
    bed.does(&["kill", "--node", &address, &hostile]);
    assert_eq!(state_of(&bed, "node", &hostile), "gone");
    assert_eq!(neighbour.code(), 0, "{}", bed.errors("neighbour"));
    assert_eq!(bed.output("neighbour"), counted(30));
}

#[test]
fn a_host_process_that_is_killed_takes_its_program_alone() {
    let bed = Bed::new();
    let node = isolated(&bed, "node", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "1000000"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "node", &[]);
    let victim = host_processes(&node)[0];
    let neighbour = push(&bed, "node", &["1000000"]);
    let killed = std::process::Command::new("kill").args(["-ABRT", &victim.to_string()]).status();
    assert!(killed.expect("kill starts").success());
    assert_eq!(run.code(), 70, "{}", bed.errors("run"));
    assert!(bed.errors("run").contains("ended by signal 6"), "{}", bed.errors("run"));
    assert_eq!(state_of(&bed, "node", &neighbour), "running");
    // A node that is started again remembers.
    drop(node);
    let _node = isolated(&bed, "node", &[]);
    bed.until("it goes on", |bed| state_of(bed, "node", &neighbour) == "running");
}

#[test]
fn row_35_behind_the_walls_of_a_host_process_nothing_else_can_be_opened() {
    let bed = Bed::new();
    let _node = tested(&bed, "node");
    let secret = bed.write("secret", "secret");
    let id = push(&bed, "node", &["1000000"]);
    let folder = folder(&bed, "node", &id);
    fs::write(folder.join("self-test.new"), format!("open {secret}")).expect("room");
    fs::rename(folder.join("self-test.new"), folder.join("self-test")).expect("room");
    let answer = folder.join("self-test.answer");
    bed.until("an answer", |_| fs::read_to_string(&answer).is_ok_and(|text| !text.is_empty()));
    let opened = fs::read_to_string(answer).expect("an answer");
    match brant_has_landlock(&bed) {
        true => assert_eq!(opened, "PermissionDenied"),
        false => {
            eprintln!("this system has no Landlock: files are not walled off here");
            assert!(bed.errors("node").contains("has no Landlock"), "{}", bed.errors("node"));
        }
    }
}

fn brant_has_landlock(bed: &Bed) -> bool {
    let found = bed.ask(&["doctor", "--format", "json"]);
    let text = String::from_utf8_lossy(&found.stdout);
    let all: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
    let landlock = all.iter().find(|finding| finding["name"] == "landlock").expect("a finding");
    landlock["standing"] == "good"
}

#[test]
fn programs_are_compiled_behind_the_walls_as_without() {
    let bed = Bed::new();
    let _node = isolated(&bed, "node", &[]);
    let (address, nbody) = (bed.address("node"), program("bin/nbody.wasm"));
    let out = bed.does(&["push", "--format", "json", &nbody, &address, "100000"]);
    let value: serde_json::Value = serde_json::from_str(out.trim()).expect("JSON");
    let attached = bed.does(&["attach", &address, value["id"].as_str().expect("an id")]);
    assert_eq!(attached, bed.does(&["run", "--tier", "interp", &nbody, "100000"]));
}

#[test]
fn a_folder_of_one_kind_of_node_is_not_taken_by_the_other() {
    let bed = Bed::new();
    let node = isolated(&bed, "node", &[]);
    push(&bed, "node", &["1000000"]);
    drop(node);
    let (address, state) = (bed.address("node"), bed.path("node.state"));
    let refused =
        bed.ask(&["node", "--listen", &address, "--state", state.to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("was started with `--isolate`"), "{text}");
}
