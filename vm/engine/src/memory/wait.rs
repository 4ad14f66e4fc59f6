//! Who waits at which address of a memory, in the order of arrival.
//!
//! A wait is data: it names an address and an entry of the queue here, and no thread of the host
//! sleeps for it. Whoever runs guest threads lets one go on when it was woken or when its time is
//! over. Knows no clock.
//!
//! Spec: threads proposal, "wait and notify operators".

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is called when somebody was woken, from the thread that wakes.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The queues of one memory.
#[derive(Default)]
pub(crate) struct WaitQueue(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    by_address: HashMap<u64, VecDeque<Arc<Waiter>>, Multiply>,
    /// How many of them nobody waits in.
    empty_count: usize,
}

/// Hashes addresses by a random odd number, which no guest knows: a few cycles, where the hash of the
/// standard library takes as long as all the rest of a wait.
#[derive(Clone)]
struct Multiply(u64);

/// The hash of one address.
struct Product(u64);

impl Default for Multiply {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0u64) | 1)
    }
}

impl BuildHasher for Multiply {
    type Hasher = Product;
    fn build_hasher(&self) -> Product {
        Product(self.0)
    }
}

impl Hasher for Product {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }
    fn write_u64(&mut self, address: u64) {
        // The upper half of the product is the better one, and tables look at both ends.
        let product = u128::from(self.0) * u128::from(address ^ self.0);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// So many queues of nobody stay for whoever waits there next: programs wait at few addresses, again
/// and again.
const EMPTY_KEPT: usize = 64;

/// One entry of a queue.
pub(crate) struct Waiter {
    state: AtomicU8,
    /// Whoever came later has a larger one, in all queues of the host process.
    ticket: AtomicU64,
    wake: Option<Wake>,
}

/// How a wait stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum WaitState {
    Waiting,
    Woken,
    TimedOut,
}

impl Waiter {
    pub fn new(wake: Option<Wake>) -> Arc<Self> {
        let state = AtomicU8::new(WaitState::Waiting as u8);
        Arc::new(Self { state, ticket: AtomicU64::new(0), wake })
    }

    /// A wait that is over. The entry may serve for the next one.
    pub fn over(state: WaitState, wake: Option<Wake>) -> Arc<Self> {
        let (state, ticket) = (AtomicU8::new(state as u8), AtomicU64::new(0));
        Arc::new(Self { state, ticket, wake })
    }

    /// Makes it one that nobody waits with, if nobody else has it.
    pub fn reset(this: &mut Arc<Self>) -> bool {
        match Arc::get_mut(this) {
            Some(waiter) => {
                *waiter.state.get_mut() = WaitState::Waiting as u8;
                true
            }
            None => false,
        }
    }

    /// When it entered its queue, among all that wait.
    pub fn ticket(&self) -> u64 {
        self.ticket.load(Ordering::Relaxed)
    }

    pub fn state(&self) -> WaitState {
        match self.state.load(Ordering::Acquire) {
            0 => WaitState::Waiting,
            1 => WaitState::Woken,
            _ => WaitState::TimedOut,
        }
    }
}

