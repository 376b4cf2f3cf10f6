//! Looking a variable up: no lock, no allocation, safe in a signal handler.
#![expect(unsafe_code, reason = "reads shared raw memory")]

use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};

use crate::arena::{Block, IMMORTAL};
use crate::environment::Environment;
use crate::name::Name;
use crate::published::{Hit, NONE, Published, scan};

/// An entry, and whether it was found in an array of ours, whose strings in the arena are
/// whole blocks.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) hit: Hit,
    pub(crate) ours: bool,
}

/// What a glance at the environment shows.
enum Glance {
    /// The value, null when there is none.
    Value(*mut c_char),
    /// An entry that is not in the arena's first chunk.
    Elsewhere(*mut c_char),
    /// Something rare: look properly.
    Unsure,
}

impl Environment {
    /// Finds the first entry of a name. The slot is [`NONE`] when there is none.
    #[inline(always)]
    pub(crate) fn find(&self, name: &Name) -> Found {
        let none = Found { hit: Hit { slot: NONE, entry: ptr::null_mut() }, ours: true };
        if name.length == 0 {
            return none;
        }
        loop {
            let array = self.cell().load(Acquire);
            if array.is_null() {
                return none;
            }
            let current = self.shared.0.current.load(Acquire);
            if current.is_null() {
                return self.scan_all(name);
            }
            // SAFETY: tables stay mapped.
            let table = unsafe { &*current };
            let generation = table.generation.load(Acquire);
            if table.array.load(Relaxed) != array {
                return self.scan_all(name);
            }
            // SAFETY: the table's own array, just compared.
            if !unsafe { table.intact(array) } {
                return self.scan_all(name);
            }
            // SAFETY: as above.
            let Ok(hit) = (unsafe { table.find(array, name) }) else {
                return self.scan_all(name);
            };
            let alias = table.alias_from.load(Acquire);
            if alias < hit.slot && !name.has_sign() {
                // SAFETY: as above; at least `alias + 1` slots were set.
                let earlier = unsafe { scan(array, alias, hit.slot, name) };
                if earlier.slot != NONE {
                    return Found { hit: earlier, ours: true };
                }
            }
            if hit.slot != NONE
                || (self.cell().load(Acquire) == array
                    && self.shared.0.current.load(Acquire) == current
                    && table.generation.load(Acquire) == generation)
            {
                return Found { hit, ours: true };
            }
        }
    }

    /// Finds the first entry of a name without the index.
    #[cold]
    fn scan_all(&self, name: &Name) -> Found {
        loop {
            let array = self.cell().load(Acquire);
            if array.is_null() || name.has_sign() {
                return Found { hit: Hit { slot: NONE, entry: ptr::null_mut() }, ours: false };
            }
            // SAFETY: a null-terminated array of strings, by the promise made to `new`.
            let hit = unsafe { scan(array, 0, NONE, name) };
            // A miss proves nothing if the array was replaced meanwhile.
            if hit.slot != NONE || self.cell().load(Acquire) == array {
                return Found { hit, ours: false };
            }
        }
    }

    /// The block of an entry that was found, or null.
    #[inline(always)]
    fn found_block(&self, found: &Found) -> *mut Block {
        if found.ours {
            self.block_of(found.hit.entry)
        } else {
            // An array of the program may hold pointers into the middle of our strings.
            self.verified_block_of(found.hit.entry).unwrap_or(ptr::null_mut())
        }
    }

    /// The value of a variable, as `getenv` returns it: part of the environment, and readable
    /// for ever if it was stored by `setenv`. Null when there is none.
    ///
    /// # Safety
    /// `name` is a NUL-terminated string.
    #[inline(always)]
    pub unsafe fn get(&self, name: *const c_char) -> *mut c_char {
        // SAFETY: the caller's promise.
        let name = unsafe { Name::from_c(name) };
        // All calls in tail position: the common case saves no registers.
        match self.glance(&name) {
            Glance::Value(value) => value,
            // SAFETY: the name was just measured.
            Glance::Elsewhere(entry) => unsafe { self.get_elsewhere(name.bytes, name.length, entry) },
            // SAFETY: as above.
            Glance::Unsure => unsafe { self.get_slowly(name.bytes, name.length) },
        }
    }

