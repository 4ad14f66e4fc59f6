//! The page `docs/ISA.md`, made from the rows.

use crate::types::Kind;
use crate::{Effect, ImmediateKind, ROWS, Row};

const HEAD: &str = "\
# The instruction set

Made from the table in `vm/isa/src/` by the test that checks this page; `BLESS=1 cargo test -p brant-isa` writes it again.

Each row is one instruction: its text with the names of its immediates, its bytes, the proposal that brought it, its type where it does not depend on the context, what it may do, and its semantics in terms of the primitives of `machine.rs`.
";

/// The whole page.
pub fn page() -> String {
    let mut page = String::from(HEAD);
    type Group = (&'static str, fn(&Row) -> bool);
    let groups: [Group; 3] = [
        ("Operators on numbers", |row| row.is_operator() && row.encoding.prefix != Some(0xFD)),
        ("Operators on vectors", |row| row.is_operator() && row.encoding.prefix == Some(0xFD)),
        ("Everything else", |row| !row.is_operator()),
    ];
    for (title, belongs) in groups {
        page.push_str(&format!("\n## {title}\n\n"));
        page.push_str("| instruction | bytes | proposal | type | effect | semantics |\n|---|---|---|---|---|---|\n");
        for row in ROWS.iter().filter(|row| belongs(row)) {
            page.push_str(&line(row));
            page.push('\n');
        }
    }
    page
}

/// The instruction's line.
fn line(row: &Row) -> String {
    let bytes: Vec<_> = row.encoding.bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let immediates: String = row
        .immediates
        .iter()
        .filter(|imm| imm.kind != ImmediateKind::Zero)
        .map(|imm| format!(" {}", imm.name))
        .collect();
    let ty = match row.is_operator() {
        true => format!(
            "[{}] -> [{}]",
            row.operand_kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" "),
            row.result_kind.map_or("", Kind::name),
        ),
        false => String::new(),
    };
    let effect = match row.effect {
        Effect::Pure if row.commutative => "pure, commutes".to_owned(),
        effect => format!("{effect:?}").to_lowercase(),
    };
    let semantics = row.show.map_or(String::new(), |show| show());
    format!(
        "| `{}{immediates}` | {} | {:?} | {ty} | {effect} | {semantics} |",
        row.name,
        bytes.join(" "),
        row.feature,
    )
}
