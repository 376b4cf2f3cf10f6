//! The writers' lock: one word that names its owner, in a page that a forked child finds
//! empty.
//!
//! A thread that finds itself the owner is a signal handler (or a `vfork` child) above its own
//! interrupted mutation. It does not wait; it is told so and goes on, because every mutation
//! can be interrupted anywhere (see `write.rs`).
#![expect(unsafe_code, reason = "places the lock word in a mapping of its own")]

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::host;
use crate::sync::{Pointer, Word, Word32, thread_id};

const WAITERS: usize = 1;
const SPINS: usize = 40;

/// The lock.
#[repr(C)]
pub(crate) struct Lock {
    word: Pointer<Word>,
    /// Outside the wiped page: still set in a child that was forked inside a mutation.
    busy: Word32,
}

/// What the owner knows about the state it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// No mutation is under way.
    Clean,
    /// A mutation of a thread that this process does not have was under way at `fork`.
    Orphaned,
    /// A mutation of this very thread is under way below.
    Nested,
}

/// Possession of the lock.
pub(crate) struct Guard<'a> {
    lock: &'a Lock,
    word: &'a Word,
    /// How the lock was found.
    pub(crate) entry: Entry,
}

impl Guard<'_> {
    /// Whether this is not a mutation above an interrupted one: it may use what only the owner
    /// of the lock uses.
    #[inline(always)]
    pub(crate) fn is_own(&self) -> bool {
        self.entry != Entry::Nested
    }
}

impl Lock {
    pub(crate) const fn new() -> Self {
        Self { word: Pointer::null(), busy: Word32::new(0) }
    }

    /// The lock word, or `None` when there is no memory for it.
    fn word(&self) -> Option<&Word> {
        let mut place = self.word.load(Acquire);
        if place.is_null() {
            let page = host::map_wiped_on_fork().cast::<Word>();
            if page.is_null() {
                return None;
            }
            place = match self.word.replace(ptr::null_mut(), page) {
                Ok(_) => page,
                Err(other) => {
                    // SAFETY: nobody else has seen this page.
                    unsafe { host::unmap(page.cast(), 4096) };
                    other
                }
            };
        }
        // SAFETY: set once to a mapped zeroed page, never unmapped while the lock is in use.
        Some(unsafe { &*place })
    }

    /// Takes the lock, waiting for other threads but never for the calling one. `None` when
    /// there is no memory for the lock word.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Guard<'_>> {
        let word = self.word()?;
        let me = thread_id();
        if let Err(owner) = word.replace(0, me) {
            if owner & !WAITERS == me {
                return Some(Guard { lock: self, word, entry: Entry::Nested });
            }
            Self::wait(word, me);
        }
        // A handler cannot see this before it is set: until then it is nested by the word.
        let entry = if self.busy.load(Relaxed) == 0 { Entry::Clean } else { Entry::Orphaned };
        self.busy.store(1, Relaxed);
        Some(Guard { lock: self, word, entry })
    }

    #[cold]
    fn wait(word: &Word, me: usize) {
        for _ in 0..SPINS {
            core::hint::spin_loop();
            if word.load(Relaxed) == 0 && word.replace(0, me).is_ok() {
                return;
            }
        }
        loop {
            let seen = word.load(Relaxed);
            if seen == 0 {
                // Others may sleep as well: keep the mark, so that our release wakes one.
                if word.replace(0, me | WAITERS).is_ok() {
                    return;
                }
            } else if seen & WAITERS != 0 || word.replace(seen, seen | WAITERS).is_ok() {
                #[cfg(test)]
                if crate::tests::hook::wait() {
                    continue;
                }
                host::wait(ptr::from_ref(word).cast(), (seen | WAITERS) as u32);
            }
        }
    }

    /// Gives the page of the lock word back.
    ///
    /// # Safety
    /// Nobody uses the lock any more.
    #[cfg(test)]
    pub(crate) unsafe fn unmap(&self) {
        let page = self.word.swap(ptr::null_mut(), Relaxed);
        if !page.is_null() {
            // SAFETY: the caller's promise.
            unsafe { host::unmap(page.cast(), 4096) };
        }
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.entry == Entry::Nested {
            return;
        }
        self.lock.busy.store(0, Relaxed);
        if self.word.swap(0, Release) & WAITERS != 0 {
            host::wake(ptr::from_ref(self.word).cast());
        }
    }
}
