//! The state of an environment.
#![expect(unsafe_code, reason = "holds raw shared memory")]

use core::ffi::c_char;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use crate::arena::{Arena, Block, Interior};
use crate::host;
use crate::lock::Lock;
use crate::name::Name;
use crate::published::{NONE, Published, Slot, Tables};
use crate::reclaim::Quarantine;
use crate::snapshot::Iter;
use crate::sync::{Pointer, Word};

/// Why an environment was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The name is empty or contains `=`.
    Invalid,
    /// There is no memory for the change.
    NoMemory,
}

/// Keeps what readers need apart from what writers write.
#[repr(C, align(128))]
pub(crate) struct Apart<T>(pub(crate) T);

#[repr(C)]
pub(crate) struct Shared {
    /// The variable that holds the array: `environ`.
    cell: *const Pointer<Slot>,
    /// The table of the array that was published last, or null.
    pub(crate) current: Pointer<Published>,
    initial_low: Word,
    initial_high: Word,
    /// Where delivered secrets are.
    secret_low: Word,
    secret_high: Word,
}

/// An environment: the variable `environ`, and what is known about the array it points to.
///
/// A process has one, made with the address of `environ`; tests make others. Laid out as C does
/// it, like all that it consists of: a program and `libenvward.so`, perhaps of other compilers,
/// share one.
#[repr(C)]
pub struct Environment {
    pub(crate) shared: Apart<Shared>,
    pub(crate) arena: Apart<Arena>,
    /// For values of secrets that the program sets.
    pub(crate) locked: Apart<Arena>,
    pub(crate) lock: Apart<Lock>,
    /// Grows by one for every change that readers can see.
    pub(crate) version: Apart<Word>,
    pub(crate) generation: Word,
    /// The entry that a mutation is storing in place, and whether a nested mutation, which
    /// publishes a copy of the array, found it there.
    pub(crate) intent: Pointer<c_char>,
    pub(crate) intent_seen: Word,
    pub(crate) tables: Tables,
    pub(crate) quarantine: Quarantine,
    pub(crate) interned: [Pointer<Block>; 1024],
    pub(crate) interned_count: Word,
    pub(crate) iter: Apart<Iter>,
}

// SAFETY: the fields are atomics, or written once before they are shared; the raw pointer is
// the address of a variable that all threads access atomically.
unsafe impl Send for Environment {}
// SAFETY: as above.
unsafe impl Sync for Environment {}

impl Environment {
    /// An environment over the variable at `cell`.
    ///
    /// # Safety
    /// `cell` stays valid as long as the value is used, holds null or a null-terminated array
    /// of NUL-terminated strings, and is written by others only as POSIX lets programs assign
    /// `environ`.
    pub const unsafe fn new(cell: *const *mut *mut c_char) -> Self {
        Self {
            shared: Apart(Shared {
                cell: cell.cast(),
                current: Pointer::null(),
                initial_low: Word::new(0),
                initial_high: Word::new(0),
                secret_low: Word::new(0),
                secret_high: Word::new(0),
            }),
            arena: Apart(Arena::new(false)),
            locked: Apart(Arena::new(true)),
            lock: Apart(Lock::new()),
            version: Apart(Word::new(0)),
            generation: Word::new(0),
            intent: Pointer::null(),
            intent_seen: Word::new(0),
            tables: Tables::new(),
            quarantine: Quarantine::new(),
            interned: [const { Pointer::null() }; 1024],
            interned_count: Word::new(0),
            iter: Apart(Iter::new()),
        }
    }

    /// Makes an index for the array that the process started with. Optional: without it
    /// lookups scan until the first change. Harmless when repeated.
    pub fn prepare(&self) {
        if !self.shared.0.current.load(Acquire).is_null() {
            return;
        }
        let (low, high) = host::initial_strings();
        self.shared.0.initial_low.store(low, Relaxed);
        self.shared.0.initial_high.store(high, Relaxed);
        // Without the lock, which costs a page: if somebody publishes another array meanwhile,
        // the table is one of an array that is not there any more, as after an assignment.
        let array = self.cell().load(Acquire);
        if !array.is_null() {
            self.index_in_place(array);
        }
    }

