//! `brant inspect SNAPSHOT SNAPSHOT`: what changed from one snapshot to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use brant::mobility::SnapshotError;
use brant_engine::FrameState;
use brant_engine::persist::PAGE_BYTES;
use serde_json::{Value, json};

use super::super::exit::Failure;
use super::super::table::printable;
use super::snapshot::{View, hex, object};

/// Something that is not the same.
struct Change {
    section: &'static str,
    what: String,
    before: String,
    after: String,
}

/// What changed.
pub struct Difference<'a> {
    views: [&'a View; 2],
    changes: Vec<Change>,
    /// Pages by memory, in runs: those that are not the same.
    pages: Vec<(u32, u64, u64)>,
}

impl<'a> Difference<'a> {
    /// Compares two snapshots.
    pub fn new(before: &'a View, after: &'a View) -> Result<Self, Failure> {
        let mut found =
            Difference { views: [before, after], changes: Vec::new(), pages: Vec::new() };
        found.compare_code();
        found.compare_threads();
        found.compare_store();
        found.compare_resources();
        found.pages = changed_pages(before, after)
            .map_err(|error| Failure::load(format!("the pages cannot be compared: {error}")))?;
        Ok(found)
    }

    fn note(&mut self, section: &'static str, what: String, values: [String; 2]) {
        let [before, after] = values;
        if before != after {
            self.changes.push(Change { section, what, before, after });
        }
    }

    fn compare_code(&mut self) {
        let modules = self.views.map(|view| {
            let modules = &view.snapshot.code.modules;
            modules.iter().map(|image| hex(&image.hash[..8])).collect::<Vec<_>>().join(", ")
        });
        self.note("code", "modules".to_owned(), modules);
    }

    fn compare_threads(&mut self) {
        let views = self.views;
        let threads = views.map(|view| &view.snapshot.execution.threads);
        let spawned = views.map(|view| {
            let spawned = view.snapshot.execution.spawned.as_ref();
            spawned.map_or(&[][..], |spawned| &spawned.list[..])
        });
        let counts = [0, 1].map(|at| (threads[at].len() + spawned[at].len()).to_string());
        self.note("execution", "threads".to_owned(), counts);
        for (number, (before, after)) in threads[0].iter().zip(threads[1]).enumerate() {
            self.compare_frames(number as u32, [&before.state.frames, &after.state.frames]);
        }
        for before in spawned[0] {
            if let Some(after) = spawned[1].iter().find(|after| after.id == before.id) {
                self.compare_frames(before.id, [&before.state.frames, &after.state.frames]);
            }
        }
    }

    fn compare_frames(&mut self, thread: u32, both: [&[FrameState]; 2]) {
        let views = self.views;
        let depth = format!("thread {thread}: frames");
        self.note("execution", depth, both.map(|frames| frames.len().to_string()));
        for (depth, (one, other)) in both[0].iter().zip(both[1]).enumerate() {
            let place = format!("thread {thread}: frame {depth} from outside");
            let stands = [(views[0], one), (views[1], other)].map(|(view, frame)| {
                let name = view.function_name(frame.instance, frame.function);
                format!("{name} at site {}", frame.site.0)
            });
            self.note("execution", place.clone(), stands);
            if (one.instance, one.function) != (other.instance, other.function) {
                // What is further in has nothing in common.
                break;
            }
            let locals = one.locals.iter().zip(&other.locals);
            for (local, (&old, &new)) in (0..).zip(locals) {
                let name = views[0].local_name(one.instance, one.function, local);
                let values = [views[0].value(old), views[1].value(new)];
                self.note("execution", format!("{place}: {name}"), values);
            }
        }
    }

    fn compare_store(&mut self) {
        let views = self.views;
        let stores = views.map(|view| &view.snapshot.execution.store);
        for memory in
            0..stores[0].memories_wasm_pages.len().max(stores[1].memories_wasm_pages.len())
        {
            let sizes = stores.map(|store| {
                store.memories_wasm_pages.get(memory).map_or("-".to_owned(), u64::to_string)
            });
            self.note("execution", format!("memory {memory}: pages of 64 KiB"), sizes);
        }
        let globals = stores[0].globals.iter().zip(&stores[1].globals);
        for (number, (&old, &new)) in globals.enumerate() {
            let values = [views[0].value(old), views[1].value(new)];
            self.note("execution", format!("mutable global {number}"), values);
        }
        for (number, (old, new)) in stores[0].tables.iter().zip(&stores[1].tables).enumerate() {
            if old != new {
                let counts = [old, new].map(|runs| {
                    let count: u64 = runs.iter().map(|run| run.count).sum();
                    format!("{count} elements in {} runs", runs.len())
                });
                let [before, after] = counts;
                let what = format!("table {number}");
                self.changes.push(Change { section: "execution", what, before, after });
            }
        }
        self.note("execution", "fuel".to_owned(), stores.map(|store| store.fuel.to_string()));
    }

