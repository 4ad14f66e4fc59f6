//! Nodes that are killed: their programs go on when they are up again, and their terminals too.

use std::time::Duration;

use crate::bed::{Bed, counted, program};

#[test]
fn a_node_that_was_killed_goes_on_with_its_programs() {
    let bed = Bed::new();
    let node = bed.node("node", &[]);
    let mut run = bed.run("run", &[&program("counter.wat"), "25"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "node", &[]);
    bed.until_line("run", "5");
    drop(node);
    let node = bed.node("node", &[]);
    bed.until_line("run", "8");
    drop(node);
    std::thread::sleep(Duration::from_millis(300));
    let _node = bed.node("node", &[]);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(25));
}

#[test]
fn a_later_checkpoint_takes_the_place_of_the_first() {
    let bed = Bed::new();
    let node = bed.node("node", &["--checkpoint-every", "200ms"]);
    let mut run = bed.run("run", &[&program("counter.wat"), "25"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "node", &[]);
    let id = bed.only_id("node");
    let folder = bed.path("node.state/processes").join(&id);
    let has_later = |_: &Bed| {
        let names = std::fs::read_dir(&folder).expect("a folder");
        names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("check-"))
    };
    bed.until("a later checkpoint", has_later);
    bed.until("the first one is gone", |_| {
        let names = std::fs::read_dir(&folder).expect("a folder");
        !names.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("came-"))
    });
    drop(node);
    let _node = bed.node("node", &["--checkpoint-every", "200ms"]);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(25));
}

#[test]
fn a_pushed_program_starts_again_where_its_checkpoint_was() {
    let bed = Bed::new();
    let node = bed.node("node", &["--checkpoint-every", "100ms"]);
    let address = bed.address("node");
    bed.does(&["push", &program("counter.wat"), &address, "20"]);
    let id = bed.only_id("node");
    std::thread::sleep(Duration::from_millis(700));
    drop(node);
    let _node = bed.node("node", &[]);
    let output = bed.ask(&["attach", &address, &id]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), counted(20));
}

#[test]
fn a_node_that_is_ended_brings_its_programs_to_the_disk_first() {
    let bed = Bed::new();
    let mut node = bed.node("node", &["--checkpoint-every", "1h"]);
    let mut run = bed.run("run", &[&program("counter.wat"), "20"]);
    bed.until_line("run", "2");
    bed.migrate(&run, "node", &[]);
    let id = bed.only_id("node");
    bed.until_line("run", "8");
    node.signal("TERM");
    assert_eq!(node.code(), 143);
    let folder = bed.path("node.state/processes").join(&id);
    let names = std::fs::read_dir(folder).expect("a folder").flatten();
    let names: Vec<String> =
        names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    assert!(names.iter().any(|name| name.starts_with("check-")), "{names:?}");
    let _node = bed.node("node", &[]);
    assert_eq!(run.code(), 0, "{}", bed.errors("run"));
    assert_eq!(bed.output("run"), counted(20));
}