    /// The common case of [`Self::get`] in as few steps as it takes: our own array, at rest, an
    /// entry that was handed out before or none.
    #[inline(always)]
    fn glance(&self, name: &Name) -> Glance {
        let array = self.cell().load(Acquire);
        let current = self.shared.0.current.load(Acquire);
        if array.is_null() || current.is_null() {
            return Glance::Unsure;
        }
        // SAFETY: tables stay mapped.
        let table = unsafe { &*current };
        let generation = table.generation.load(Acquire);
        if table.array.load(Relaxed) != array {
            return Glance::Unsure;
        }
        // SAFETY: the table's own array, just compared.
        let Some(hit) = (unsafe { table.glance(array, name) }) else { return Glance::Unsure };
        if hit.slot == NONE {
            // A miss proves something if the array did not change meanwhile.
            return if name.length != 0
                // SAFETY: as above.
                && unsafe { table.ends_as_indexed(array) }
                && table.alias_from.load(Relaxed) == NONE
                && self.cell().load(Acquire) == array
                && self.shared.0.current.load(Acquire) == current
                && table.generation.load(Acquire) == generation
            {
                Glance::Value(ptr::null_mut())
            } else {
                Glance::Unsure
            };
        }
        // SAFETY: as above; a hit means that there is a first slot.
        if hit.slot > table.alias_from.load(Acquire) || unsafe { Published::is_cut(array) } {
            return Glance::Unsure;
        }
        let value = hit.entry.wrapping_add(name.length + 1);
        match self.arena.0.first_block_of(hit.entry) {
            // SAFETY: blocks stay mapped.
            Some(block) if unsafe { (*block).state.load(Relaxed) } & IMMORTAL != 0 => Glance::Value(value),
            Some(_) => Glance::Unsure,
            None if self.arena.0.has_one_chunk() && self.locked.0.is_empty() => Glance::Value(value),
            None => Glance::Elsewhere(hit.entry),
        }
    }

    /// [`Self::get`] where the entry that was found is not in the arena's first chunk.
    #[inline(never)]
    unsafe fn get_elsewhere(&self, name: *const u8, length: usize, entry: *mut c_char) -> *mut c_char {
        let block = self.block_of(entry);
        // SAFETY: blocks stay mapped.
        if block.is_null() || unsafe { (*block).state.load(Relaxed) } & IMMORTAL != 0 {
            return entry.wrapping_add(length + 1);
        }
        // SAFETY: the caller's promise.
        unsafe { self.get_slowly(name, length) }
    }

    /// [`Self::get`] in every case.
    #[cold]
    #[inline(never)]
    unsafe fn get_slowly(&self, name: *const u8, length: usize) -> *mut c_char {
        // SAFETY: the caller's promise.
        let name = unsafe { Name::from_raw(name, length) };
        loop {
            let found = self.find(&name);
            if found.hit.slot == NONE {
                return ptr::null_mut();
            }
            let value = found.hit.entry.wrapping_add(name.length + 1);
            let block = self.found_block(&found);
            // SAFETY: blocks stay mapped.
            if block.is_null() || unsafe { (*block).state.load(Relaxed) } & IMMORTAL != 0 {
                return value;
            }
            // SAFETY: as above. If the string was given up and its memory used again since it
            // was found, one of the two tests fails.
            if unsafe { (*block).immortalize() && name.heads(found.hit.entry) } {
                return value;
            }
        }
    }

    /// The entry (`NAME=value`) of a variable, which stays as it is until [`Self::release`].
    /// Null when there is none, or no memory for a copy of a string that belongs to the
    /// program.
    ///
    /// # Safety
    /// `name` is a NUL-terminated string.
    pub unsafe fn lookup(&self, name: *const c_char) -> *const c_char {
        // SAFETY: the caller's promise.
        let name = unsafe { Name::from_c(name) };
        // SAFETY: the name was just measured.
        unsafe { self.lookup_raw(&name) }
    }

    /// [`Self::lookup`] of `length` bytes.
    ///
    /// # Safety
    /// `name` points to `length` readable bytes.
    pub unsafe fn lookup_bytes(&self, name: *const u8, length: usize) -> *const c_char {
        // SAFETY: the caller's promise.
        unsafe {
            let name = Name::from_raw(name, length);
            self.lookup_raw(&name)
        }
    }

    unsafe fn lookup_raw(&self, name: &Name) -> *const c_char {
        loop {
            let found = self.find(name);
            if found.hit.slot == NONE {
                return ptr::null();
            }
            let entry = found.hit.entry;
            let block = self.found_block(&found);
            if block.is_null() {
                if self.is_initial(entry) {
                    return entry;
                }
                // SAFETY: an entry is a string.
                return unsafe { self.copy_of(entry) };
            }
            // SAFETY: blocks stay mapped; the name is compared again once the string cannot
            // go away.
            unsafe {
                if (*block).pin() {
                    if name.heads(entry) {
                        return entry;
                    }
                    self.drop_entry(entry);
                }
            }
        }
    }

    /// Gives back a string of [`Self::lookup`] or of an iteration. Null is ignored.
    ///
    /// # Safety
    /// The string was returned by one of them and not given back since.
    #[inline(always)]
    pub unsafe fn release(&self, entry: *const c_char) {
        if !self.take_own_loan(entry) {
            // SAFETY: the caller's promise.
            unsafe { self.release_counted(entry) };
        }
    }

    #[inline(never)]
    unsafe fn release_counted(&self, entry: *const c_char) {
        // SAFETY: the caller's promise.
        if !unsafe { self.take_lent(entry) } {
            // SAFETY: the caller owns the reference.
            unsafe { self.drop_entry(entry) };
        }
    }
}