    fn compare_resources(&mut self) {
        let both = self.views.map(|view| &view.snapshot.resources);
        let fds: BTreeSet<u32> =
            both.iter().flat_map(|state| state.descriptors.iter().map(|one| one.fd)).collect();
        for fd in fds {
            let shown = both.map(|state| {
                let found = state.descriptors.iter().find(|one| one.fd == fd);
                found.map_or("not open".to_owned(), |one| {
                    let binding = printable(&one.binding_name());
                    format!("{} ({binding}) at {}", object(one), one.offset)
                })
            });
            self.note("resources", format!("descriptor {fd}"), shown);
        }
        let names = ["bytes read", "bytes written", "bytes written as errors"];
        for (stream, name) in names.into_iter().enumerate() {
            let values = both.map(|state| state.stream_bytes[stream].to_string());
            self.note("resources", name.to_owned(), values);
        }
        let clock = both.map(|state| format!("{:.3} s", state.clocks.monotonic_ns as f64 / 1e9));
        self.note("resources", "monotonic clock".to_owned(), clock);
        let waits = both.map(|state| {
            let name = state.parked.as_ref().map(|parked| parked.call.row().name);
            name.unwrap_or("nothing").to_owned()
        });
        self.note("resources", "waits in".to_owned(), waits);
    }

    /// For people.
    pub fn text(&self) -> String {
        let [before, after] = self.views;
        let mut out = String::new();
        for (one, other) in before.sections.iter().zip(&after.sections) {
            let verdict = if one.hash == other.hash { "the same" } else { "differs" };
            let sizes = match one.bytes == other.bytes {
                true => format!("{} bytes", one.bytes),
                false => format!("{} -> {} bytes", one.bytes, other.bytes),
            };
            let _ = writeln!(out, "{:10} {verdict}, {sizes}", one.section.name());
            for change in self.changes.iter().filter(|c| c.section == one.section.name()) {
                let _ = writeln!(out, "  {}: {} -> {}", change.what, change.before, change.after);
            }
        }
        for &(memory, first, count) in &self.pages {
            let [start, end] = [first, first + count].map(|page| page * PAGE_BYTES as u64);
            let _ = writeln!(out, "  memory {memory}: {start:#x} to {end:#x}");
        }
        let count: u64 = self.pages.iter().map(|(_, _, count)| count).sum();
        let _ = match count {
            1 => writeln!(out, "1 page of 4 KiB differs"),
            _ => writeln!(out, "{count} pages of 4 KiB differ"),
        };
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let sections = self.views[0].sections.iter().zip(&self.views[1].sections);
        let sections = sections.map(|(one, other)| {
            json!({
                "name": one.section.name(), "same": one.hash == other.hash,
                "before_bytes": one.bytes, "after_bytes": other.bytes,
            })
        });
        let changes = self.changes.iter().map(|change| {
            json!({
                "section": change.section, "what": change.what, "before": change.before,
                "after": change.after,
            })
        });
        let pages = self.pages.iter().map(|&(memory, first, count)| {
            let [start, end] = [first, first + count].map(|page| page * PAGE_BYTES as u64);
            json!({ "memory": memory, "from": start, "to": end })
        });
        json!({
            "before": self.views[0].name, "after": self.views[1].name,
            "sections": sections.collect::<Vec<_>>(), "changes": changes.collect::<Vec<_>>(),
            "pages": pages.collect::<Vec<_>>(),
        })
    }
}

/// The pages that differ, as memory, first page and count; a page that only one of both has is one.
fn changed_pages(before: &View, after: &View) -> Result<Vec<(u32, u64, u64)>, SnapshotError> {
    let (before, after) = (contents(before)?, contents(after)?);
    let all: BTreeSet<(u32, u64)> = before.keys().chain(after.keys()).copied().collect();
    let mut runs: Vec<(u32, u64, u64)> = Vec::new();
    for place in all.into_iter().filter(|place| before.get(place) != after.get(place)) {
        match runs.last_mut() {
            Some((memory, first, count)) if (*memory, *first + *count) == place => *count += 1,
            _ => runs.push((place.0, place.1, 1)),
        }
    }
    Ok(runs)
}

/// The hash of each page that the snapshot has; of zeros for one that was cleared. A snapshot that
/// claims more pages than its memories have is refused.
fn contents(view: &View) -> Result<BTreeMap<(u32, u64), [u8; 32]>, SnapshotError> {
    let execution = &view.snapshot.execution;
    for run in view.snapshot.pages.runs() {
        let size = execution.memory_wasm_pages(run.memory).map(|size| size.saturating_mul(16));
        if size.is_none_or(|size| run.first + run.count > size || size > 1 << 32) {
            let section = brant::mobility::Section::Pages;
            let what = "a run of pages lies outside of its memory";
            return Err(SnapshotError::Malformed { section, what });
        }
    }
    let mut found = BTreeMap::new();
    view.snapshot.pages.each::<SnapshotError>(|memory, page, content| {
        let zero = [0; PAGE_BYTES];
        let hash = blake3::hash(content.unwrap_or(&zero));
        found.insert((memory, page), *hash.as_bytes());
        Ok(())
    })?;
    Ok(found)
}
