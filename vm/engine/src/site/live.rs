//! Which locals may still be read, at each site.
//!
//! Dead locals are zero in every captured frame, so that the frame does not depend on who captured
//! it, and compiled code need not keep them for a stop.
//!
//! The walk writes down what matters as events; the sets are found by going through them backwards.
//! Only loops need more than one round: a branch back to a header needs the header's set.

/// What a body does to its locals, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Reads a local.
    Get(u32),
    /// Writes a local.
    Set(u32),
    /// A block begins.
    Open(Opened),
    /// The first half of an `if` ends, the other begins.
    Else,
    /// A block ends.
    End(Opened),
    /// Goes to a label.
    Br(u32),
    /// Goes to a label, or on.
    BrIf(u32),
    /// Goes to one of the labels from the first index on to the second in `Events::targets`.
    BrTable(u32, u32),
    /// Leaves the function.
    Leave,
    /// A site.
    Site(u32),
}

/// What a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// `block`.
    Block,
    /// The loop of this number.
    Loop(u32),
    /// `if`.
    If,
}

/// All events of a body.
#[derive(Default, Debug)]
pub struct Events {
    list: Vec<Event>,
    targets: Vec<u32>,
    loops: usize,
}

/// Sets may take so much memory in total; beyond that every local counts as live everywhere.
const MAX_SET_BYTES: usize = 32 << 20;

/// So many rounds may be needed for loops inside of loops; beyond that every local is live.
const MAX_ROUNDS: usize = 12;

/// The live locals of each site.
#[derive(Clone, Debug)]
pub struct Liveness {
    locals_count: usize,
    words: usize,
    /// For each site the number of its row; `NO_ROW` where all locals are live.
    rows: Vec<u32>,
    bits: Vec<u64>,
}

const NO_ROW: u32 = u32::MAX;

/// A set of locals.
#[derive(Clone, Copy, Debug)]
pub struct LiveSet<'a> {
    locals_count: usize,
    /// None if all are in it.
    bits: Option<&'a [u64]>,
}

impl LiveSet<'_> {
    /// Whether a local is in it.
    pub fn contains(&self, local: u32) -> bool {
        let local = local as usize;
        let in_set = |bits: &[u64]| bits[local / 64] >> (local % 64) & 1 != 0;
        local < self.locals_count && self.bits.is_none_or(in_set)
    }

    /// Its locals, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.locals_count as u32).filter(|&local| self.contains(local))
    }
}

impl Liveness {
    /// The set of a site.
    pub fn at(&self, site: usize) -> LiveSet<'_> {
        let row = self.rows.get(site).copied().filter(|&row| row != NO_ROW);
        let bits = row.map(|row| &self.bits[row as usize * self.words..][..self.words]);
        LiveSet { locals_count: self.locals_count, bits }
    }

    fn all(locals_count: usize) -> Self {
        Self { locals_count, words: 0, rows: Vec::new(), bits: Vec::new() }
    }
}

impl Events {
    /// Writes down an event.
    pub fn push(&mut self, event: Event) {
        if let Event::Open(Opened::Loop(_)) = event {
            self.loops += 1;
        }
        self.list.push(event);
    }

    /// Writes down a branch by a table.
    pub fn branch_table(&mut self, depths: impl Iterator<Item = u32>) {
        let first = self.targets.len();
        self.targets.extend(depths);
        // Labels that come up again and again say nothing new.
        self.targets[first..].sort_unstable();
        let mut last = None;
        let mut kept = first;
        for i in first..self.targets.len() {
            let depth = self.targets[i];
            if last != Some(depth) {
                self.targets[kept] = depth;
                kept += 1;
                last = Some(depth);
            }
        }
        self.targets.truncate(kept);
        self.list.push(Event::BrTable(first as u32, kept as u32));
    }

