//! Giving memory up, and using it again when nobody can be looking at it any more.
//!
//! What is given up goes on a list (`young`). When the list is long enough it becomes `old`,
//! and what was old becomes free. Between the two lies the quarantine: a quarter of a second
//! in which the process ran, or, in a process with one thread, just another list's worth of
//! changes. While a snapshot is open nothing becomes free.
//!
//! Values of secrets are wiped as they are given up and not when they become free, which may
//! be never; but not before the snapshots that were open then are closed.
#![expect(unsafe_code, reason = "recycles raw memory")]

use core::ffi::c_char;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use core::sync::atomic::fence;

use crate::arena::{Block, IMMORTAL, INTERNED, LISTED, OwnStack};
use crate::environment::Environment;
use crate::host;
use crate::lock::{Entry, Guard};
use crate::name;
use crate::published::Published;
use crate::sync::{Pointer, Word, Word64};

/// Bytes on the young list that make a turn worth while.
const TURN: usize = 96 << 10;
/// Bytes on the young list at which writers wait for the quarantine to pass.
const LIMIT: usize = 16 << 20;
/// Milliseconds between the last use and the next in a process with several threads.
const QUARANTINE: u64 = 250;
/// The quarantine is counted in so many milliseconds, so that a time in which the process was
/// stopped, and with it a reader in the middle of its work, counts as one of them at most.
const TICK: u64 = 25;
/// Entries of one bucket that a search for an interned string looks at.
const SEARCHED: usize = 64;

/// Memory that was given up and may still be looked at.
///
/// Each list is two: what the owner of the writers' lock gave up, and what anybody else did
/// (a last `env_release`, a handler). The blocks of each are used again by the same.
#[repr(C)]
pub(crate) struct Quarantine {
    young: OwnStack,
    young_shared: Pointer<Block>,
    young_bytes: Word,
    check_at: Word,
    old: Pointer<Block>,
    old_shared: Pointer<Block>,
    /// Ticks since the old list was made, and when the last one was.
    ticks: Word64,
    ticked: Word64,
    pins: Word,
    /// Strings of secrets that were given up while a snapshot was open.
    unwiped: Pointer<Block>,
}

impl Quarantine {
    pub(crate) const fn new() -> Self {
        Self {
            young: OwnStack::new(),
            young_shared: Pointer::null(),
            young_bytes: Word::new(0),
            check_at: Word::new(TURN),
            old: Pointer::null(),
            old_shared: Pointer::null(),
            ticks: Word64::new(0),
            ticked: Word64::new(0),
            pins: Word::new(0),
            unwiped: Pointer::null(),
        }
    }
}

impl Environment {
    /// Keeps everything that can be read in the environment now readable, whatever is changed,
    /// until [`Self::unpin`].
    pub fn pin(&self) {
        self.quarantine.pins.fetch_add(1, AcqRel);
        self.pinned();
    }

    /// Orders a pin before the reading that it is for, as [`Self::retire_secret`] expects.
    #[inline]
    pub(crate) fn pinned(&self) {
        if self.has_secrets() {
            fence(SeqCst);
        }
    }

    /// Ends a [`Self::pin`].
    pub fn unpin(&self) {
        self.quarantine.pins.fetch_sub(1, AcqRel);
        self.unpinned();
    }

    /// Does what a snapshot kept from being done, if there is none any more.
    #[inline]
    pub(crate) fn unpinned(&self) {
        if self.has_secrets() {
            fence(SeqCst);
            self.wipe_late();
        }
    }

