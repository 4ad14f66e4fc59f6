//! `docs/ISA.md` is what the table gives.

use std::path::Path;

#[test]
fn the_page_of_the_instruction_set_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ISA.md");
    let page = brant_isa::doc::page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).expect("docs/ is writable");
    }
    let written = std::fs::read_to_string(&path).expect("docs/ISA.md is there");
    assert!(written == page, "docs/ISA.md is stale: BLESS=1 cargo test -p brant-isa");
}
