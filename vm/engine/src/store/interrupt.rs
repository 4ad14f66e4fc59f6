//! Stopping the guests of a store from any thread.
//!
//! The word is the request. Compiled code does not read it, but fields of its instance's block,
//! which only make it come and look: whoever asks sets the word first and those fields afterwards.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::instance::VmBlock;
use crate::vm::{COUNT, SAMPLE, STOP, STOP_LIMIT, WAKE};

/// The request of a store, and the blocks whose compiled code has to be woken.
#[derive(Debug, Default)]
pub struct Stopper {
    /// [`STOP`] when the store's guests shall stop, [`COUNT`] when they count their sites, [`SAMPLE`]
    /// when somebody wants to know where they are.
    pub word: AtomicU32,
    /// A list that only grows, so that a signal handler can go through it.
    blocks: AtomicPtr<Node>,
}

#[derive(Debug)]
struct Node {
    block: Arc<VmBlock>,
    next: *mut Node,
}

// SAFETY: nodes are made once and read by all; blocks are shared, and of them only atomic fields
// are used here.
unsafe impl Send for Stopper {}
// SAFETY: as above.
unsafe impl Sync for Stopper {}

impl Stopper {
    /// Has `block` woken by every request from now on.
    pub fn add(&self, block: Arc<VmBlock>) {
        let node = Box::into_raw(Box::new(Node { block, next: ptr::null_mut() }));
        let mut head = self.blocks.load(Ordering::Acquire);
        loop {
            // SAFETY: nobody else knows the node yet.
            unsafe { (*node).next = head };
            let order = (Ordering::AcqRel, Ordering::Acquire);
            match self.blocks.compare_exchange(head, node, order.0, order.1) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }

    /// Takes a request, if there is one.
    pub fn take(&self) -> bool {
        // A relaxed look first: there is rarely one, and reading alone keeps the line shared.
        self.word.load(Ordering::Relaxed) & STOP != 0
            && self.word.fetch_and(!STOP, Ordering::Acquire) & STOP != 0
    }

    /// Whether guests count their sites from now on.
    pub fn count(&self, counts: bool) {
        match counts {
            true => self.word.fetch_or(COUNT, Ordering::SeqCst),
            false => self.word.fetch_and(!COUNT, Ordering::SeqCst),
        };
    }

    /// Takes the wish for a sample, if there is one.
    pub fn take_sample(&self) -> bool {
        self.word.load(Ordering::Relaxed) & SAMPLE != 0
            && self.word.fetch_and(!SAMPLE, Ordering::Acquire) & SAMPLE != 0
    }

    /// Asks for a stop. Safe in a signal handler.
    pub fn ask(&self) {
        self.wake(STOP);
    }

    /// Sets a bit of the word and has compiled code come and look.
    fn wake(&self, bit: u32) {
        self.word.fetch_or(bit, Ordering::SeqCst);
        let mut node = self.blocks.load(Ordering::Acquire);
        while !node.is_null() {
            // SAFETY: nodes are freed with the list, which `self` keeps; so are their blocks.
            unsafe {
                let vm = (*node).block.vm();
                (*vm).native_limit.store(STOP_LIMIT, Ordering::SeqCst);
                (*vm).wake.store(WAKE, Ordering::SeqCst);
                node = (*node).next;
            }
        }
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        let mut node = *self.blocks.get_mut();
        while !node.is_null() {
            // SAFETY: `add` leaked it, and nobody else has the list any more.
            let owned = unsafe { Box::from_raw(node) };
            node = owned.next;
        }
    }
}

/// Stops the guests of a store, from any thread.
#[derive(Clone, Debug)]
pub struct Interrupt(pub(super) Arc<Stopper>);

impl Interrupt {
    /// Asks the running guest to stop at its next site, or the next run to stop at its first one.
    ///
    /// The run ends with [`crate::Stop::Interrupted`] and can go on. Requests do not add up. Safe in
    /// a signal handler.
    pub fn interrupt(&self) {
        self.0.ask();
    }

    /// Asks the running guest to say where it is, at its next site: see [`Store::keep_samples`](crate::Store::keep_samples).
    pub fn sample(&self) {
        self.0.wake(SAMPLE);
    }
}
