//! The report about this machine: complete, in a fixed order, and without a trace.

use brant_host::native::doctor::{Standing, examine};

#[test]
fn every_finding_says_what_was_found_and_what_it_means() {
    let findings = examine();
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(
        names,
        [
            "kernel",
            "landlock",
            "openat2",
            "userfaultfd",
            "pagemap-scan",
            "overcommit",
            "address-space",
            "mappings",
            "descriptors",
            "page-size",
            "cores",
            "cpu"
        ]
    );
    for finding in findings {
        assert!(!finding.found.is_empty(), "{finding:?}");
        assert!(finding.meaning.len() > 10, "{finding:?}");
    }
}

#[test]
fn looking_restricts_nothing() {
    let outside = std::env::temp_dir();
    examine();
    examine();
    assert!(std::fs::read_dir(outside).is_ok(), "the probe's wall must end with its thread");
}

#[test]
fn openat2_is_reported_as_it_answers() {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    let there = openat2(CWD, ".", OFlags::PATH, Mode::empty(), ResolveFlags::BENEATH).is_ok();
    let finding = examine().into_iter().find(|finding| finding.name == "openat2").unwrap();
    assert_eq!(finding.standing == Standing::Good, there);
}
