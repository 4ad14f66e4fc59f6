//! Values that stay where they are while handlers hold their addresses.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A value on the heap, owned through a raw pointer.
///
/// A `Box` claims that nobody else reaches its content, which handlers do.
pub struct Stable<T>(NonNull<T>);

impl<T> Stable<T> {
    /// Moves `value` to its place.
    pub fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    /// Its address, valid until `self` is dropped.
    pub fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Deref for Stable<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the pointer came from a box that only `drop` frees. Handlers use their copies of
        // the address only while they run, and then nobody holds a reference.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for Stable<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` excludes other references.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for Stable<T> {
    fn drop(&mut self) {
        // SAFETY: `new` leaked this box, and nothing else frees it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
