//! The processes that a program had made when its snapshot was taken: the table, the pipes, and where
//! each of them stands.

use std::fmt::Write as _;

use brant::state_name;
use serde_json::{Value, json};

use super::super::table::{Table, printable};
use super::super::units::show_bytes;
use super::snapshot::View;

impl View {
    pub(super) fn write_tree(&self, out: &mut String) {
        let Some(tree) = &self.snapshot.tree else { return };
        let mut table = Table::new(["process", "parent", "group", "state", "program"]);
        for (pid, entry) in &tree.state.entries {
            table.row([
                &pid.to_string(),
                &entry.parent.to_string(),
                &entry.group.to_string(),
                &state_name(entry),
                &printable(&entry.name),
            ]);
        }
        let _ = write!(out, "\n{table}");
        for pipe in &tree.state.pipes {
            let bytes = show_bytes(pipe.bytes.len() as u64);
            let _ = writeln!(out, "pipe {}       {bytes} in it", pipe.number);
        }
        for (pid, view) in &self.members {
            let name = tree.state.entries.iter().find(|(other, _)| other == pid);
            let name = name.map(|(_, entry)| printable(&entry.name)).unwrap_or_default();
            let _ = writeln!(out, "\nprocess {pid}    {name}");
            view.write_threads(out);
        }
    }

    pub(super) fn tree_json(&self) -> Value {
        let Some(tree) = &self.snapshot.tree else { return Value::Null };
        let rows = tree.state.entries.iter().map(|(pid, entry)| {
            let view = self.members.iter().find(|(other, _)| other == pid);
            json!({
                "pid": pid, "parent": entry.parent, "group": entry.group, "state": state_name(entry),
                "program": entry.name, "snapshot": view.map(|(_, view)| view.json()),
            })
        });
        let pipes = tree.state.pipes.iter();
        let pipes = pipes.map(|pipe| json!({ "number": pipe.number, "bytes": pipe.bytes.len() }));
        json!({
            "foreground": tree.state.foreground, "table": rows.collect::<Vec<_>>(),
            "pipes": pipes.collect::<Vec<_>>(),
        })
    }
}
