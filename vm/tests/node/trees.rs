//! A shell leaves with all the processes that it has made.

use crate::bed::{Bed, program};

/// What brings the programs that a shell runs.
fn folder() -> String {
    program("bin") + "::/bin"
}

#[test]
fn a_pipeline_moves_while_it_works_and_goes_on_as_if_nothing_had_happened() {
    for mode in ["--live", "--cold", "--postcopy"] {
        let bed = Bed::new();
        let grant = format!("sh.wasm=dir={}", folder());
        let nodes = ["one", "two"].map(|name| bed.node(name, &["--allow", &grant]));
        // The middle of the pipeline sorts, writes and waits; it has bytes on both of its sides.
        let script = "echo begun >&2; seq 60000 | (sort -rn; sleep 2) | (head -1; sleep 1; tail -1; wc); \
                      echo code $?";
        let mut run = bed.run("run", &["--dir", &folder(), &program("bin/sh.wasm"), "-c", script]);
        bed.until("it has begun", |bed| bed.errors("run").contains("begun"));
        bed.migrate(&run, "one", &[mode]);
        let id = bed.only_id("one");
        let (one, two) = (bed.address("one"), bed.address("two"));
        bed.does(&["migrate", &id, &two, "--from", &one]);
        assert_eq!(bed.only_id("two"), id);
        assert_eq!(run.code(), 0, "{mode}: {}", bed.errors("run"));
        assert_eq!(bed.output("run"), "60000\n1\n0 0 0\ncode 0\n", "{mode}");
        assert_eq!(bed.errors("run"), "begun\n", "{mode}");
        drop(nodes);
    }
}

#[test]
fn a_node_that_is_killed_starts_again_with_all_processes_of_its_programs() {
    let bed = Bed::new();
    let grant = format!("sh.wasm=dir={}", folder());
    let options = ["--allow", &grant, "--checkpoint-every", "100ms"];
    let mut node = bed.node("one", &options);
    let script = "echo begun >&2; (sleep 1; seq 5) | sort -rn | (cat; sleep 0.5) | lines number";
    let mut run = bed.run("run", &["--dir", &folder(), &program("bin/sh.wasm"), "-c", script]);
    bed.until("it has begun", |bed| bed.errors("run").contains("begun"));
    bed.migrate(&run, "one", &[]);
    node.signal("KILL");
    node.code();
    let _node = bed.node("one", &options);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), "     1  5\n     2  4\n     3  3\n     4  2\n     5  1\n");
}

#[test]
fn a_process_that_cannot_move_is_named_before_the_pause() {
    let bed = Bed::new();
    let _node = bed.node("one", &[]);
    let script = "echo begun >&2; sleep 3 | cat";
    let mut run = bed.run("run", &["--dir", &folder(), &program("bin/sh.wasm"), "-c", script]);
    bed.until("it has begun", |bed| bed.errors("run").contains("begun"));
    let refused = bed.ask(&["migrate", &run.id().to_string(), &bed.address("one")]);
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("mount `/bin`") && text.contains("grant it with"), "{text}");
    assert_eq!(run.code(), 0);
}

#[test]
fn ctrl_c_reaches_the_job_in_front_where_the_shell_is_elsewhere() {
    let bed = Bed::new();
    let grant = format!("sh.wasm=dir={}", folder());
    let _node = bed.node("one", &["--allow", &grant]);
    // The shell gives its jobs groups, and the terminal to the one in front.
    let script = "echo begun >&2; sleep 60; echo code $?; exit 9";
    let args = ["--dir", &folder(), &program("bin/sh.wasm"), "-m", "-c", script];
    let mut run = bed.run("run", &args);
    bed.until("it has begun", |bed| bed.errors("run").contains("begun"));
    bed.migrate(&run, "one", &[]);
    run.signal("INT");
    assert_eq!(run.code(), 9, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), "code 130\n");
}