impl WaitQueue {
    /// Enters the queue of `address`, if `holds` says so while nobody can wake anybody there.
    pub fn enter(&self, address: u64, waiter: &Arc<Waiter>, holds: impl FnOnce() -> bool) -> bool {
        let mut queues = self.lock();
        let enters = holds();
        if enters {
            static NEXT: AtomicU64 = AtomicU64::new(1);
            // Under the lock of the queue, so that its order is that of the tickets.
            waiter.ticket.store(NEXT.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            queues.push(address, waiter.clone());
        }
        enters
    }

    /// Wakes the first `count` of those who wait at `address`, and says how many there were.
    pub fn notify(&self, address: u64, count: u32) -> u32 {
        let mut queues = self.lock();
        let Entry::Occupied(mut queue) = queues.by_address.entry(address) else { return 0 };
        let count = queue.get().len().min(count as usize);
        if count == 0 {
            return 0;
        }
        let first = queue.get_mut().pop_front();
        let others: Vec<_> = queue.get_mut().drain(..count - 1).collect();
        if queue.get().is_empty() {
            queues.is_empty_at(address);
        }
        let woken = || first.iter().chain(&others);
        for waiter in woken() {
            waiter.state.store(WaitState::Woken as u8, Ordering::Release);
        }
        drop(queues);
        for wake in woken().filter_map(|waiter| waiter.wake.as_ref()) {
            wake();
        }
        count as u32
    }

    /// Takes `waiter` out of the queue of `address`, with this state; false if it was woken before.
    pub fn leave(&self, address: u64, waiter: &Arc<Waiter>, state: WaitState) -> bool {
        // Whoever was woken is in no queue any more.
        if waiter.state() != WaitState::Waiting {
            return false;
        }
        let mut queues = self.lock();
        let Some(queue) = queues.by_address.get_mut(&address) else { return false };
        let Some(at) = queue.iter().position(|other| Arc::ptr_eq(other, waiter)) else {
            return false;
        };
        queue.remove(at);
        if queue.is_empty() {
            queues.is_empty_at(address);
        }
        waiter.state.store(state as u8, Ordering::Release);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn push(&mut self, address: u64, waiter: Arc<Waiter>) {
        match self.by_address.entry(address) {
            Entry::Occupied(mut queue) => {
                self.empty_count -= usize::from(queue.get().is_empty());
                queue.get_mut().push_back(waiter);
            }
            Entry::Vacant(place) => {
                place.insert(VecDeque::from([waiter]));
            }
        }
    }

    /// The last one has left the queue of `address`.
    fn is_empty_at(&mut self, address: u64) {
        if self.empty_count < EMPTY_KEPT {
            self.empty_count += 1;
        } else {
            self.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(count: usize) -> (WaitQueue, Vec<Arc<Waiter>>) {
        let queue = WaitQueue::default();
        let waiters: Vec<_> = (0..count).map(|_| Waiter::new(None)).collect();
        for waiter in &waiters {
            assert!(queue.enter(8, waiter, || true));
        }
        (queue, waiters)
    }

    #[test]
    fn the_first_to_come_are_the_first_to_go() {
        let (queue, waiters) = queue_of(3);
        assert_eq!(queue.notify(0, 9), 0, "nobody waits there");
        assert_eq!(queue.notify(8, 2), 2);
        let states: Vec<_> = waiters.iter().map(|waiter| waiter.state()).collect();
        assert_eq!(states, [WaitState::Woken, WaitState::Woken, WaitState::Waiting]);
        assert_eq!(queue.notify(8, u32::MAX), 1);
    }

    #[test]
    fn few_queues_of_nobody_are_kept() {
        let queue = WaitQueue::default();
        for address in (0..4 * EMPTY_KEPT as u64).map(|number| 8 * number) {
            let waiters = [Waiter::new(None), Waiter::new(None)];
            for waiter in &waiters {
                assert!(queue.enter(address, waiter, || true));
            }
            assert_eq!(queue.notify(address, 1), 1);
            assert!(queue.leave(address, &waiters[1], WaitState::TimedOut));
            assert_eq!(queue.notify(address, 1), 0);
        }
        assert_eq!(queue.lock().by_address.len(), EMPTY_KEPT);
        // One that was kept is as good as a new one.
        let mut waiter = Waiter::new(None);
        assert!(queue.enter(8, &waiter, || true));
        assert!(!Waiter::reset(&mut waiter), "it is in a queue");
        assert_eq!(queue.notify(8, 2), 1);
        assert!(Waiter::reset(&mut waiter));
        assert_eq!(waiter.state(), WaitState::Waiting);
        assert_eq!(queue.lock().empty_count, EMPTY_KEPT);
    }

    #[test]
    fn who_was_woken_is_not_late() {
        let (queue, waiters) = queue_of(2);
        assert!(queue.leave(8, &waiters[1], WaitState::TimedOut));
        assert_eq!(queue.notify(8, 5), 1);
        assert!(!queue.leave(8, &waiters[0], WaitState::TimedOut));
        assert_eq!(waiters[0].state(), WaitState::Woken);
        assert_eq!(waiters[1].state(), WaitState::TimedOut);
    }

    #[test]
    fn who_does_not_find_the_value_does_not_wait() {
        let (queue, waiters) = queue_of(1);
        assert!(!queue.enter(16, &waiters[0], || false));
        assert_eq!(queue.notify(16, 1), 0);
    }
}
