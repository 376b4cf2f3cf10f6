//! The environment at one instant: for iteration, and for `execve`.
//!
//! A snapshot is a copy of the array's pointers, taken without a lock and kept if no change
//! fell into the copying. What it points to stays readable because nothing is used again
//! while a snapshot is pinned.
#![expect(unsafe_code, reason = "copies shared raw memory")]

use core::cell::{Cell, UnsafeCell};
use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::fence;

use crate::arena::Block;
use crate::environment::Environment;
use crate::name::Name;
use crate::published::NONE;
use crate::sync::{Pointer, Word, thread_id};

/// Entries that an iteration holds without an allocation.
const INLINE: usize = 128;
/// Attempts without the lock.
const TRIES: usize = 64;
/// Marks a pointer in an iteration as a copy that the iteration made. Not a low bit: the
/// kernel's strings stand at any address. The upper half of addresses is the kernel's own.
const COPIED: usize = 1 << (usize::BITS - 1);

/// An iteration over one instant of an environment.
///
/// The environment has one of these inside, so that the usual iteration allocates nothing and
/// hands its strings out *on loan*: the last one handed out needs no reference count as long
/// as the iteration is open, and giving it back at once costs no atomic operation.
#[repr(C)]
pub struct Iter {
    /// The thread that opened it; zero when free.
    owner: Word,
    /// The string that was handed out last and is on loan.
    lent: Pointer<c_char>,
    next: Cell<usize>,
    count: Cell<usize>,
    /// Whether entries may be anything: another's array, aliases, entries without `=`.
    mixed: Cell<bool>,
    /// Where the entries are: `inline`, or the payload of `overflow`.
    entries: Cell<*mut *mut c_char>,
    overflow: Cell<*mut Block>,
    inline: UnsafeCell<[*mut c_char; INLINE]>,
}

// SAFETY: an iteration is used by one thread at a time, which is its users' duty as for
// `readdir`; what other threads look at (`owner`, `lent`) is atomic.
unsafe impl Sync for Iter {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl Send for Iter {}

impl Iter {
    pub(crate) const fn new() -> Self {
        Self {
            owner: Word::new(0),
            lent: Pointer::null(),
            next: Cell::new(0),
            count: Cell::new(0),
            mixed: Cell::new(false),
            entries: Cell::new(ptr::null_mut()),
            overflow: Cell::new(ptr::null_mut()),
            inline: UnsafeCell::new([ptr::null_mut(); INLINE]),
        }
    }

    /// Whether somebody iterates with it.
    pub(crate) fn is_open(&self) -> bool {
        self.owner.load(Acquire) != 0
    }
}

impl Environment {
    /// Copies the array's pointers as they were at one instant; the error is the number of
    /// entries when there are more than `capacity`.
    ///
    /// The pointers stay readable until the next changes, and as long as they are pinned
    /// ([`Self::pin`], called before).
    ///
    /// # Errors
    /// The number of entries, when they do not fit.
    ///
    /// # Safety
    /// `into` has room for `capacity` pointers.
    pub unsafe fn capture(&self, into: *mut *mut c_char, capacity: usize) -> Result<usize, usize> {
        for _ in 0..TRIES {
            let version = self.version.0.load(Acquire);
            let array = self.cell().load(Acquire);
            // SAFETY: the caller's promise.
            let count = unsafe { self.copy_pointers(into, capacity) };
            fence(Acquire);
            if self.version.0.load(Relaxed) == version && self.cell().load(Relaxed) == array {
                return if count <= capacity { Ok(count) } else { Err(count) };
            }
        }
        // A thread that changes things in a loop: keep it out for a moment. If that thread is
        // the one below this signal handler, its change is before or after the snapshot.
        let guard = self.lock.0.enter();
        // SAFETY: the caller's promise.
        let count = unsafe { self.copy_pointers(into, capacity) };
        drop(guard);
        if count <= capacity { Ok(count) } else { Err(count) }
    }

    unsafe fn copy_pointers(&self, into: *mut *mut c_char, capacity: usize) -> usize {
        let array = self.cell().load(Acquire);
        let mut count = 0;
        if array.is_null() {
            return 0;
        }
        // SAFETY: no terminator was seen before `count`; `into` has `capacity` places.
        unsafe {
            while count < capacity {
                let entry = (*array.add(count)).load(Acquire);
                if entry.is_null() {
                    return count;
                }
                *into.add(count) = entry;
                count += 1;
            }
            while !(*array.add(count)).load(Acquire).is_null() {
                count += 1;
            }
        }
        count
    }

