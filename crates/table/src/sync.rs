//! Atomics with a schedule point before every access, and the identity of a thread.
//!
//! In an ordinary build the wrappers are the atomics of `core` and nothing else. In the unit
//! tests every access first calls the hook of the running test, which lets a scheduler switch
//! threads there (exhaustive interleavings) or run a "signal handler" there (nesting).

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A point at which another thread or a signal handler may run.
#[inline(always)]
pub(crate) fn point() {
    #[cfg(test)]
    crate::tests::hook::point();
}

/// The identity of the calling thread: unique among the threads that share this memory, never
/// zero, bit 0 clear. A `vfork` child has the identity of the thread that made it.
#[inline(always)]
pub(crate) fn thread_id() -> usize {
    #[cfg(test)]
    if let Some(id) = crate::tests::hook::thread_id() {
        return id;
    }
    crate::host::thread_pointer()
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $atomic:ty, $value:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        pub(crate) struct $name($atomic);

        #[allow(dead_code, reason = "one set of operations for every width")]
        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(<$atomic>::new(value))
            }
            #[inline(always)]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                point();
                self.0.load(order)
            }
            #[inline(always)]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                point();
                self.0.store(value, order);
            }
            #[inline(always)]
            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.swap(value, order)
            }
            #[inline(always)]
            pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_add(value, order)
            }
            #[inline(always)]
            pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_sub(value, order)
            }
            #[inline(always)]
            pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_or(value, order)
            }
            #[inline(always)]
            pub(crate) fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                point();
                self.0.fetch_and(value, order)
            }
            /// Compare and exchange, acquire-release on success, acquire on failure.
            #[inline(always)]
            pub(crate) fn replace(&self, old: $value, new: $value) -> Result<$value, $value> {
                point();
                self.0
                    .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            }
        }
    };
}

word!(
    /// A pointer-sized word.
    Word, AtomicUsize, usize
);
word!(
    /// A 32-bit word.
    Word32, AtomicU32, u32
);
word!(
    /// A 64-bit word.
    Word64, AtomicU64, u64
);

/// A pointer that several threads read and write.
#[repr(transparent)]
pub(crate) struct Pointer<T>(AtomicPtr<T>);

impl<T> Pointer<T> {
    pub(crate) const fn null() -> Self {
        Self(AtomicPtr::new(core::ptr::null_mut()))
    }
    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        point();
        self.0.load(order)
    }
    #[inline(always)]
    pub(crate) fn store(&self, value: *mut T, order: Ordering) {
        point();
        self.0.store(value, order);
    }
    #[inline(always)]
    pub(crate) fn swap(&self, value: *mut T, order: Ordering) -> *mut T {
        point();
        self.0.swap(value, order)
    }
    /// Compare and exchange, acquire-release on success, acquire on failure.
    #[inline(always)]
    pub(crate) fn replace(&self, old: *mut T, new: *mut T) -> Result<*mut T, *mut T> {
        point();
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
    }
}