    /// Takes the writers' lock and mends what a fork left.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Guard<'_>> {
        if self.quarantine.young_bytes.load(Relaxed) > LIMIT {
            self.throttle();
        }
        self.enter()
    }

    #[inline]
    fn enter(&self) -> Option<Guard<'_>> {
        let guard = self.lock.0.enter()?;
        if guard.entry == Entry::Orphaned {
            self.mend(&guard);
        }
        Some(guard)
    }

    /// Gives up what a mutation that `fork` cut off may have been working on: the lists that
    /// only the owner of the lock uses, and the table. If a handler above the mutation forked
    /// and returns in the child, the mutation goes on there, and finds another table.
    #[cold]
    fn mend(&self, guard: &Guard<'_>) {
        let quarantine = &self.quarantine;
        quarantine.old.store(core::ptr::null_mut(), Relaxed);
        quarantine.old_shared.store(core::ptr::null_mut(), Relaxed);
        quarantine.young.take();
        self.arena.0.forget_own();
        self.renew(guard);
    }

    /// Ends a mutation: the place where quarantined memory is turned over.
    #[inline]
    pub(crate) fn finish(&self, guard: &Guard<'_>) {
        let quarantine = &self.quarantine;
        if guard.entry != Entry::Nested && quarantine.young_bytes.load(Relaxed) >= quarantine.check_at.load(Relaxed) {
            self.turn();
        }
    }

    /// Frees the old list and makes the young one old, if the time has come.
    #[cold]
    fn turn(&self) {
        let quarantine = &self.quarantine;
        let bytes = quarantine.young_bytes.load(Relaxed);
        quarantine.check_at.store(bytes + TURN / 2, Relaxed);
        if self.is_pinned() {
            return;
        }
        let now = host::milliseconds();
        if now.wrapping_sub(quarantine.ticked.load(Relaxed)) >= TICK {
            quarantine.ticked.store(now, Relaxed);
            quarantine.ticks.store(quarantine.ticks.load(Relaxed) + 1, Relaxed);
        }
        let waited = quarantine.ticks.load(Relaxed) >= QUARANTINE / TICK;
        // The reader of a process with one thread may be below this signal handler.
        if !waited && (!host::alone() || host::may_be_in_handler()) {
            return;
        }
        for (old, own) in [(&quarantine.old, true), (&quarantine.old_shared, false)] {
            let mut block = old.load(Relaxed);
            old.store(core::ptr::null_mut(), Relaxed);
            while !block.is_null() {
                // SAFETY: listed blocks were given up by their last user, and the quarantine
                // is over.
                unsafe {
                    let next = (*block).next.load(Relaxed);
                    if (*block).unlist() {
                        self.free(block, own);
                    }
                    block = next;
                }
            }
        }
        quarantine.old.store(quarantine.young.take(), Relaxed);
        let shared = quarantine.young_shared.swap(core::ptr::null_mut(), AcqRel);
        quarantine.old_shared.store(shared, Relaxed);
        quarantine.young_bytes.store(0, Relaxed);
        quarantine.check_at.store(TURN, Relaxed);
        quarantine.ticked.store(now, Relaxed);
        quarantine.ticks.store(0, Relaxed);
    }

    /// Whether a snapshot is open.
    fn is_pinned(&self) -> bool {
        self.quarantine.pins.load(Acquire) != 0 || self.iter.0.is_open()
    }

    /// Waits until the quarantine lets memory be used again, so that a writer in a loop cannot
    /// outrun it. Never waits for a snapshot that somebody keeps open.
    #[cold]
    fn throttle(&self) {
        for _ in 0..=QUARANTINE {
            {
                let Some(guard) = self.enter() else {
                    return;
                };
                if guard.entry == Entry::Nested || self.is_pinned() {
                    return;
                }
                self.turn();
                if self.quarantine.young_bytes.load(Relaxed) <= LIMIT {
                    return;
                }
            }
            host::pause();
        }
    }

    /// Makes a block free at once, for the owner of the writers' lock or for anybody.
    pub(crate) unsafe fn free(&self, block: *mut Block, own: bool) {
        // SAFETY: the caller's promise: no reader can know the block any more.
        unsafe {
            if (*block).is_table {
                self.tables.give(block);
            } else if (*block).is_locked {
                Block::payload(block).write_bytes(0, (*block).room());
                self.locked.0.give(block);
            } else if own {
                self.arena.0.give_own(block);
            } else {
                self.arena.0.give(block);
            }
        }
    }

    /// Gives a block up: free after the quarantine. `own` if the caller owns the writers' lock
    /// and is no nested mutation.
    ///
    /// # Safety
    /// The block is on no list and its last user gave it up.
    #[inline]
    pub(crate) unsafe fn retire(&self, block: *mut Block, own: bool) {
        let quarantine = &self.quarantine;
        // SAFETY: blocks stay mapped.
        let room = unsafe { (*block).room() };
        // SAFETY: as above.
        if unsafe { (*block).is_locked } && !self.retire_secret(block) {
            return;
        }
        // A lost update only delays a turn.
        let bytes = quarantine.young_bytes.load(Relaxed);
        quarantine.young_bytes.store(bytes + room + 16, Relaxed);
        if own {
            // SAFETY: the caller's promise.
            unsafe { quarantine.young.push(block) };
            return;
        }
        Self::list(&quarantine.young_shared, block);
    }

    /// Puts a block on a list that any thread may put blocks on.
    fn list(on: &Pointer<Block>, block: *mut Block) {
        let mut head = on.load(Relaxed);
        loop {
            // SAFETY: blocks stay mapped; this one is the caller's until it is listed.
            unsafe { (*block).next.store(head, Relaxed) };
            match on.replace(head, block) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Wipes the value of a secret that was given up. False when it stands in a snapshot that
    /// is open: then it is wiped and retired when that is closed.
    #[cold]
    fn retire_secret(&self, block: *mut Block) -> bool {
        // A snapshot that holds the string was pinned before the string left the array; with
        // the fence in `pinned` either the pin is seen here or the string was not seen there.
        fence(SeqCst);
        if !self.is_pinned() {
            Self::wipe(block);
            return true;
        }
        Self::list(&self.quarantine.unwiped, block);
        // The snapshot may have been closed before the string was listed.
        fence(SeqCst);
        self.wipe_late();
        false
    }

    /// Wipes what could not be wiped while a snapshot was open, if none is.
    #[cold]
    fn wipe_late(&self) {
        if self.quarantine.unwiped.load(Relaxed).is_null() || self.is_pinned() {
            return;
        }
        let mut block = self.quarantine.unwiped.swap(core::ptr::null_mut(), AcqRel);
        while !block.is_null() {
            // SAFETY: listed blocks were given up by their last user; one that a snapshot
            // handed out again is its new holder's.
            unsafe {
                let next = (*block).next.load(Relaxed);
                if (*block).relist() {
                    Self::wipe(block);
                    Self::list(&self.quarantine.young_shared, block);
                }
                block = next;
            }
        }
    }

    /// Overwrites the value of a secret that nobody holds any more. At once and not after the
    /// quarantine: a reader inside libc, or one that walks `environ`, may see it empty if it
    /// found the string just before it was replaced.
    #[cold]
    fn wipe(block: *mut Block) {
        let text = Block::payload(block);
        // SAFETY: the block is ours to give up and stays mapped; its last byte is zero.
        unsafe {
            let mut at = 0;
            while *text.add(at) != b'=' && *text.add(at) != 0 {
                at += 1;
            }
            for byte in at + 1..(*block).room() {
                text.add(byte).write_volatile(0);
            }
        }
    }

    /// Gives a table up, with its array; without it when the program may use the array again.
    ///
    /// # Safety
    /// The table was unpublished by the caller.
    pub(crate) unsafe fn retire_table(&self, table: *mut Published, abandon_array: bool, own: bool) {
        // SAFETY: tables stay mapped. One over an array that is not its own is not used again:
        // a reader that is late would look for its new slots in that array, which ends earlier.
        if table.is_null() || unsafe { (*table).is_borrowed() } {
            return;
        }
        // SAFETY: tables stay mapped; the caller's promise.
        unsafe {
            let bytes = if abandon_array {
                (*table).abandon_array();
                0
            } else {
                (*table).capacity() * size_of::<usize>()
            };
            self.retire(Published::block(table), own);
            let young = &self.quarantine.young_bytes;
            young.store(young.load(Relaxed) + bytes, Relaxed);
        }
    }

    /// Drops a reference to an entry: its table's, or that of an `env_lookup`.
    ///
    /// # Safety
    /// The caller owns the reference, if the entry is in the arena.
    #[inline]
    pub(crate) unsafe fn drop_entry(&self, entry: *const c_char) {
        let block = self.block_of(entry);
        if block.is_null() {
            return;
        }
        // SAFETY: an entry in the arena is the start of a block, which stays mapped.
        unsafe {
            if (*block).unpin() {
                self.retire(block, false);
            }
        }
    }

    /// Drops a table's reference to an entry that it held; an immortal one is kept for reuse by
    /// value, so that a variable that returns to an old value needs no new string.
    ///
    /// # Safety
    /// The table held the entry and holds it no more.
    #[inline]
    pub(crate) unsafe fn drop_replaced(&self, entry: *const c_char, own: bool) {
        let block = self.block_of(entry);
        if block.is_null() {
            return;
        }
        // SAFETY: as above.
        unsafe {
            if (*block).unpin() {
                self.retire(block, own);
            } else if (*block).state.load(Relaxed) & (IMMORTAL | INTERNED | LISTED) == IMMORTAL {
                self.intern(block, entry);
            }
        }
    }

    unsafe fn intern(&self, block: *mut Block, entry: *const c_char) {
        // SAFETY: blocks stay mapped.
        let header = unsafe { &*block };
        if header.state.fetch_or(INTERNED, AcqRel) & INTERNED != 0 {
            return;
        }
        // SAFETY: an immortal string does not change.
        let hash = unsafe { name::hash(entry.cast(), host::length(entry)) };
        let bucket = &self.interned[hash as usize % self.interned.len()];
        let mut head = bucket.load(Acquire);
        loop {
            header.next.store(head, Relaxed);
            match bucket.replace(head, block) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.interned_count.fetch_add(1, Relaxed);
    }

    /// An immortal string that was replaced earlier and equals `entry`, or null.
    ///
    /// # Safety
    /// `entry` is a NUL-terminated string of `length` bytes.
    pub(crate) unsafe fn interned(&self, entry: *const c_char, length: usize) -> *mut Block {
        if self.interned_count.load(Relaxed) == 0 {
            return core::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        let hash = unsafe { name::hash(entry.cast(), length) };
        let mut block = self.interned[hash as usize % self.interned.len()].load(Acquire);
        for _ in 0..SEARCHED {
            if block.is_null() {
                break;
            }
            // SAFETY: interned blocks are immortal strings; the room is checked before the
            // comparison.
            unsafe {
                if (*block).room() > length && name::equal(Block::payload(block), entry.cast(), length + 1) {
                    return block;
                }
                block = (*block).next.load(Relaxed);
            }
        }
        core::ptr::null_mut()
    }
}