    /// Whether a string of a pinned snapshot stays as it is: it is the table's or the
    /// kernel's, not the program's.
    pub fn is_stable(&self, entry: *const c_char) -> bool {
        self.is_initial(entry) || self.verified_block_of(entry).is_ok_and(|block| !block.is_null())
    }

    /// Begins an iteration over the environment as it is now. Null without memory.
    pub fn iterate(&self) -> *mut Iter {
        let me = thread_id();
        let inside = &self.iter.0;
        let iter = if !inside.is_open() && inside.owner.replace(0, me).is_ok() {
            self.pinned();
            ptr::from_ref(inside).cast_mut()
        } else {
            let block = self.arena.0.take(size_of::<Iter>());
            if block.is_null() {
                return ptr::null_mut();
            }
            let iter = Block::payload(block).cast::<Iter>();
            // SAFETY: the block is ours, has the room, and is aligned to 16 bytes.
            unsafe { iter.write(Iter::new()) };
            self.pin();
            iter
        };
        // SAFETY: ours until it is closed.
        if unsafe { self.fill(&*iter) } {
            iter
        } else {
            // SAFETY: as above; it holds nothing.
            unsafe { self.close(iter) };
            ptr::null_mut()
        }
    }

    unsafe fn fill(&self, iter: &Iter) -> bool {
        iter.next.set(0);
        iter.count.set(0);
        iter.overflow.set(ptr::null_mut());
        iter.entries.set(iter.inline.get().cast());
        let mut capacity = INLINE;
        let count = loop {
            // SAFETY: `entries` has room for `capacity`.
            match unsafe { self.capture(iter.entries.get(), capacity) } {
                Ok(count) => break count,
                Err(count) => {
                    self.drop_overflow(iter);
                    capacity = count + count / 8;
                    let block = self.arena.0.take(capacity * size_of::<usize>());
                    if block.is_null() {
                        return false;
                    }
                    iter.overflow.set(block);
                    iter.entries.set(Block::payload(block).cast());
                }
            }
        };
        iter.count.set(count);
        let table = self.shared.0.current.load(Acquire);
        // SAFETY: tables stay mapped.
        let plain = unsafe {
            !table.is_null()
                && (*table).array.load(Relaxed) == self.cell().load(Relaxed)
                && (*table).alias_from.load(Acquire) == NONE
                && !(*table).is_odd()
        };
        iter.mixed.set(!plain);
        if !plain {
            // SAFETY: `count` entries were captured.
            return unsafe { self.own_mixed(iter) };
        }
        true
    }

    /// Copies what belongs to the program, and leaves out what is no `NAME=value`.
    unsafe fn own_mixed(&self, iter: &Iter) -> bool {
        let entries = iter.entries.get();
        let mut kept = 0;
        for at in 0..iter.count.get() {
            // SAFETY: within the captured entries; each is a string.
            unsafe {
                let mut entry = *entries.add(at);
                if Name::of_entry(entry).is_none() {
                    continue;
                }
                if !self.is_stable(entry) {
                    entry = self.copy_of(entry).cast_mut();
                    if entry.is_null() {
                        iter.count.set(kept);
                        return false;
                    }
                    entry = entry.map_addr(|address| address | COPIED);
                }
                *entries.add(kept) = entry;
            }
            kept += 1;
        }
        iter.count.set(kept);
        true
    }

    fn drop_overflow(&self, iter: &Iter) {
        let block = iter.overflow.replace(ptr::null_mut());
        if !block.is_null() {
            // SAFETY: the iteration's own; nobody else ever saw it.
            unsafe { self.arena.0.give(block) };
        }
    }

