//! Who waits at which address of a memory, in the order of arrival.
//!
//! A wait is data: it names an address and an entry of the queue here, and no thread of the host
//! sleeps for it. Whoever runs guest threads lets one go on when it was woken or when its time is
//! over. Knows no clock.
//!
//! Spec: threads proposal, "wait and notify operators".

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is called when somebody was woken, from the thread that wakes.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// The queues of one memory.
#[derive(Default)]
pub(crate) struct WaitQueue(Mutex<BTreeMap<u64, VecDeque<Arc<Waiter>>>>);

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

    /// A wait that is over.
    pub fn over(state: WaitState) -> Arc<Self> {
        let (state, ticket) = (AtomicU8::new(state as u8), AtomicU64::new(0));
        Arc::new(Self { state, ticket, wake: None })
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
            queues.entry(address).or_default().push_back(waiter.clone());
        }
        enters
    }

    /// Wakes the first `count` of those who wait at `address`, and says how many there were.
    pub fn notify(&self, address: u64, count: u32) -> u32 {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(&address) else { return 0 };
        let woken: Vec<_> = queue.drain(..queue.len().min(count as usize)).collect();
        if queue.is_empty() {
            queues.remove(&address);
        }
        for waiter in &woken {
            waiter.state.store(WaitState::Woken as u8, Ordering::Release);
        }
        drop(queues);
        for wake in woken.iter().filter_map(|waiter| waiter.wake.as_ref()) {
            wake();
        }
        woken.len() as u32
    }

    /// Takes `waiter` out of the queue of `address`, with this state; false if it was woken before.
    pub fn leave(&self, address: u64, waiter: &Arc<Waiter>, state: WaitState) -> bool {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(&address) else { return false };
        let Some(at) = queue.iter().position(|other| Arc::ptr_eq(other, waiter)) else {
            return false;
        };
        queue.remove(at);
        if queue.is_empty() {
            queues.remove(&address);
        }
        waiter.state.store(state as u8, Ordering::Release);
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, VecDeque<Arc<Waiter>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(queue.lock().is_empty(), "a queue of nobody takes no room");
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
