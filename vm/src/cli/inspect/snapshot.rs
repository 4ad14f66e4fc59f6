//! `brant inspect SNAPSHOT`: what is in a snapshot, in the guest's own terms.
//!
//! Whatever the snapshot says may be an enemy's: indices are looked at before they are used, and
//! names are printed as tables print them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use brant::mobility::{PageRun, SectionInfo, WaitImage};
use brant::resources::DescriptorState;
use brant::{Engine, Snapshot, ValType};
use brant_engine::persist::FuncRef;
use brant_engine::site::SITE_SCHEME;
use brant_engine::{FrameInfo, FrameState, Module, Slot, WaitEnd};
use brant_kernel::processes::Pid;
use serde_json::{Value, json};
use wasmparser::{BinaryReader, Name, NameSectionReader};

use super::super::exit::Failure;
use super::super::input::{cannot_read, name};
use super::super::table::{Table, printable};
use super::super::units::show_bytes;

/// A snapshot with the modules that its frames are of.
pub struct View {
    pub name: String,
    pub bytes: u64,
    pub snapshot: Snapshot,
    pub sections: Vec<SectionInfo>,
    /// None where the snapshot does not have the bytes.
    modules: Vec<Option<Module>>,
    names: Vec<LocalNames>,
    /// The other processes of its tree, by number.
    pub(super) members: Vec<(Pid, View)>,
}

/// Names of locals, by function and local.
type LocalNames = HashMap<(u32, u32), String>;

/// A frame as it is shown.
struct Frame<'a> {
    info: Option<FrameInfo>,
    /// What kind of site it stands at, or that it trapped.
    stands: &'static str,
    instance: u32,
    function: u32,
    locals: &'a [Slot],
    operands: &'a [Slot],
}

impl View {
    /// Reads a snapshot, and checks all of it.
    pub fn open(path: &Path) -> Result<View, Failure> {
        let bytes = std::fs::read(path).map_err(|error| cannot_read(path, &error))?;
        let name = name(path).into_owned();
        let failed = |error| Failure::load(format!("{}: {error}", printable(&name)));
        let sections = Snapshot::sections(&bytes).map_err(failed)?;
        let size = bytes.len() as u64;
        let snapshot = Snapshot::from_bytes(bytes.into(), &brant::ReadLimits::default());
        let snapshot = snapshot.map_err(failed)?;
        Ok(View::of(name, (size, sections), snapshot))
    }

    /// What was read, with its modules, and the same for the processes that it has made.
    fn of(name: String, (bytes, sections): (u64, Vec<SectionInfo>), snapshot: Snapshot) -> View {
        let engine = Engine::default();
        let modules: Vec<Option<Module>> = snapshot
            .code
            .modules
            .iter()
            .map(|image| Module::lazy(&engine, image.bytes.clone()?).ok())
            .collect();
        let names = modules.iter().map(|module| module.as_ref().map(local_names));
        let names = names.map(Option::unwrap_or_default).collect();
        let members = snapshot.tree.iter().flat_map(|tree| &tree.members);
        let members = members.map(|(pid, member)| {
            let name = format!("process {pid} of {name}");
            (*pid, View::of(name, (0, Vec::new()), member.clone()))
        });
        let members = members.collect();
        View { name, bytes, snapshot, sections, modules, names, members }
    }

    fn module(&self, instance: u32) -> Option<&Module> {
        self.modules.get(instance as usize)?.as_ref()
    }

    /// The module of a function, if it has such a function.
    fn module_of(&self, instance: u32, function: u32) -> Option<&Module> {
        self.module(instance).filter(|module| (function as usize) < module.function_count())
    }

    /// The frames of a thread, innermost first; those of a trap among them.
    fn frames<'a>(&'a self, frames: &'a [FrameState]) -> Vec<Frame<'a>> {
        let execution = &self.snapshot.execution;
        let trapped = execution.trap.iter().flat_map(|trap| {
            // Callers that are complete are those behind the first.
            let shown = if frames.is_empty() { trap.backtrace.len() } else { 1 };
            trap.backtrace.iter().take(shown).map(move |frame| {
                let (instance, function, offset) = (frame.instance, frame.function, frame.offset);
                let module = self.module_of(instance, function);
                let place = (frame.depth as usize, function, offset);
                let info = module.and_then(|module| module.describe_frames(&[place]).pop());
                let locals = if frame.depth == 0 { &trap.locals[..] } else { &[] };
                let stands = if frame.depth == 0 { "trap" } else { "return" };
                Frame { info, stands, instance, function, locals, operands: &[] }
            })
        });
        self.frames_behind(trapped.collect(), frames)
    }

