//! What a peer sends: frames one behind the other, as a connection brings them.
//!
//! Nothing of it panics or takes more memory than it has bytes; what is understood says the same once
//! it was written again; pages lie in their memories; and whatever a peer says in which order, a
//! process that is owned is never taken or given up without the messages that do that.
#![no_main]

use brant_mobility::SnapshotError;
use brant_mobility::migration::{
    Destination, DestinationDoes, DestinationHears, Message, PAGES, Source, SourceHears,
    read_frame, read_pages,
};
use libfuzzer_sys::fuzz_target;

/// Memories 0 and 1 have so many pages.
const PAGES_COUNT: u64 = 1 << 10;

fuzz_target!(|bytes: &[u8]| {
    let (mut reader, mut payload) = (bytes, Vec::new());
    let mut destination = Destination::default();
    let mut source = Source::Owns;
    while let Ok(kind) = read_frame(&mut reader, &mut payload) {
        if kind == PAGES {
            look_at_pages(&payload);
            continue;
        }
        let Ok(message) = Message::read(kind, &payload) else { continue };
        let (kind, written) = message.write();
        let again = Message::read(kind, &written).expect("what was understood");
        assert_eq!(again.write(), (kind, written), "it says the same");
        come(&mut destination, &message);
        go(&mut source, &message);
    }
});

fn look_at_pages(payload: &[u8]) {
    let mut contents = 0;
    let pages = |memory| if memory < 2 { PAGES_COUNT } else { 0 };
    let visit = |memory: u32, page, content: Option<&[u8; 4096]>| {
        assert!(memory < 2 && page < PAGES_COUNT);
        contents += content.map_or(0, |content| content.len());
        Ok::<(), SnapshotError>(())
    };
    // Whatever it says, it says it in bounds.
    let _ = read_pages(payload, pages, visit);
    assert!(contents <= payload.len());
}

/// What the node that a process comes to makes of a message.
fn come(destination: &mut Destination, message: &Message) {
    let before = *destination;
    let hears = match message {
        Message::Offered { offer } => DestinationHears::Offer { epoch: offer.epoch },
        Message::State { is_last: true, .. } => DestinationHears::Complete,
        Message::Commit { epoch, .. } => DestinationHears::Commit { epoch: *epoch },
        Message::Settle { epoch, .. } => DestinationHears::Settle { epoch: *epoch },
        Message::Done {} => DestinationHears::Cut,
        _ => return,
    };
    let does = destination.hears(hears);
    if !before.runs() && destination.runs() {
        assert_eq!(does, DestinationDoes::Own, "it runs once that is on the disk");
    }
    assert!(!before.runs() || destination.runs(), "no peer takes a process away");
}

/// What the host that a process leaves makes of an answer.
fn go(source: &mut Source, message: &Message) {
    let may_run = source.may_run();
    let hears = match message {
        Message::Migrate { .. } => SourceHears::Move,
        Message::Accept { .. } => SourceHears::Accept,
        Message::Refuse { .. } => SourceHears::Refuse,
        Message::Prepared {} => SourceHears::Prepared,
        Message::Owned { is_durable } => SourceHears::Owned { is_durable: *is_durable },
        Message::Missing { .. } => SourceHears::Owned { is_durable: false },
        Message::Lost {} => SourceHears::Lost,
        Message::Wanted {} => SourceHears::Wanted,
        _ => return,
    };
    source.hears(hears);
    if may_run && !source.may_run() {
        assert_eq!(hears, SourceHears::Prepared, "it is given up once all is there");
    }
    if !may_run && source.may_run() {
        assert_eq!(hears, SourceHears::Lost, "it comes back once nobody else has it");
    }
}