    /// The live locals of each of `sites_count` sites.
    pub fn liveness(&self, locals_count: usize, sites_count: usize) -> Liveness {
        let words = locals_count.div_ceil(64);
        let site_rows = self.list.iter().filter(|event| matches!(event, Event::Site(_))).count();
        let deepest = self.depth();
        // A block keeps its end, and an `if` the start of its other half too.
        let sets = self.loops + site_rows + 2 * deepest + 1;
        if words == 0 || sets.saturating_mul(words * 8) > MAX_SET_BYTES {
            return Liveness::all(locals_count);
        }
        let mut headers = vec![vec![0; words]; self.loops];
        let mut found = Liveness { locals_count, words, rows: Vec::new(), bits: Vec::new() };
        for _ in 0..MAX_ROUNDS {
            found.rows.clear();
            found.rows.resize(sites_count, NO_ROW);
            found.bits.clear();
            if !Round::new(self, &mut headers, &mut found).run() {
                return found;
            }
        }
        Liveness::all(locals_count)
    }

    fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (1, 1);
        for event in &self.list {
            match event {
                Event::Open(_) => depth += 1,
                Event::End(_) => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }
}

type Set = Vec<u64>;

fn unite(set: &mut [u64], other: &[u64]) {
    for (word, other) in set.iter_mut().zip(other) {
        *word |= other;
    }
}

/// A block around the place where a round is.
struct Label {
    opened: Opened,
    /// What is live behind its end.
    end: Set,
    /// What is live where its other half begins.
    other: Option<Set>,
}

/// One way through the events, from the end to the start.
struct Round<'a> {
    events: &'a Events,
    headers: &'a mut [Set],
    found: &'a mut Liveness,
    live: Set,
    labels: Vec<Label>,
    /// Whether a header's set has grown.
    grew: bool,
}

impl<'a> Round<'a> {
    fn new(events: &'a Events, headers: &'a mut [Set], found: &'a mut Liveness) -> Self {
        let empty = vec![0; found.words];
        let function = Label { opened: Opened::Block, end: empty.clone(), other: None };
        Self { events, headers, found, live: empty, labels: vec![function], grew: false }
    }

    /// Whether another round is needed.
    fn run(mut self) -> bool {
        for &event in self.events.list.iter().rev() {
            self.event(event);
        }
        self.grew
    }

    /// What is live where a branch of this depth leads.
    fn target(&self, depth: u32) -> &Set {
        let label = &self.labels[self.labels.len() - 1 - depth as usize];
        match label.opened {
            Opened::Loop(number) => &self.headers[number as usize],
            _ => &label.end,
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Get(local) => self.live[local as usize / 64] |= 1 << (local % 64),
            Event::Set(local) => self.live[local as usize / 64] &= !(1 << (local % 64)),
            Event::End(opened) => {
                self.labels.push(Label { opened, end: self.live.clone(), other: None });
            }
            Event::Else => {
                let label = self.labels.last_mut().expect("an else lies in an if");
                let end = label.end.clone();
                label.other = Some(std::mem::replace(&mut self.live, end));
            }
            Event::Open(_) => self.open(),
            Event::Br(depth) => self.live = self.target(depth).clone(),
            Event::BrIf(depth) => {
                let mut live = std::mem::take(&mut self.live);
                unite(&mut live, self.target(depth));
                self.live = live;
            }
            Event::BrTable(first, end) => {
                let mut live = vec![0; self.found.words];
                for &depth in &self.events.targets[first as usize..end as usize] {
                    unite(&mut live, self.target(depth));
                }
                self.live = live;
            }
            Event::Leave => self.live.fill(0),
            Event::Site(id) => {
                let row = self.found.bits.len() / self.found.words;
                self.found.rows[id as usize] = row as u32;
                self.found.bits.extend_from_slice(&self.live);
            }
        }
    }

    fn open(&mut self) {
        let label = self.labels.pop().expect("what opens was closed");
        match label.opened {
            Opened::Block => {}
            Opened::If => unite(&mut self.live, label.other.as_ref().unwrap_or(&label.end)),
            Opened::Loop(number) => {
                let header = &mut self.headers[number as usize];
                if *header != self.live {
                    unite(header, &self.live);
                    self.grew = true;
                }
            }
        }
    }
}
