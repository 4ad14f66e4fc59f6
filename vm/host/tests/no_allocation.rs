//! The paths of reading and writing allocate nothing: counted, not promised.

mod fixture;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};

use brant_kernel::host::{Clock, Host};
use fixture::{CREATE, Fixture};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is the system allocator's own, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above, that is from `System`, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn reading_writing_and_asking_the_time_allocate_nothing() {
    let mut f = Fixture::new();
    let file = f.open("file", CREATE).unwrap();
    let (mut a, mut b) = ([0; 16], [0; 16]);
    let before = ALLOCATIONS.with(Cell::get);
    for number in 0..100_u64 {
        let pieces = [IoSlice::new(b"0123456789abcdef"), IoSlice::new(b"0123456789abcdef")];
        assert_eq!(f.host.write_at(file, &pieces[..1], number * 32), Ok(16));
        assert_eq!(f.host.write_at(file, &pieces, number * 32), Ok(32));
        assert!(f.host.append(file, &pieces).is_ok());
        let buffers = &mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)];
        assert_eq!(f.host.read_at(file, buffers, number * 16), Ok(32));
        assert_eq!(f.host.read_at(file, &mut buffers[..1], number * 16), Ok(16));
        assert!(f.host.now_ns(Clock::Monotonic).is_ok());
        assert!(f.host.random(&mut a).is_ok());
        assert!(f.host.stat(file).is_ok());
        assert!(f.host.stat_at(f.root, b"file", brant_kernel::host::Follow::Yes).is_ok());
    }
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
}