    /// The variable `environ`.
    #[inline(always)]
    pub(crate) fn cell(&self) -> &Pointer<Slot> {
        // SAFETY: the promise made to `new`.
        unsafe { &*self.shared.0.cell }
    }

    /// The block of a string of an array of ours, or null.
    #[inline(always)]
    pub(crate) fn block_of(&self, text: *const c_char) -> *mut Block {
        let block = self.arena.0.block_of(text);
        if block.is_null() && !self.locked.0.is_empty() { self.locked.0.block_of(text) } else { block }
    }

    /// The block of a string from anywhere, see [`Arena::verified_block_of`].
    pub(crate) fn verified_block_of(&self, text: *const c_char) -> Result<*mut Block, Interior> {
        let block = self.arena.0.verified_block_of(text)?;
        if block.is_null() { self.locked.0.verified_block_of(text) } else { Ok(block) }
    }

    /// Takes over secrets that were delivered: the strings `NAME=value`, one behind the other,
    /// in the `length` bytes at `start`. They become part of the environment where they are.
    ///
    /// From now on the values that `set` gives to these names are kept in locked memory and
    /// wiped when they are given up.
    ///
    /// # Errors
    /// [`Error::NoMemory`].
    ///
    /// # Safety
    /// The bytes stay mapped and are changed by nobody; the last one is zero. Called once.
    pub unsafe fn deliver(&self, start: *mut c_char, length: usize) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe { self.recognise(start, length) };
        let mut result = Ok(());
        self.each_secret(start, |entry| {
            // SAFETY: the caller's promise.
            if let Err(error) = unsafe { self.put(entry) } {
                result = Err(error);
            }
        });
        result
    }

    /// Notes that the entries of `environ` in `length` bytes at `start` are secrets, which the
    /// launcher put there before the program started. Otherwise as [`Self::deliver`]; before
    /// [`Self::prepare`].
    ///
    /// # Safety
    /// As [`Self::deliver`].
    pub unsafe fn recognise(&self, start: *mut c_char, length: usize) {
        self.shared.0.secret_low.store(start.expose_provenance(), Relaxed);
        self.shared.0.secret_high.store(start.addr() + length, Relaxed);
    }

    /// An entry of `environ` that the kernel did not put where it puts them, or null: at the
    /// start of a program only a launcher can have made one.
    #[must_use]
    pub fn unusual_entry(&self) -> *mut c_char {
        let (low, high) = host::initial_strings();
        let mut at = self.cell().load(Acquire);
        // SAFETY: a null-terminated array, by the promise made to `new`.
        unsafe {
            while !at.is_null() && !(*at).load(Acquire).is_null() {
                let entry = (*at).load(Acquire);
                if !(low..high).contains(&entry.addr()) {
                    return entry;
                }
                at = at.add(1);
            }
        }
        core::ptr::null_mut()
    }

    /// Calls `with` for every string that was delivered.
    fn each_secret(&self, start: *mut c_char, mut with: impl FnMut(*mut c_char)) {
        let end = self.shared.0.secret_high.load(Relaxed);
        let mut entry = start;
        while entry.addr() < end {
            // SAFETY: below the end, and the last byte there is zero.
            let length = unsafe { host::length(entry) };
            if length > 0 {
                with(entry);
            }
            entry = entry.wrapping_add(length + 1);
        }
    }

    /// Whether secrets were delivered.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.shared.0.secret_high.load(Relaxed) != 0
    }

    /// Whether a name is that of a delivered secret.
    pub(crate) fn is_secret_name(&self, name: &Name) -> bool {
        let mut found = false;
        if self.has_secrets() {
            let start = core::ptr::with_exposed_provenance_mut(self.shared.0.secret_low.load(Relaxed));
            // SAFETY: delivered strings.
            self.each_secret(start, |entry| found |= unsafe { name.heads(entry) });
        }
        found
    }

    /// Whether an entry that is about to be handed to another program is a secret: it stands
    /// in protected memory, or is a copy of a secret that was delivered or of its value now.
    ///
    /// # Safety
    /// `entry` is a NUL-terminated string.
    #[must_use]
    pub unsafe fn is_secret(&self, entry: *const c_char) -> bool {
        let secrets = self.shared.0.secret_low.load(Relaxed)..self.shared.0.secret_high.load(Relaxed);
        if secrets.contains(&entry.addr()) || self.locked.0.verified_block_of(entry).is_ok_and(|block| !block.is_null())
        {
            return true;
        }
        if !self.has_secrets() {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe {
            let Some(name) = Name::of_entry(entry) else { return false };
            let length = host::length(entry);
            let same = |other: *const c_char| {
                host::length(other) == length && crate::name::equal(entry.cast(), other.cast(), length)
            };
            let mut found = false;
            let start = core::ptr::with_exposed_provenance_mut(secrets.start);
            self.each_secret(start, |secret| found |= same(secret));
            if !found && self.is_secret_name(&name) {
                let now = self.lookup_bytes(name.bytes, name.length);
                if !now.is_null() {
                    found = same(now);
                    self.release(now);
                }
            }
            found
        }
    }

    /// Whether the string is one that the kernel passed to the program, or a secret that was
    /// delivered: it stays as it is, where it is.
    pub(crate) fn is_initial(&self, text: *const c_char) -> bool {
        let (low, high) = (self.shared.0.initial_low.load(Relaxed), self.shared.0.initial_high.load(Relaxed));
        (low..high).contains(&text.addr())
            || (self.shared.0.secret_low.load(Relaxed)..self.shared.0.secret_high.load(Relaxed)).contains(&text.addr())
    }

    /// Makes a table for an array of the program without copying the array.
    fn index_in_place(&self, array: *mut Slot) {
        let mut count = 0;
        // SAFETY: a null-terminated array, by the promise made to `new`.
        while !unsafe { (*array.add(count)).load(Acquire) }.is_null() {
            count += 1;
        }
        let table = self.tables.take(&self.arena.0, count, false, false);
        if table.is_null() {
            return;
        }
        // SAFETY: ours alone until it is published below.
        let fresh = unsafe { &*table };
        fresh.array.store(array, Relaxed);
        fresh.count.store(count, Relaxed);
        // SAFETY: `count` entries, each a string.
        unsafe { self.index_entries(fresh) };
        fresh.generation.store(self.generation.fetch_add(1, Relaxed) + 1, Relaxed);
        // Or a mutation was faster. A borrowed table is not used again.
        let _ = self.shared.0.current.replace(core::ptr::null_mut(), table);
    }

    /// Builds the index of a table from the strings of its array, and finds its first alias.
    ///
    /// # Safety
    /// The table is not published; `count` slots of its array hold strings.
    pub(crate) unsafe fn index_entries(&self, table: &Published) {
        let array = table.array.load(Relaxed);
        let mut alias = NONE;
        for slot in 0..table.count.load(Relaxed) {
            // SAFETY: the caller's promise.
            unsafe {
                let entry = (*array.add(slot)).load(Relaxed);
                if alias == NONE && self.is_foreign(entry) {
                    alias = slot;
                }
                match Name::of_entry(entry) {
                    Some(name) => table.index(&name, slot),
                    None => table.set_odd(),
                }
            }
        }
        table.alias_from.store(alias, Relaxed);
    }

    /// Whether a string belongs to the program, which may rewrite it at any time.
    pub(crate) fn is_foreign(&self, entry: *const c_char) -> bool {
        !self.is_initial(entry) && self.block_of(entry).is_null()
    }
}

impl Drop for Environment {
    /// Unmaps what the environment mapped. Only tests drop one.
    fn drop(&mut self) {
        #[cfg(test)]
        // SAFETY: exclusive access; the test's readers are gone.
        unsafe {
            self.lock.0.unmap();
            self.arena.0.unmap_all();
            self.locked.0.unmap_all();
        }
    }
}
