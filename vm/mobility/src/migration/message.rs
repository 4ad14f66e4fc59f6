//! What frames say: everything but pages, which have a file of their own.
//!
//! A message is a value; its bytes are those of the snapshot's sections (`wire.rs`), so that the same
//! bounds hold. What a peer says is never longer than a frame, and a list never longer than its bytes.

use brant_kernel::net::LaneId;
use brant_kernel::persist::{Action, KernelState};

use super::ProcessId;
use crate::error::Section;
use crate::resources;
use crate::wire::{Read, Reader, Writer};

/// The version of the protocol; peers of different ones do not understand each other.
pub const PROTOCOL_VERSION: u32 = 3;

/// The kind of frames of pages.
pub const PAGES: u8 = 1;

/// How the memory of a process moves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Mode {
    /// While the guest stands.
    Cold,
    /// While it runs, but for the last of it.
    #[default]
    Live,
    /// After it: it runs at its destination at once, and its pages follow.
    Postcopy,
}

/// Pages of a memory that stand behind each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct PageRun {
    /// The memory.
    pub memory: u32,
    /// The first page of 4 KiB.
    pub first: u64,
    /// How many.
    pub count: u64,
}

/// A process that wants to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its name.
    pub id: ProcessId,
    /// The epoch that it would have.
    pub epoch: u64,
    /// The name of its program, by which it is granted something.
    pub name: String,
    /// Whether all that the guest sees is fixed.
    pub deterministic: bool,
    /// Whether operators take fuel.
    pub fuel: bool,
    /// Its modules; the program is the last.
    pub modules: Vec<OfferedModule>,
    /// Sizes of its memories.
    pub memories_wasm_pages: Vec<u64>,
    /// Its descriptors and all that its kernel knows; contents of files without a name are left out.
    pub resources: KernelState,
}

/// A module of a process that wants to come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OfferedModule {
    /// The name under which others import it; empty for the program.
    pub name: String,
    /// BLAKE3 of its bytes.
    pub hash: [u8; 32],
    /// How many bytes it has.
    pub bytes: u64,
}

/// Why a process may not come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Refusal {
    /// The descriptor that it is about, if it is about one.
    pub fd: Option<u32>,
    /// What it is about.
    pub what: String,
    /// Why it cannot come.
    pub why: String,
    /// What would make it possible.
    pub remedy: String,
}

/// A process of a node, as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub id: ProcessId,
    /// The name of its program.
    pub name: String,
    /// `running`, `paused`, `moving`, `ended` or `waiting` for its state.
    pub state: String,
    /// How often it has moved.
    pub epoch: u64,
    /// Whether a terminal is attached.
    pub is_attached: bool,
    /// Bytes of linear memory.
    pub memory_bytes: u64,
    /// CPU time of its thread here.
    pub cpu_ns: u64,
    /// Time since it came or began here.
    pub uptime_ns: u64,
}

/// Where a move is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// The destination takes it; code has been sent.
    Accepted,
    /// A round is over.
    Round,
    /// The guest stood, all is sent, and the destination owns it.
    Moved,
    /// The destination could start it again by itself.
    Durable,
    /// It runs at the destination, and all of its pages have followed.
    Followed,
}

/// How far a move has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Where it is.
    pub stage: Stage,
    /// Rounds so far.
    pub round: u32,
    /// Pages of this stage; of all of them at the end.
    pub pages: u64,
    /// Bytes of this stage; of all of them at the end.
    pub bytes: u64,
    /// Time of this stage; at the end that of the whole move.
    pub ns: u64,
    /// How long the guest stood, known at the end.
    pub downtime_ns: u64,
}