    /// The next entry of an iteration, null at its end and ever after. To be given back by
    /// [`Self::release`].
    ///
    /// # Safety
    /// `iter` came from [`Self::iterate`], is not closed, and no other thread uses it now.
    #[inline(always)]
    pub unsafe fn next_entry(&self, iter: *mut Iter) -> *const c_char {
        // SAFETY: the caller's promise; `next` is below `count`.
        unsafe {
            let open = &*iter;
            let at = open.next.get();
            if open.owner.load(Relaxed) != thread_id() || !open.lent.load(Relaxed).is_null() {
                return self.next_slowly(iter);
            }
            if at >= open.count.get() {
                return ptr::null();
            }
            open.next.set(at + 1);
            let entry = *open.entries.get().add(at);
            if entry.addr() & COPIED != 0 {
                return entry.map_addr(|address| address & !COPIED);
            }
            open.lent.store(entry, Relaxed);
            entry
        }
    }

    /// [`Self::next_entry`] when the last string was not given back at once, or another thread
    /// uses the iteration.
    #[cold]
    #[inline(never)]
    unsafe fn next_slowly(&self, iter: *mut Iter) -> *const c_char {
        // SAFETY: the caller's promise; `next` is below `count`.
        unsafe {
            let at = (*iter).next.get();
            let lending = (*iter).owner.load(Relaxed) == thread_id();
            if lending {
                self.settle_loan(&*iter);
            }
            if at >= (*iter).count.get() {
                return ptr::null();
            }
            (*iter).next.set(at + 1);
            let entry = *(*iter).entries.get().add(at);
            if entry.addr() & COPIED != 0 {
                return entry.map_addr(|address| address & !COPIED);
            }
            if lending {
                (*iter).lent.store(entry, Relaxed);
            } else {
                self.count_loan(entry);
            }
            entry
        }
    }

    /// Gives the string on loan a reference of its own: it was not given back at once.
    #[inline]
    fn settle_loan(&self, iter: &Iter) {
        if !iter.lent.load(Relaxed).is_null() {
            let entry = iter.lent.swap(ptr::null_mut(), AcqRel);
            self.count_loan(entry);
        }
    }

    fn count_loan(&self, entry: *const c_char) {
        let block = self.block_of(entry);
        if !block.is_null() {
            // SAFETY: blocks stay mapped; the snapshot keeps this one from being used again.
            unsafe { (*block).revive() };
        }
    }

    /// [`Self::take_lent`] by the thread that iterates.
    #[inline(always)]
    pub(crate) fn take_own_loan(&self, entry: *const c_char) -> bool {
        let inside = &self.iter.0;
        let own =
            !entry.is_null() && ptr::eq(inside.lent.load(Relaxed), entry) && inside.owner.load(Relaxed) == thread_id();
        if own {
            // Without a locked operation. If another thread gives the same string back just
            // now, it keeps a reference too many: it stays, and is never used after its end.
            inside.lent.store(ptr::null_mut(), Relaxed);
        }
        own
    }

    /// Whether `entry` is on loan; then it is so no more. Which of several references to one
    /// string is the loan does not matter: each is given back once.
    ///
    /// # Safety
    /// The caller holds `entry`, or null.
    #[inline]
    pub(crate) unsafe fn take_lent(&self, entry: *const c_char) -> bool {
        let inside = &self.iter.0;
        if entry.is_null() || !ptr::eq(inside.lent.load(Relaxed), entry) {
            return false;
        }
        self.take_own_loan(entry) || inside.lent.replace(entry.cast_mut(), ptr::null_mut()).is_ok()
    }

    /// Ends an iteration. Null is ignored. Strings that were handed out stay valid until they
    /// are given back.
    ///
    /// # Safety
    /// As [`Self::next_entry`]; `iter` is not used afterwards.
    pub unsafe fn close(&self, iter: *mut Iter) {
        if iter.is_null() {
            return;
        }
        // SAFETY: the caller's promise.
        let open = unsafe { &*iter };
        self.settle_loan(open);
        if open.mixed.get() {
            for at in open.next.get()..open.count.get() {
                // SAFETY: within the entries; a copy that was not handed out is ours.
                unsafe {
                    let entry = *open.entries.get().add(at);
                    if entry.addr() & COPIED != 0 {
                        self.drop_entry(entry.map_addr(|address| address & !COPIED));
                    }
                }
            }
            open.mixed.set(false);
        }
        self.drop_overflow(open);
        if ptr::eq(open, &self.iter.0) {
            open.owner.store(0, Release);
            self.unpinned();
        } else {
            self.unpin();
            // SAFETY: an iteration that is not the inside one is the payload of a block.
            unsafe { self.arena.0.give(iter.cast::<Block>().wrapping_sub(1)) };
        }
    }
}
