//! Layouts that were found: to find one is a walk over a whole function, a thread that is stopped
//! again and again stands at the same few sites, and a recursion stands at one many times.

use std::collections::HashMap;
use std::sync::Arc;

use crate::frame::capture::Layout;
use crate::site::{SiteId, SiteKind};

/// Places of values that all layouts together may have; some megabytes.
const MAX_PLACES: usize = 1 << 18;

/// What a layout has besides its places, counted in them.
const OWN_PLACES: usize = 16;

/// How a site is known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Key {
    /// By the record at an address, which is the same for as long as the store lives.
    Record { instance: u32, address: usize, kind: Option<SiteKind> },
    /// By its number.
    Site { instance: u32, function: u32, site: SiteId },
}

/// The layouts of a store.
#[derive(Default, Debug)]
pub(crate) struct Layouts {
    known: HashMap<Key, Arc<Layout>>,
    places_count: usize,
}

impl Layouts {
    /// One that was kept.
    pub fn get(&self, key: &Key) -> Option<Arc<Layout>> {
        self.known.get(key).cloned()
    }

    /// Keeps one, and forgets all others if there are too many.
    pub fn keep(&mut self, key: Key, layout: Layout) -> Arc<Layout> {
        self.places_count += OWN_PLACES + layout.len();
        if self.places_count > MAX_PLACES {
            self.known.clear();
            self.places_count = OWN_PLACES + layout.len();
        }
        let layout = Arc::new(layout);
        self.known.insert(key, layout.clone());
        layout
    }
}
