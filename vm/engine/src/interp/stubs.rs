//! Records that belong to no function.

use crate::interp::dispatch::{Handler, handler};
use crate::interp::step::special::{Done, Native, SwitchBack, Translate};

/// A record.
#[repr(C)]
struct Stub {
    handler: Handler,
    operands: u64,
}

const fn stub(handler: Handler) -> Stub {
    Stub { handler, operands: 0 }
}

static UNTRANSLATED: Stub = stub(handler::<Translate>());
static NATIVE: Stub = stub(handler::<Native>());
static DONE: Stub = stub(handler::<Done>());
static SWITCH_BACK: Stub = stub(handler::<SwitchBack>());

fn record(stub: &'static Stub) -> *const u8 {
    (&raw const *stub).cast()
}

/// The code of functions that have none yet.
pub(crate) fn untranslated() -> *const u8 {
    record(&UNTRANSLATED)
}

/// The code of functions that are compiled.
pub(crate) fn native() -> *const u8 {
    record(&NATIVE)
}

/// Where the outermost frame returns to.
pub(crate) fn done() -> *const u8 {
    record(&DONE)
}

/// Where a function returns to that was called from another instance.
pub(crate) fn switch_back() -> *const u8 {
    record(&SWITCH_BACK)
}