/// A connection whose socket stays elsewhere, as it is when its process is somewhere else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneState {
    /// Which one.
    pub lane: LaneId,
    /// The door at which it waits, if the process has not taken it yet.
    pub waits_at: Option<LaneId>,
    /// How many bytes the process has read of what its caller said.
    pub input: u64,
    /// How many bytes the caller was told before these.
    pub output: u64,
    /// What the caller may not have been told yet.
    pub bytes: Vec<u8>,
    /// Whether the process says nothing more.
    pub output_ended: bool,
    /// Whether the process listens no more.
    pub input_ended: bool,
    /// Whether the process has closed it.
    pub is_closed: bool,
    /// Whether the caller is gone for good.
    pub is_broken: bool,
}

/// From where on both directions of a lane go on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LanePosition {
    /// Which one, by its number.
    pub lane: u64,
    /// Input is wanted from this byte on.
    pub input: u64,
    /// Output comes from this byte on.
    pub output: u64,
}

macro_rules! messages {
    ($($(#[$doc:meta])* $kind:literal $name:ident { $($(#[$field_doc:meta])* $field:ident : $ty:ty),* $(,)? })*) => {
        /// What a peer says.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Message {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $ty),* },)*
        }

        impl Message {
            /// The kind and the payload of its frame.
            pub fn write(&self) -> (u8, Vec<u8>) {
                let mut writer = Writer::default();
                let kind = match self {
                    $(Message::$name { $($field),* } => {
                        $($field.put(&mut writer);)*
                        $kind
                    })*
                };
                (kind, writer.finish())
            }

            /// The message of a frame.
            ///
            /// # Errors
            /// It is none.
            pub fn read(kind: u8, payload: &[u8]) -> Read<Message> {
                let mut reader = Reader::new(Section::Message, payload);
                let message = match kind {
                    $($kind => Message::$name { $($field: <$ty>::get(&mut reader)?),* },)*
                    _ => return reader.malformed("its kind is not known"),
                };
                reader.finish()?;
                Ok(message)
            }
        }
    };
}

messages! {
    /// The first message of both sides.
    2 Hello {
        /// The version of the protocol.
        version: u32,
    }
    /// What was asked cannot be done.
    3 Failed {
        /// Why.
        why: String,
        /// What would help; empty if nothing would.
        remedy: String,
    }
    /// What was asked is done.
    4 Done {}
    /// Say something, so that it is known that all before has been read.
    5 Ping {}
    /// All before has been read.
    6 Pong {}

    /// A process wants to come.
    10 Offered {
        /// It.
        offer: Box<Offer>,
    }
    /// It may, and the bytes of these modules are wanted.
    11 Accept {
        /// For each module, whether its bytes are wanted.
        wanted: Vec<bool>,
    }
    /// It may not.
    12 Refuse {
        /// Why.
        refusal: Refusal,
    }
    /// More bytes of a module.
    13 Code {
        /// Which one, by its place in the offer.
        module: u32,
        /// The bytes.
        bytes: Vec<u8>,
    }
    /// Memories have grown to these sizes.
    14 Sizes {
        /// In wasm pages.
        memories: Vec<u64>,
    }
    /// More bytes of the snapshot that holds everything but pages.
    15 State {
        /// Whether these are the last ones.
        is_last: bool,
        /// The bytes.
        bytes: Vec<u8>,
    }
    /// All is there and verified.
    16 Prepared {}
    /// The source has given the process up.
    17 Commit {
        /// Which process.
        id: ProcessId,
        /// Its epoch from now on.
        epoch: u64,
    }
    /// What became of a process that was given up?
    18 Settle {
        /// Which process.
        id: ProcessId,
        /// The epoch that it has.
        epoch: u64,
    }
    /// It is owned here.
    19 Owned {
        /// And nothing more of the source is needed.
        is_durable: bool,
    }
    /// It never was, and will not be with that epoch.
    20 Lost {}
    /// It is, and its state is needed once more.
    21 Wanted {}
    /// These pages come once the process runs at its destination.
    22 Behind {
        /// Some of them.
        runs: Vec<PageRun>,
    }
    /// It is owned here and runs, and these pages are still to come.
    23 Missing {
        /// Some of them.
        runs: Vec<PageRun>,
    }
    /// The process waits for this page.
    24 Need {
        /// The memory.
        memory: u32,
        /// The page.
        page: u64,
    }
    /// Pages that are still to come are lost: their host has died since. There may be an older state.
    25 Bereft {
        /// Which process.
        id: ProcessId,
        /// The epoch that it has.
        epoch: u64,
    }

    /// A connection whose socket stays where it is.
    26 Lane {
        /// How it is.
        state: LaneState,
    }
    /// A listener whose socket stays where it is.
    27 Door {
        /// Which one.
        door: LaneId,
    }

    /// The terminal of a process.
    30 Attach {
        /// Which process.
        id: ProcessId,
        /// How many bytes of its standard output and standard error were seen.
        seen: [u64; 2],
        /// Whether the terminal goes on from what it has; else it takes what is there.
        goes_on: bool,
    }
    /// The terminal is attached.
    31 Attached {
        /// The name of the program.
        name: String,
        /// Input is wanted from this byte on.
        input: u64,
        /// Output comes from these bytes on.
        output: [u64; 2],
    }
    /// Output of the process.
    32 Output {
        /// 1 or 2.
        stream: u8,
        /// How many bytes came before on this stream.
        position: u64,
        /// The bytes.
        bytes: Vec<u8>,
    }
    /// Output has reached its place.
    33 Seen {
        /// So many bytes of standard output and of standard error.
        seen: [u64; 2],
    }
    /// Input for the process.
    34 Input {
        /// How many bytes came before.
        position: u64,
        /// The bytes.
        bytes: Vec<u8>,
    }
    /// Input is at its end.
    35 InputEnd {
        /// How long it was.
        position: u64,
    }
    /// Input that will not be asked for again.
    36 Taken {
        /// So many bytes.
        position: u64,
        /// So many have come.
        received: u64,
    }
    /// A signal of the terminal.
    37 Signal {
        /// Its number.
        number: u8,
    }
    /// The process has ended.
    38 Exited {
        /// With this code.
        code: u8,
        /// What there is to be said; empty if nothing is.
        text: String,
    }
    /// The process is elsewhere.
    39 Moved {
        /// There.
        address: String,
    }

    /// Somebody keeps sockets of a process, and speaks for them.
    40 Keep {
        /// Which process.
        id: ProcessId,
        /// Who keeps them.
        keeper: [u8; 16],
    }
    /// The process has these lanes and doors of that keeper.
    41 Kept {
        /// Its connections.
        lanes: Vec<LanePosition>,
        /// Its listeners.
        doors: Vec<u64>,
    }
    /// Somebody has called.
    42 Caller {
        /// At this door.
        door: u64,
        /// And has this lane.
        lane: u64,
    }
    /// The process knows of the call.
    43 Called {
        /// The lane.
        lane: u64,
    }
    /// A caller says something.
    44 FromCaller {
        /// On this lane.
        lane: u64,
        /// How many bytes came before.
        position: u64,
        /// The bytes.
        bytes: Vec<u8>,
    }
    /// A caller says nothing more.
    45 CallerEnded {
        /// On this lane.
        lane: u64,
        /// How many bytes came in all.
        position: u64,
    }
    /// The process says something.
    46 ToCaller {
        /// On this lane.
        lane: u64,
        /// How many bytes came before.
        position: u64,
        /// The bytes.
        bytes: Vec<u8>,
    }
    /// The process says nothing more.
    47 ToCallerEnded {
        /// On this lane.
        lane: u64,
        /// How many bytes came in all.
        position: u64,
    }
    /// What the process said has left for its caller.
    48 Reached {
        /// On this lane.
        lane: u64,
        /// So many bytes in all.
        position: u64,
    }
    /// The process has read what its caller said.
    49 Read {
        /// On this lane.
        lane: u64,
        /// So many bytes in all.
        position: u64,
    }
    /// A lane or door is over: of the keeper, that its caller is gone; of the process, that it has
    /// closed it.
    59 Gone {
        /// Which one.
        lane: u64,
    }

    /// Which processes are there?
    50 List {}
    /// These.
    51 Listing {
        /// The processes.
        processes: Vec<Listed>,
    }
    /// A program that is to start.
    52 Push {
        /// Its name.
        name: String,
        /// Its arguments, its own name first.
        args: Vec<Vec<u8>>,
        /// BLAKE3 of its module.
        hash: [u8; 32],
        /// How many bytes that has.
        bytes: u64,
    }
    /// It runs.
    53 Started {
        /// Under this name.
        id: ProcessId,
    }
    /// Something is to be done with a process: `pause`, `resume`, `kill`.
    54 Steer {
        /// The first digits of its name.
        id: String,
        /// What.
        verb: String,
    }
    /// A process is to move on.
    55 Migrate {
        /// The first digits of its name.
        id: String,
        /// Where to.
        address: String,
        /// How.
        mode: Mode,
    }
    /// How far a move has come.
    56 Progressed {
        /// So far.
        progress: Progress,
    }
    /// Somebody decides about a process that was given up and whose destination cannot be reached.
    58 Resolve {
        /// The first digits of its name.
        id: String,
        /// Whether it goes on here; else it is at its destination, if it is anywhere.
        here: bool,
    }
    /// Which process is meant by these first digits?
    57 Find {
        /// The digits.
        id: String,
    }
}

/// What stands in messages.
trait Field: Sized {
    fn put(&self, writer: &mut Writer);
    fn get(reader: &mut Reader<'_>) -> Read<Self>;
}

macro_rules! fields {
    ($($ty:ty: |$value:ident, $writer:ident| $put:expr, |$reader:ident| $get:expr;)*) => {$(
        impl Field for $ty {
            fn put(&self, $writer: &mut Writer) {
                let $value = self;
                $put;
            }
            fn get($reader: &mut Reader<'_>) -> Read<Self> {
                $get
            }
        }
    )*};
}

fields! {
    u8: |value, writer| writer.u8(*value), |reader| reader.u8();
    u32: |value, writer| writer.var((*value).into()), |reader| reader.var32();
    u64: |value, writer| writer.var(*value), |reader| reader.var();
    bool: |value, writer| writer.u8((*value).into()), |reader| reader.flag();
    String: |value, writer| writer.bytes(value.as_bytes()), |reader| reader.text();
    Vec<u8>: |value, writer| writer.bytes(value), |reader| reader.vec();
    Vec<u64>: |value, writer| writer.list(value, |writer, &item| writer.var(item)),
        |reader| reader.list(Reader::var);
    Vec<Vec<u8>>: |value, writer| writer.list(value, |writer, item| writer.bytes(item)),
        |reader| reader.list(Reader::vec);
    Vec<bool>: |value, writer| writer.flags(value), |reader| reader.flags();
    [u64; 2]: |value, writer| value.iter().for_each(|&item| writer.var(item)),
        |reader| Ok([reader.var()?, reader.var()?]);
    [u8; 32]: |value, writer| writer.raw(value), |reader| reader.array();
    [u8; 16]: |value, writer| writer.raw(value), |reader| reader.array();
    Vec<LanePosition>: |value, writer| writer.list(value, |writer, item| item.put(writer)),
        |reader| reader.list(LanePosition::get);
    ProcessId: |value, writer| writer.raw(&value.0), |reader| reader.array().map(ProcessId);
    Mode: |value, writer| writer.u8(*value as u8), |reader| match reader.u8()? {
        0 => Ok(Mode::Cold),
        1 => Ok(Mode::Live),
        2 => Ok(Mode::Postcopy),
        _ => reader.malformed("a way to move is not known"),
    };
    Vec<PageRun>: |value, writer| writer.list(value, |writer, item| item.put(writer)),
        |reader| reader.list(PageRun::get);
    Vec<Listed>: |value, writer| writer.list(value, |writer, item| item.put(writer)),
        |reader| reader.list(Listed::get);
    Stage: |value, writer| writer.u8(*value as u8), |reader| match reader.u8()? {
        0 => Ok(Stage::Accepted),
        1 => Ok(Stage::Round),
        2 => Ok(Stage::Moved),
        3 => Ok(Stage::Durable),
        4 => Ok(Stage::Followed),
        _ => reader.malformed("a stage is not known"),
    };
    Box<Offer>: |offer, writer| write_offer(offer, writer), |reader| read_offer(reader);
}

macro_rules! structs {
    ($($ty:ident { $($field:ident),* })*) => {$(
        impl Field for $ty {
            fn put(&self, writer: &mut Writer) {
                $(self.$field.put(writer);)*
            }
            fn get(reader: &mut Reader<'_>) -> Read<Self> {
                Ok($ty { $($field: Field::get(reader)?),* })
            }
        }
    )*};
}

structs! {
    Listed { id, name, state, epoch, is_attached, memory_bytes, cpu_ns, uptime_ns }
    Progress { stage, round, pages, bytes, ns, downtime_ns }
    Refusal { fd, what, why, remedy }
    OfferedModule { name, hash, bytes }
    PageRun { memory, first, count }
    LaneId { keeper, number }
    LanePosition { lane, input, output }
    LaneState {
        lane, waits_at, input, output, bytes, output_ended, input_ended, is_closed, is_broken
    }
}

impl Field for Option<LaneId> {
    fn put(&self, writer: &mut Writer) {
        writer.option(self.as_ref(), |writer, value| value.put(writer));
    }
    fn get(reader: &mut Reader<'_>) -> Read<Self> {
        reader.option(LaneId::get)
    }
}

impl Field for Option<u32> {
    fn put(&self, writer: &mut Writer) {
        writer.option(*self, |writer, value| writer.var(value.into()));
    }
    fn get(reader: &mut Reader<'_>) -> Read<Self> {
        reader.option(Reader::var32)
    }
}

fn write_offer(offer: &Offer, writer: &mut Writer) {
    offer.id.put(writer);
    offer.epoch.put(writer);
    offer.name.put(writer);
    writer.flags(&[offer.deterministic, offer.fuel]);
    writer.list(&offer.modules, |writer, module| module.put(writer));
    offer.memories_wasm_pages.put(writer);
    let mut asked = offer.resources.clone();
    for descriptor in &mut asked.descriptors {
        // The bytes come with the state; here it is said that they will.
        if let Action::Copy(bytes) = &mut descriptor.action {
            bytes.clear();
        }
    }
    writer.raw(&resources::write(&asked));
}

fn read_offer(reader: &mut Reader<'_>) -> Read<Box<Offer>> {
    let (id, epoch, name) = (Field::get(reader)?, Field::get(reader)?, Field::get(reader)?);
    let [deterministic, fuel] = reader.flags()?[..] else {
        return reader.malformed("it has another number of flags");
    };
    let modules = reader.list(OfferedModule::get)?;
    let memories_wasm_pages = Field::get(reader)?;
    let resources = resources::read(Reader::new(Section::Message, reader.rest()))?;
    let offer =
        Offer { id, epoch, name, deterministic, fuel, modules, memories_wasm_pages, resources };
    Ok(Box::new(offer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Message> {
        let module = OfferedModule { name: String::new(), hash: [3; 32], bytes: 700 };
        let offer = Offer {
            id: ProcessId([1; 16]),
            epoch: 300,
            name: "counter".to_owned(),
            deterministic: false,
            fuel: true,
            modules: vec![module],
            memories_wasm_pages: vec![1, 70_000],
            resources: KernelState { args: vec![b"counter".to_vec()], ..KernelState::default() },
        };
        let listed = Listed {
            id: ProcessId([2; 16]),
            name: "a".to_owned(),
            state: "running".to_owned(),
            epoch: 2,
            is_attached: true,
            memory_bytes: 1 << 40,
            cpu_ns: 1,
            uptime_ns: 2,
        };
        let refusal = Refusal { fd: Some(4), what: "x".to_owned(), ..Refusal::default() };
        let progress =
            Progress { stage: Stage::Round, round: 1, pages: 2, bytes: 3, ns: 4, downtime_ns: 5 };
        let lane = LaneState {
            lane: LaneId { keeper: [6; 16], number: 3 },
            waits_at: Some(LaneId { keeper: [6; 16], number: 1 }),
            input: 1 << 20,
            output: 77,
            bytes: vec![9, 8],
            output_ended: true,
            input_ended: false,
            is_closed: true,
            is_broken: false,
        };
        vec![
            Message::Hello { version: PROTOCOL_VERSION },
            Message::Offered { offer: Box::new(offer) },
            Message::Accept { wanted: vec![true, false] },
            Message::Refuse { refusal },
            Message::Lane { state: lane },
            Message::Door { door: LaneId { keeper: [6; 16], number: 1 << 33 } },
            Message::Keep { id: ProcessId([4; 16]), keeper: [6; 16] },
            Message::Kept {
                lanes: vec![LanePosition { lane: 1, input: 300, output: 1 << 34 }],
                doors: vec![2],
            },
            Message::FromCaller { lane: 1, position: 5, bytes: vec![1, 2] },
            Message::Listing { processes: vec![listed] },
            Message::Progressed { progress },
            Message::Attach { id: ProcessId([9; 16]), seen: [1, 1 << 50], goes_on: true },
            Message::Output { stream: 2, position: 77, bytes: b"abc".to_vec() },
            Message::Missing { runs: vec![PageRun { memory: 0, first: 1 << 30, count: 7 }] },
            Message::Need { memory: 1, page: 300 },
            Message::Migrate { id: "a".to_owned(), address: "b".to_owned(), mode: Mode::Postcopy },
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        for message in samples() {
            let (kind, payload) = message.write();
            assert_eq!(Message::read(kind, &payload).ok().as_ref(), Some(&message));
        }
    }

    /// The seeds of the fuzz target `message`: a frame each, with a message or with pages.
    #[test]
    fn the_seeds_of_the_fuzzer_are_what_peers_say() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/message");
        let mut frames: Vec<(u8, Vec<u8>)> = samples().iter().map(Message::write).collect();
        let mut pages = super::super::PagesFrame::default();
        pages.add(0, 3, Some(&[7; 4096]));
        pages.add(1, 9, None);
        frames.push((PAGES, [&pages.runs()[..], pages.contents()].concat()));
        for (number, (kind, payload)) in frames.iter().enumerate() {
            let mut seed = Vec::new();
            super::super::write_frame(&mut seed, *kind, &[payload]).expect("a vector takes all");
            let path = format!("{folder}/{number:02}");
            if std::env::var_os("BLESS").is_some() {
                std::fs::create_dir_all(folder).expect("a folder");
                std::fs::write(&path, &seed).expect("room");
            }
            let found = std::fs::read(&path).expect("a seed; BLESS=1 writes it");
            assert!(found == seed, "{path}: BLESS=1 writes it again");
        }
    }

    #[test]
    fn every_cut_and_every_byte_too_much_is_an_error() {
        for message in samples() {
            let (kind, payload) = message.write();
            for cut in 0..payload.len() {
                assert!(Message::read(kind, &payload[..cut]).is_err(), "{message:?} at {cut}");
            }
            assert!(Message::read(kind, &[&payload[..], &[0]].concat()).is_err());
        }
        assert!(Message::read(0, &[]).is_err());
        assert!(Message::read(PAGES, &[]).is_err());
    }

    #[test]
    fn no_change_of_a_byte_panics() {
        for message in samples() {
            let (kind, payload) = message.write();
            for at in 0..payload.len() {
                for bit in 0..8 {
                    let mut bytes = payload.clone();
                    bytes[at] ^= 1 << bit;
                    // Whatever it says, it says it in bounds.
                    let _ = Message::read(kind, &bytes);
                }
            }
        }
    }
}
