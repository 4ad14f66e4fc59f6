//! Rows about running code as scripts, each in the modes `interp`, `jit`, `mixed` and `nomad`: the
//! tier changes at random sites, or the run goes on in another store from bytes.

use std::fs;
use std::path::Path;

use brant::Features;
use brant::wast::{self, Mode};

fn check(name: &str, mode: Mode) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/rows");
    let text = fs::read(folder.join(format!("{name}.wast"))).expect("a script");
    let features = Features::parse("wasm2,+threads,+tail-call").expect("a list of features");
    let report = wast::run(&text, features, mode);
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{name} {mode:?}:\n{}", failures.join("\n"));
    assert!(report.passed > 1, "{name} has nothing to pass");
    assert!(mode != Mode::Nomad || report.moves > 0, "{name}: what never moves proves nothing");
}

macro_rules! rows {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                for mode in [Mode::Interp, Mode::Jit, Mode::Mixed, Mode::Nomad] {
                    check(stringify!($name), mode);
                }
            }
        )*

        #[test]
        fn every_script_of_the_folder_runs() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/rows");
            let mut found: Vec<String> = fs::read_dir(folder)
                .expect("the folder")
                .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
                .collect();
            found.sort();
            let listed = [$(concat!(stringify!($name), ".wast")),*];
            assert_eq!(found, listed);
        }
    };
}

rows! {
    row_10_memories_grow_by_one_and_by_all
    row_11_tables_grow_to_their_limit
    row_12_recursion_ends_in_each_tier_and_across_a_change_of_tiers
    row_13_traps_in_the_midst_of_hot_loops
    row_14_accesses_around_the_last_byte
    row_15_references_blocks_and_dead_code
    row_16_types_of_indirect_calls_across_instances
    row_17_shared_memory_grows_under_stores_and_notifies
    row_18_rounding_at_the_edges
}
