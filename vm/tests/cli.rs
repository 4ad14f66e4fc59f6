//! What a user of the command line sees: one file of console sessions for each verb.

mod session;

use std::collections::BTreeSet;
use std::fs;

macro_rules! sessions {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                session::check(concat!("vm/tests/cli/", stringify!($name), ".md"));
            }
        )*

        const SESSIONS: &[&str] = &[$(stringify!($name)),*];
    };
}

sessions! {
    asm
    bench
    binfmt
    cache
    check
    completions
    control
    dis
    doctor
    help
    inspect
    limits
    man
    node
    repeat
    run
    snapshots
    wast
    watch
}

#[test]
fn every_session_is_run() {
    let folder = session::root().join("vm/tests/cli");
    let files: BTreeSet<String> = fs::read_dir(folder)
        .expect("the folder of sessions")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".md").map(str::to_owned))
        .collect();
    let listed: BTreeSet<String> = SESSIONS.iter().map(ToString::to_string).collect();
    assert_eq!(files, listed);
}