    /// The frames of a thread that has not trapped, innermost first.
    fn whole_frames<'a>(&'a self, frames: &'a [FrameState]) -> Vec<Frame<'a>> {
        self.frames_behind(Vec::new(), frames)
    }

    fn frames_behind<'a>(
        &'a self, mut all: Vec<Frame<'a>>, frames: &'a [FrameState],
    ) -> Vec<Frame<'a>> {
        let depth = all.len();
        // Frames of one module share its line tables.
        let mut places: HashMap<u32, Vec<(usize, u32, Option<u64>)>> = HashMap::new();
        for (at, frame) in (depth..).zip(frames.iter().rev()) {
            let module = self.module_of(frame.instance, frame.function);
            let site = module.and_then(|module| module.site(frame.function, frame.site));
            if module.is_some() {
                let place = (at, frame.function, site.map(|(_, offset)| offset));
                places.entry(frame.instance).or_default().push(place);
            }
            all.push(Frame {
                info: None,
                stands: site.map_or("unknown", |(kind, _)| kind.name()),
                instance: frame.instance,
                function: frame.function,
                locals: &frame.locals,
                operands: &frame.operands,
            });
        }
        for (instance, places) in places {
            let infos = self.module(instance).map(|module| module.describe_frames(&places));
            for info in infos.unwrap_or_default() {
                let depth = info.depth;
                all[depth].info = Some(info);
            }
        }
        all
    }

    /// The name of a local of a function, as text programs write it.
    pub fn local_name(&self, instance: u32, function: u32, local: u32) -> String {
        let names = self.names.get(instance as usize);
        let name = names.and_then(|names| names.get(&(function, local)));
        name.map_or_else(|| format!("local {local}"), |name| format!("${}", printable(name)))
    }

    /// A value as people write it.
    pub fn value(&self, slot: Slot) -> String {
        let bits = slot.bits;
        match slot.ty {
            ValType::I32 => (bits as u32).cast_signed().to_string(),
            ValType::I64 => (bits as u64).cast_signed().to_string(),
            ValType::F32 => format!("{:?}", f32::from_bits(bits as u32)),
            ValType::F64 => format!("{:?}", f64::from_bits(bits as u64)),
            ValType::V128 => format!("{bits:#034x}"),
            ValType::ExternRef => "a value of the host".to_owned(),
            ValType::FuncRef => match FuncRef::from_bits(bits as u64).and_then(|func| func.place) {
                None => "null".to_owned(),
                Some((instance, function)) => self.function_name(instance, function),
            },
        }
    }

    /// The name of a function, else its index.
    pub fn function_name(&self, instance: u32, function: u32) -> String {
        let module = self.module_of(instance, function);
        match module.and_then(|module| module.function_name(function)) {
            Some(name) => format!("${}", printable(name)),
            None => format!("function {function} of instance {instance}"),
        }
    }

    /// The whole report.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_head(&mut out);
        self.write_threads(&mut out);
        self.write_store(&mut out);
        self.write_resources(&mut out);
        self.write_tree(&mut out);
        out
    }

    fn write_head(&self, out: &mut String) {
        let code = &self.snapshot.code;
        let _ = writeln!(out, "{}: {} bytes, a snapshot", printable(&self.name), self.bytes);
        let version = self.snapshot.version();
        let _ = writeln!(out, "format      version {version}, site scheme {SITE_SCHEME}");
        let _ = writeln!(out, "generation  {}", hex(&self.snapshot.generation));
        let rules = [("deterministic", code.deterministic), ("fuel", code.fuel)];
        let rules: Vec<&str> = rules.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        if !rules.is_empty() {
            let _ = writeln!(out, "rules       {}", rules.join(", "));
        }
        let mut table = Table::new(["section", "offset", "bytes", "hash"]);
        for info in &self.sections {
            let hash = hex(&info.hash[..8]);
            let cells = [
                info.section.name(),
                &format!("{:#x}", info.offset),
                &info.bytes.to_string(),
                &hash,
            ];
            table.row(cells);
        }
        let _ = write!(out, "\n{table}");
        let mut table = Table::new(["module", "bytes", "hash"]);
        for image in &code.modules {
            let name = if image.name.is_empty() { "(the program)" } else { &image.name };
            let size = image.bytes.as_ref().map(|bytes| bytes.as_slice().len().to_string());
            let size = size.unwrap_or_else(|| "not here".to_owned());
            table.row([name, &size, &hex(&image.hash[..8])]);
        }
        let _ = write!(out, "\n{table}");
    }

    pub(super) fn write_threads(&self, out: &mut String) {
        let execution = &self.snapshot.execution;
        for (number, thread) in execution.threads.iter().enumerate() {
            let frames = self.frames(&thread.state.frames);
            let count = frames.len();
            let frames_word = if count == 1 { "frame" } else { "frames" };
            let purpose = thread.purpose.name();
            let _ = writeln!(out, "\nthread {number} ({purpose}), {count} {frames_word}");
            if let Some(trap) = &execution.trap {
                let _ = writeln!(out, "  wasm trap: {}", trap.code);
                if let (Some(address), Some(bytes)) = (trap.fault_address, trap.memory_bytes) {
                    let _ = writeln!(out, "  at address {address:#x} of {bytes:#x} bytes");
                }
            }
            for (depth, frame) in frames.iter().enumerate() {
                self.write_frame(out, depth, frame);
            }
            if let Some(wait) = execution.spawned.as_ref().and_then(|spawned| spawned.wait_of(0)) {
                let _ = writeln!(out, "  {}", self.wait(0, &thread.state.frames, wait));
            }
        }
        for thread in execution.spawned.iter().flat_map(|spawned| &spawned.list) {
            let frames = self.whole_frames(&thread.state.frames);
            let (id, count) = (thread.id, frames.len());
            let frames_word = if count == 1 { "frame" } else { "frames" };
            let _ = writeln!(out, "\nthread {id} (started by the program), {count} {frames_word}");
            for (depth, frame) in frames.iter().enumerate() {
                self.write_frame(out, depth, frame);
            }
            if let Some(wait) = &thread.wait {
                let _ = writeln!(out, "  {}", self.wait(id, &thread.state.frames, wait));
            }
            if let Some(parked) = &thread.parked {
                let left = self.left(parked.deadline_ns);
                let _ = writeln!(out, "  waits in {}{left}", parked.call.row().name);
            }
            for (number, &slot) in thread.store.globals.iter().enumerate() {
                let value = self.value(slot);
                let _ = writeln!(out, "  mutable global {number}: {} = {value}", slot.ty);
            }
        }
        if !execution.preparation.is_empty() {
            let names = execution.preparation.iter().filter_map(|func| func.place);
            let names: Vec<String> =
                names.map(|(instance, function)| self.function_name(instance, function)).collect();
            let _ = writeln!(out, "\nto run before the program: {}", names.join(", "));
        }
    }

    /// How long something takes at most that ends at a time of the guest's clock.
    fn left(&self, deadline_ns: Option<u64>) -> String {
        let now_ns = self.snapshot.resources.clocks.monotonic_ns;
        let left = deadline_ns.map(|end| end.saturating_sub(now_ns) as f64 / 1e9);
        left.map_or(String::new(), |seconds| format!(", for {seconds:.3} s more at most"))
    }

    /// Where a thread waits, and who comes before it there.
    fn wait(&self, id: u32, frames: &[FrameState], wait: &WaitImage) -> String {
        let Some((memory, address)) = self.wait_place(frames) else {
            return "waits where none can".to_owned();
        };
        let at = format!("at {address:#x} of memory {memory}");
        match wait.end {
            Some(WaitEnd::Woken) => format!("has waited {at}, and was woken"),
            Some(WaitEnd::TimedOut) => format!("has waited {at}, until its time was over"),
            None => {
                let before = self.before(id, (memory, address));
                let left = self.left(wait.deadline_ns);
                format!("waits {at}, behind {before} others{left}")
            }
        }
    }

    fn wait_place(&self, frames: &[FrameState]) -> Option<(u32, u64)> {
        let frame = frames.last()?;
        self.module(frame.instance)?.wait_of(frame)
    }

    /// How many threads wait at a place before the thread `id`.
    fn before(&self, id: u32, place: (u32, u64)) -> usize {
        let execution = &self.snapshot.execution;
        let Some(spawned) = &execution.spawned else { return 0 };
        let frames = |id: u32| match id {
            0 => execution.threads.first().map(|thread| &thread.state.frames),
            id => {
                let found = spawned.list.iter().find(|thread| thread.id == id);
                found.map(|thread| &thread.state.frames)
            }
        };
        let earlier = spawned.queue.iter().take_while(|&&other| other != id);
        let places = earlier.filter_map(|&other| self.wait_place(frames(other)?));
        places.filter(|&other| other == place).count()
    }

    fn write_frame(&self, out: &mut String, depth: usize, frame: &Frame<'_>) {
        let place = match &frame.info {
            Some(info) => info.to_string(),
            None => self.function_name(frame.instance, frame.function),
        };
        let _ = writeln!(out, "{depth:>5}: {place} ({})", frame.stands);
        for (local, &slot) in (0..).zip(frame.locals) {
            let name = self.local_name(frame.instance, frame.function, local);
            let _ = writeln!(out, "          {name}: {} = {}", slot.ty, self.value(slot));
        }
        for &slot in frame.operands {
            let _ = writeln!(out, "          operand: {} = {}", slot.ty, self.value(slot));
        }
    }

    fn write_store(&self, out: &mut String) {
        let store = &self.snapshot.execution.store;
        let pages = &self.snapshot.pages;
        for memory in 0..self.snapshot.execution.memory_count() {
            let runs = pages.runs().iter().filter(|run| run.memory as usize == memory);
            // Of what other threads have, only what is theirs alone, and not as it was made.
            if memory >= store.memories_wasm_pages.len() && runs.clone().next().is_none() {
                continue;
            }
            let size = self.snapshot.execution.memory_wasm_pages(memory as u32).unwrap_or(0);
            let size = show_bytes(size.saturating_mul(brant_engine::WASM_PAGE_BYTES));
            let (mut kept, mut zero) = (0, 0);
            let mut table = Table::new(["  pages from", "to", "bytes", "content"]);
            for run in runs {
                *(if run.content.is_some() { &mut kept } else { &mut zero }) += run.count;
                let [start, end] = addresses(run);
                let content =
                    run.content.map_or("zero".to_owned(), |content| format!("page {content}"));
                let bytes = (end - start).to_string();
                table.row([format!("  {start:#x}"), format!("{end:#x}"), bytes, content]);
            }
            let _ = writeln!(
                out,
                "\nmemory {memory}: {size}; {kept} pages are not as the module has them, {zero} were \
                 cleared"
            );
            if !table.is_empty() {
                let _ = write!(out, "{table}");
            }
        }
        let forms = if pages.can_be_mapped() { "as they are" } else { "compressed" };
        let _ = writeln!(
            out,
            "\n{} different pages, kept in {} bytes ({forms})",
            pages.content_count(),
            pages.contents_bytes()
        );
        for (number, runs) in store.tables.iter().enumerate() {
            let count: u64 = runs.iter().map(|run| run.count).sum();
            let _ = writeln!(out, "table {number}: {count} elements in {} runs", runs.len());
        }
        for (number, &slot) in store.globals.iter().enumerate() {
            let value = self.value(slot);
            let _ = writeln!(out, "mutable global {number}: {} = {value}", slot.ty);
        }
    }

    fn write_resources(&self, out: &mut String) {
        let resources = &self.snapshot.resources;
        let mut table =
            Table::new(["descriptor", "leads to", "binding", "attachment", "action", "offset"]);
        for state in &resources.descriptors {
            table.row([
                state.fd.to_string(),
                object(state),
                state.binding_name(),
                state.attachment().name().to_owned(),
                state.action.name().to_owned(),
                state.offset.to_string(),
            ]);
        }
        let _ = write!(out, "\n{table}");
        let words = |list: &[Vec<u8>]| {
            let words = list.iter().map(|word| printable(&String::from_utf8_lossy(word)));
            words.collect::<Vec<_>>().join(" ")
        };
        let _ = writeln!(out, "\narguments    {}", words(&resources.args));
        if !resources.env.is_empty() {
            let _ = writeln!(out, "environment  {}", words(&resources.env));
        }
        let [input, output, error] = resources.stream_bytes;
        let _ = writeln!(out, "streams      {input} bytes read, {output} + {error} written");
        let seconds = |ns: u64| ns as f64 / 1e9;
        let clocks = &resources.clocks;
        let _ = writeln!(
            out,
            "clocks       {:.3} s monotonic, {:.3} s of the processor",
            seconds(clocks.monotonic_ns),
            seconds(clocks.process_cpu_ns)
        );
        if let Some(parked) = &resources.parked {
            let left = parked.deadline_ns.map(|end| end.saturating_sub(clocks.monotonic_ns));
            let left = left.map(|ns| format!(", for {:.3} s more at most", seconds(ns)));
            let name = parked.call.row().name;
            let _ = writeln!(out, "waits in     {name}{}", left.unwrap_or_default());
        }
    }

    /// The whole report for programs.
    pub fn json(&self) -> Value {
        let Snapshot { generation, code, execution, resources, pages, tree: _ } = &self.snapshot;
        let sections = self.sections.iter().map(|info| {
            json!({
                "name": info.section.name(), "offset": info.offset, "bytes": info.bytes,
                "hash": hex(&info.hash),
            })
        });
        let modules = code.modules.iter().map(|image| {
            let size = image.bytes.as_ref().map(|bytes| bytes.as_slice().len());
            json!({ "name": image.name, "bytes": size, "hash": hex(&image.hash) })
        });
        let threads = execution.threads.iter().map(|thread| {
            let frames = self.frames(&thread.state.frames);
            let frames: Vec<Value> = frames.iter().map(|frame| self.frame_json(frame)).collect();
            json!({ "purpose": thread.purpose.name(), "frames": frames })
        });
        let spawned = execution.spawned.iter().flat_map(|spawned| &spawned.list).map(|thread| {
            let frames = self.whole_frames(&thread.state.frames);
            let frames: Vec<Value> = frames.iter().map(|frame| self.frame_json(frame)).collect();
            json!({
                "id": thread.id, "frames": frames, "argument": thread.argument,
                "waits_at": self.wait_json(&thread.state.frames, thread.wait.as_ref()),
                "waits_in": thread.parked.map(|parked| parked.call.row().name),
            })
        });
        let first = execution.threads.first().map(|thread| &thread.state.frames[..]);
        let first_wait = execution.spawned.as_ref().and_then(|spawned| spawned.wait_of(0));
        let queue = execution.spawned.as_ref().map(|spawned| &spawned.queue);
        let runs = pages.runs().iter().map(|run| {
            let [start, end] = addresses(run);
            json!({ "memory": run.memory, "from": start, "to": end, "content": run.content })
        });
        let globals = execution.store.globals.iter().map(|&slot| self.slot_json(None, slot));
        let tables = execution.store.tables.iter();
        let tables = tables.map(|runs| runs.iter().map(|run| run.count).sum::<u64>());
        let descriptors = resources.descriptors.iter().map(|state| {
            json!({
                "fd": state.fd, "object": object(state), "binding": state.binding_name(),
                "attachment": state.attachment().name(), "action": state.action.name(),
                "offset": state.offset, "rights": state.rights.0, "flags": state.flags.0,
            })
        });
        let words = |list: &[Vec<u8>]| -> Vec<String> {
            list.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
        };
        let trap = execution.trap.as_ref().map(|trap| {
            json!({
                "message": trap.code.message(), "frames": trap.frame_count,
                "fault_address": trap.fault_address, "memory_bytes": trap.memory_bytes,
            })
        });
        json!({
            "file": self.name, "bytes": self.bytes, "format": self.snapshot.version(),
            "site_scheme": SITE_SCHEME, "generation": hex(generation),
            "deterministic": code.deterministic, "fuel": code.fuel,
            "sections": sections.collect::<Vec<_>>(), "modules": modules.collect::<Vec<_>>(),
            "threads": threads.collect::<Vec<_>>(), "trap": trap,
            "started_threads": spawned.collect::<Vec<_>>(), "queue": queue,
            "waits_at": self.wait_json(first.unwrap_or_default(), first_wait),
            "memories_wasm_pages": execution.store.memories_wasm_pages,
            "pages": runs.collect::<Vec<_>>(), "contents": pages.content_count(),
            "contents_bytes": pages.contents_bytes(), "globals": globals.collect::<Vec<_>>(),
            "table_elements": tables.collect::<Vec<_>>(),
            "descriptors": descriptors.collect::<Vec<_>>(), "arguments": words(&resources.args),
            "environment": words(&resources.env), "stream_bytes": resources.stream_bytes,
            "disk_bytes": resources.disk_bytes, "monotonic_ns": resources.clocks.monotonic_ns,
            "process_cpu_ns": resources.clocks.process_cpu_ns,
            "waits_in": resources.parked.as_ref().map(|parked| parked.call.row().name),
            "processes": self.tree_json(),
        })
    }

    fn wait_json(&self, frames: &[FrameState], wait: Option<&WaitImage>) -> Value {
        let Some(wait) = wait else { return Value::Null };
        let (memory, address) = self.wait_place(frames).unzip();
        let end = wait.end.map(|end| match end {
            WaitEnd::Woken => "woken",
            WaitEnd::TimedOut => "timed out",
        });
        json!({
            "memory": memory, "address": address, "end": end, "deadline_ns": wait.deadline_ns,
        })
    }

    fn frame_json(&self, frame: &Frame<'_>) -> Value {
        let (instance, function) = (frame.instance, frame.function);
        let locals = (0..).zip(frame.locals).map(|(local, &slot)| {
            self.slot_json(Some(&self.local_name(instance, function, local)), slot)
        });
        let operands = frame.operands.iter().map(|&slot| self.slot_json(None, slot));
        let info = frame.info.as_ref();
        let source = info.map(|info| {
            let lines = info.source.iter().map(|source| {
                json!({
                    "function": source.function, "file": source.file, "line": source.line,
                    "column": source.column,
                })
            });
            lines.collect::<Vec<_>>()
        });
        json!({
            "instance": instance, "function": function,
            "name": info.and_then(|info| info.name.as_deref()),
            "offset": info.and_then(|info| info.offset), "stands": frame.stands,
            "source": source, "locals": locals.collect::<Vec<_>>(),
            "operands": operands.collect::<Vec<_>>(),
        })
    }

    fn slot_json(&self, name: Option<&str>, slot: Slot) -> Value {
        let text = self.value(slot);
        match name {
            Some(name) => json!({ "name": name, "type": slot.ty.to_string(), "value": text }),
            None => json!({ "type": slot.ty.to_string(), "value": text }),
        }
    }
}

/// Where a run begins and ends in its memory.
pub fn addresses(run: &PageRun) -> [u64; 2] {
    let page_bytes = brant_engine::persist::PAGE_BYTES as u64;
    [run.first.saturating_mul(page_bytes), (run.first + run.count).saturating_mul(page_bytes)]
}

/// What a descriptor leads to, in a word.
pub fn object(state: &DescriptorState) -> String {
    format!("{:?}", state.object).to_lowercase()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the name section calls locals; a damaged one says what stands before the damage.
fn local_names(module: &Module) -> LocalNames {
    let mut names = LocalNames::new();
    for section in module.custom_sections().filter(|section| section.name == "name") {
        for part in NameSectionReader::new(BinaryReader::new(section.data, 0)) {
            let Ok(Name::Local(functions)) = part else { continue };
            for function in functions.into_iter().map_while(Result::ok) {
                for local in function.names.map_while(Result::ok) {
                    names.insert((function.index, local.index), local.name.to_owned());
                }
            }
        }
    }
    names
}
