//! Changing the environment.
//!
//! Writers exclude each other with a lock, except a signal handler above the very thread that
//! holds it. Such a nested mutation never touches what the interrupted one is working on: it
//! publishes another array. Every mutation therefore commits by compare-and-exchange, looks
//! whether its table is still the current one, and starts over if it is not.
#![expect(unsafe_code, reason = "changes shared raw memory")]

use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::arena::Block;
use crate::environment::{Environment, Error};
use crate::lock::{Entry, Guard};
use crate::name::{self, Name};
use crate::published::{Hit, NONE, Published, Slot, scan};

/// What a variable is set to.
#[derive(Clone, Copy)]
enum Source {
    /// A copy of these bytes.
    Value { bytes: *const u8, length: usize, overwrite: bool },
    /// This very string.
    Given(*mut c_char),
}

/// A nested mutation replaced the table that a mutation worked on.
struct Stale;

impl Environment {
    /// Sets a variable to a copy of `value`, or leaves it alone if it exists and `overwrite`
    /// is false.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name or one with `=`; [`Error::NoMemory`].
    ///
    /// # Safety
    /// Both strings are NUL-terminated.
    pub unsafe fn set(&self, name: *const c_char, value: *const c_char, overwrite: bool) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe {
            let name = Name::from_c(name);
            let length = crate::host::length(value);
            self.set_checked(&name, value.cast(), length, overwrite)
        }
    }

    /// [`Self::set`] of bytes.
    ///
    /// # Errors
    /// As [`Self::set`], and [`Error::Invalid`] for a NUL byte in the name.
    ///
    /// # Safety
    /// Both pointers lead to as many readable bytes; the value has no NUL byte.
    pub unsafe fn set_bytes(
        &self,
        (name, name_length): (*const u8, usize),
        (value, value_length): (*const u8, usize),
    ) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        unsafe {
            let name = Name::from_raw(name, name_length);
            self.set_checked(&name, value, value_length, true)
        }
    }

    unsafe fn set_checked(&self, name: &Name, bytes: *const u8, length: usize, overwrite: bool) -> Result<(), Error> {
        if !name.is_valid() {
            return Err(Error::Invalid);
        }
        let source = Source::Value { bytes, length, overwrite };
        // SAFETY: the caller's promise.
        unsafe { self.install(name, source) }
    }

    /// Puts `entry` itself into the environment, as `putenv` does. A string of
    /// [`Self::lookup`] or of an iteration is given back by this; one without `=` removes the
    /// variable of that name.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; the string is then still the caller's. [`Error::Invalid`] for an
    /// empty string.
    ///
    /// # Safety
    /// `entry` is a NUL-terminated string that stays readable while it is in the environment.
    pub unsafe fn put(&self, entry: *mut c_char) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        let Some(name) = (unsafe { Name::of_entry(entry) }) else {
            // SAFETY: as above.
            return unsafe { self.remove(entry) };
        };
        match self.verified_block_of(entry) {
            // SAFETY: as above.
            Ok(block) if block.is_null() => unsafe { self.install(&name, Source::Given(entry)) },
            // SAFETY: blocks stay mapped; the string is the caller's.
            Ok(block) => unsafe { self.put_back(&name, entry, block) },
            // The middle of a string of ours, which the program must not change: copy it.
            Err(_) => {
                // SAFETY: as above.
                unsafe {
                    let copy = self.copy_of(entry);
                    if copy.is_null() {
                        return Err(Error::NoMemory);
                    }
                    self.install(&name, Source::Given(copy.cast_mut()))
                }
            }
        }
    }

    /// Puts a string of ours back. The caller's reference becomes the table's.
    unsafe fn put_back(&self, name: &Name, entry: *mut c_char, block: *mut Block) -> Result<(), Error> {
        // SAFETY: blocks stay mapped; the caller of `put` holds the string.
        unsafe {
            // A string lent by an iteration has no reference of its own yet.
            let lent = self.take_lent(entry);
            let counted = (*block).state.load(Relaxed) > 1;
            if lent || !counted {
                // The one reference is the table's: the program found the string by walking
                // `environ`, or has it on loan. Give it one to hand over.
                (*block).pin();
            }
            self.install(name, Source::Given(entry))
        }
    }

    /// Removes every entry of a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name or one with `=`; [`Error::NoMemory`].
    ///
    /// # Safety
    /// `name` is a NUL-terminated string.
    pub unsafe fn remove(&self, name: *const c_char) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        let name = unsafe { Name::from_c(name) };
        self.remove_checked(&name)
    }

    /// [`Self::remove`] of bytes.
    ///
    /// # Errors
    /// As [`Self::remove`], and [`Error::Invalid`] for a NUL byte in the name.
    ///
    /// # Safety
    /// `name` points to `length` readable bytes.
    pub unsafe fn remove_bytes(&self, name: *const u8, length: usize) -> Result<(), Error> {
        // SAFETY: the caller's promise.
        let name = unsafe { Name::from_raw(name, length) };
        self.remove_checked(&name)
    }

    fn remove_checked(&self, name: &Name) -> Result<(), Error> {
        if !name.is_valid() {
            return Err(Error::Invalid);
        }
        let guard = self.begin().ok_or(Error::NoMemory)?;
        let result = loop {
            let table = match self.adopt(&guard) {
                Ok(table) => table,
                Err(error) => break Err(error),
            };
            if table.is_null() {
                break Ok(());
            }
            // SAFETY: the current table of this mutation.
            let (array, hit) = unsafe { self.locate(table, name) };
            if hit.slot == NONE {
                break Ok(());
            }
            // SAFETY: as above.
            let fresh = match unsafe { self.rebuild(&guard, table, Some((name, hit.slot)), 0) } {
                Ok(fresh) => fresh,
                Err(error) => break Err(error),
            };
            // SAFETY: `fresh` is complete, `table` is what it was made from.
            if unsafe { self.publish(&guard, table, array, fresh, false) }.is_ok() {
                let mut slot = hit.slot;
                while slot != NONE {
                    // SAFETY: the array was just replaced and is in quarantine; what it holds
                    // under this name is in no other table.
                    unsafe {
                        let gone = scan(array, slot, NONE, name);
                        if gone.slot == NONE {
                            break;
                        }
                        self.drop_replaced(gone.entry, guard.is_own());
                        slot = gone.slot + 1;
                    }
                }
                break Ok(());
            }
        };
        self.finish(&guard);
        result
    }

    /// Takes an array over that somebody else assigned to `environ`, so that readers find one
    /// that is never freed. Does nothing when there is none.
    pub fn take_over(&self) {
        if let Some(guard) = self.begin() {
            // Without memory the array stays what it is.
            let _ = self.adopt(&guard);
            self.finish(&guard);
        }
    }

    /// Removes everything. `environ` is null afterwards.
    ///
    /// # Errors
    /// [`Error::NoMemory`] if there is not even memory for the lock.
    pub fn clear(&self) -> Result<(), Error> {
        let guard = self.begin().ok_or(Error::NoMemory)?;
        loop {
            let array = self.cell().load(Acquire);
            let table = self.shared.0.current.load(Acquire);
            if array.is_null() {
                break;
            }
            // SAFETY: null is no table, hence complete.
            let cleared = unsafe { self.publish_over(&guard, table, array, ptr::null_mut(), ptr::null_mut()) };
            if cleared.is_ok() {
                break;
            }
        }
        self.finish(&guard);
        Ok(())
    }

    /// Replaces the whole environment by `count` entries, at one instant for every reader.
    /// Strings of [`Self::lookup`] or of an iteration are given back by this; others are
    /// copied, and `used` is called for each once it may be freed.
    ///
    /// # Errors
    /// [`Error::NoMemory`]; nothing has changed then.
    ///
    /// # Safety
    /// `entries` points to `count` NUL-terminated strings.
    pub unsafe fn replace_all(
        &self,
        entries: *const *const c_char,
        count: usize,
        used: impl Fn(*const c_char),
    ) -> Result<(), Error> {
        let guard = self.begin().ok_or(Error::NoMemory)?;
        let clean = guard.entry == Entry::Clean;
        let fresh = self.tables.take(&self.arena.0, count, true, clean);
        if fresh.is_null() {
            return Err(Error::NoMemory);
        }
        // SAFETY: ours alone until it is published, with room for `count` entries.
        unsafe {
            for at in 0..count {
                let entry = *entries.add(at);
                let kept = self.is_kept(entry);
                let own = if kept { entry } else { self.copy_of(entry) };
                if own.is_null() {
                    self.undo_replacement(fresh, entries);
                    return Err(Error::NoMemory);
                }
                (*fresh).push(own.cast_mut());
            }
            self.index_entries(&*fresh);
            for at in 0..count {
                let entry = *entries.add(at);
                if !self.is_kept(entry) {
                    used(entry);
                } else if self.take_lent(entry) {
                    (*self.block_of(entry)).pin();
                }
            }
            loop {
                let array = self.cell().load(Acquire);
                let table = self.shared.0.current.load(Acquire);
                let own = (*fresh).array.load(Relaxed);
                if self.publish_over(&guard, table, array, own, fresh).is_ok() {
                    break;
                }
            }
        }
        self.finish(&guard);
        Ok(())
    }

    /// Whether `replace_all` takes the string as it is: it is one of ours.
    fn is_kept(&self, entry: *const c_char) -> bool {
        self.is_initial(entry) || self.verified_block_of(entry).is_ok_and(|block| !block.is_null())
    }

    unsafe fn undo_replacement(&self, fresh: *mut Published, entries: *const *const c_char) {
        // SAFETY: never published; the first `count` entries are copies or the caller's.
        unsafe {
            let array = (*fresh).array.load(Relaxed);
            for at in 0..(*fresh).count.load(Relaxed) {
                let own = (*array.add(at)).load(Relaxed);
                if !ptr::eq(own, *entries.add(at)) {
                    self.drop_entry(own);
                }
            }
            self.tables.give(Published::block(fresh));
        }
    }

    /// Sets one variable.
    unsafe fn install(&self, name: &Name, source: Source) -> Result<(), Error> {
        let guard = self.begin().ok_or(Error::NoMemory)?;
        let (mut entry, given) = match source {
            Source::Given(entry) => (entry, true),
            Source::Value { .. } => (ptr::null_mut(), false),
        };
        let result = loop {
            let table = match self.adopt(&guard) {
                Ok(table) => table,
                Err(error) => break Err(error),
            };
            // SAFETY: the current table of this mutation, or none.
            let (array, hit) = unsafe { self.locate(table, name) };
            if hit.slot != NONE {
                if ptr::eq(hit.entry, entry) {
                    // `putenv` of what is there: the reference handed over is one too many.
                    // SAFETY: it is the caller's no more.
                    unsafe { self.drop_replaced(entry, guard.is_own()) };
                    break Ok(());
                }
                // SAFETY: the hit is an entry of the current array.
                if unsafe { self.is_settled(&hit, name, source) } {
                    break Ok(());
                }
            }
            if entry.is_null() {
                // SAFETY: the caller's promise.
                entry = unsafe { self.make_entry(name, source, guard.is_own()) };
                if entry.is_null() {
                    break Err(Error::NoMemory);
                }
            }
            // SAFETY: `entry` is complete; the table is current.
            match unsafe { self.store(&guard, table, array, hit.slot, entry, name) } {
                Ok(Ok(old)) => {
                    // SAFETY: the table held `old` and holds it no more.
                    unsafe { self.drop_replaced(old, guard.is_own()) };
                    entry = ptr::null_mut();
                    break Ok(());
                }
                Ok(Err(Stale)) => {}
                Err(error) => break Err(error),
            }
        };
        if !entry.is_null() && !given {
            // SAFETY: made above and in no table; stale arrays may show it.
            unsafe { self.drop_entry(entry) };
        }
        self.finish(&guard);
        result
    }

    /// Whether a variable needs no change.
    unsafe fn is_settled(&self, hit: &Hit, name: &Name, source: Source) -> bool {
        let Source::Value { bytes, length, overwrite } = source else {
            return false;
        };
        if !overwrite {
            return true;
        }
        let block = self.block_of(hit.entry);
        // SAFETY: blocks stay mapped; the room is checked before the comparison; strings of
        // ours do not change while they are published.
        unsafe {
            if block.is_null() || (*block).room() <= name.length + 1 + length {
                return false;
            }
            let value = hit.entry.cast::<u8>().add(name.length + 1);
            name::equal(value, bytes, length) && *value.add(length) == 0
        }
    }

    /// Stores an entry over slot `slot` of the current table, or as a new one, and gives what
    /// it displaced.
    unsafe fn store(
        &self,
        guard: &Guard<'_>,
        table: *mut Published,
        array: *mut Slot,
        slot: usize,
        entry: *mut c_char,
        name: &Name,
    ) -> Result<Result<*mut c_char, Stale>, Error> {
        // SAFETY: the caller's promises; tables and arrays stay mapped.
        unsafe {
            let in_place = guard.entry != Entry::Nested && !table.is_null() && (slot != NONE || (*table).has_room());
            if in_place {
                let aliased = self.is_foreign(entry);
                // That of a mutation below this one: in the child of a handler that forked.
                let below = (self.intent.load(Relaxed), self.intent_seen.load(Relaxed));
                // In this order: what was seen until now was seen of an earlier entry.
                self.intent.store(entry, Relaxed);
                self.intent_seen.store(0, Relaxed);
                let old = if slot == NONE {
                    let place = (*table).count.load(Relaxed);
                    if aliased {
                        (*table).alias(place);
                    }
                    (*table).append(place, entry);
                    (*table).index(name, place);
                    (*table).counted(place);
                    ptr::null_mut()
                } else {
                    if aliased {
                        (*table).alias(slot);
                    }
                    let place = &*array.add(slot);
                    let old = place.load(Relaxed);
                    place.store(entry, Release);
                    old
                };
                // A nested mutation has replaced the array. If it copied our entry, the store
                // came first and is done (and perhaps undone by now); if not, it was in vain.
                let replaced = self.shared.0.current.load(Acquire) != table || self.cell().load(Acquire) != array;
                let seen = self.intent_seen.load(Relaxed) != 0;
                self.intent.store(below.0, Relaxed);
                self.intent_seen.store(below.1, Relaxed);
                if replaced && !seen {
                    return Ok(Err(Stale));
                }
                self.changed();
                return Ok(Ok(old));
            }
            let fresh = self.rebuild(guard, table, None, usize::from(slot == NONE))?;
            let old = if slot == NONE {
                let place = (*fresh).push(entry);
                if self.is_foreign(entry) {
                    (*fresh).alias(place);
                }
                (*fresh).index(name, place);
                ptr::null_mut()
            } else {
                if self.is_foreign(entry) {
                    (*fresh).alias(slot);
                }
                (*(*fresh).array.load(Relaxed).add(slot)).swap(entry, Relaxed)
            };
            Ok(self.publish(guard, table, array, fresh, false).map(|()| old))
        }
    }

    /// The array of a current table and where a name is in it.
    unsafe fn locate(&self, table: *mut Published, name: &Name) -> (*mut Slot, Hit) {
        let none = Hit { slot: NONE, entry: ptr::null_mut() };
        if table.is_null() {
            return (ptr::null_mut(), none);
        }
        // SAFETY: the caller's table is current; its array holds strings.
        unsafe {
            let array = (*table).array.load(Relaxed);
            let hit = match (*table).find(array, name) {
                Ok(hit) if hit.slot <= (*table).alias_from.load(Relaxed) && hit.slot != NONE => hit,
                Ok(hit) if hit.slot == NONE && (*table).alias_from.load(Relaxed) == NONE => hit,
                _ => scan(array, 0, NONE, name),
            };
            (array, hit)
        }
    }

    /// The table of what `environ` points to now, made if there is none; null for an empty
    /// environment without an array.
    fn adopt(&self, guard: &Guard<'_>) -> Result<*mut Published, Error> {
        loop {
            let array = self.cell().load(Acquire);
            let table = self.shared.0.current.load(Acquire);
            // SAFETY: tables stay mapped.
            let known = !table.is_null() && unsafe { (*table).array.load(Relaxed) } == array;
            if array.is_null() {
                if table.is_null() {
                    return Ok(table);
                }
                // The program assigned null.
                if self.shared.0.current.replace(table, ptr::null_mut()).is_ok() {
                    // SAFETY: unpublished by us.
                    unsafe { self.retire_table(table, true, guard.is_own()) };
                }
                continue;
            }
            // SAFETY: the table's own array.
            if known && unsafe { (*table).intact(array) } {
                return Ok(table);
            }
            // Half appended to by a mutation that this one interrupts or that fork cut off, or
            // edited or assigned by the program, which may keep pointers to all of it.
            let foreign = !known || guard.entry == Entry::Clean;
            let clean = guard.entry == Entry::Clean;
            // SAFETY: a null-terminated array, by the promise made to `new`.
            let fresh = unsafe { self.table_of(array, foreign, clean) }?;
            // SAFETY: `fresh` is complete.
            let _ = unsafe { self.publish(guard, table, array, fresh, !known) };
        }
    }

    /// Publishes a copy of the current table in its place. Without memory nothing happens.
    pub(crate) fn renew(&self, guard: &Guard<'_>) {
        loop {
            let Ok(table) = self.adopt(guard) else { return };
            if table.is_null() {
                return;
            }
            // SAFETY: the current table, and a complete one made from it.
            unsafe {
                let array = (*table).array.load(Relaxed);
                let Ok(fresh) = self.rebuild(guard, table, None, 0) else { return };
                if self.publish(guard, table, array, fresh, false).is_ok() {
                    return;
                }
            }
        }
    }

    /// Notes that readers can see another state. If a nested mutation's note is lost in this
    /// one, both changes came before it.
    #[inline]
    fn changed(&self) {
        let version = self.version.0.load(Relaxed);
        self.version.0.store(version + 1, Release);
    }

    /// Tells an interrupted mutation that its entry was found in the array.
    #[inline]
    fn note_intent(&self, entry: *mut c_char) {
        if ptr::eq(self.intent.load(Relaxed), entry) {
            self.intent_seen.store(1, Relaxed);
        }
    }

    /// A new table with the entries of any array.
    unsafe fn table_of(&self, array: *mut Slot, foreign: bool, clean: bool) -> Result<*mut Published, Error> {
        // SAFETY: the caller's promise; the table is ours alone.
        unsafe {
            let mut count = 0;
            while !(*array.add(count)).load(Acquire).is_null() {
                count += 1;
            }
            let fresh = self.tables.take(&self.arena.0, count, true, clean);
            if fresh.is_null() {
                return Err(Error::NoMemory);
            }
            for slot in 0..count {
                let mut entry = (*array.add(slot)).load(Acquire);
                if entry.is_null() {
                    break;
                }
                self.note_intent(entry);
                if foreign {
                    let usable = match self.verified_block_of(entry) {
                        Ok(block) => block.is_null() || (*block).immortalize(),
                        Err(_) => false,
                    };
                    if !usable {
                        entry = self.copy_of(entry).cast_mut();
                        if entry.is_null() {
                            self.tables.give(Published::block(fresh));
                            return Err(Error::NoMemory);
                        }
                    }
                }
                (*fresh).push(entry);
            }
            self.index_entries(&*fresh);
            Ok(fresh)
        }
    }

    /// A new table with the entries of the current one, without those of a name whose first
    /// slot is given, with room for `more`.
    unsafe fn rebuild(
        &self,
        guard: &Guard<'_>,
        table: *mut Published,
        without: Option<(&Name, usize)>,
        more: usize,
    ) -> Result<*mut Published, Error> {
        let clean = guard.entry == Entry::Clean;
        // SAFETY: the caller's table is current, or null for an empty environment.
        unsafe {
            let count = table.as_ref().map_or(0, |old| old.count.load(Acquire));
            let fresh = self.tables.take(&self.arena.0, count + more, true, clean);
            if fresh.is_null() {
                return Err(Error::NoMemory);
            }
            let Some(old) = table.as_ref() else {
                return Ok(fresh);
            };
            let array = old.array.load(Relaxed);
            let mut removed = 0;
            let mut alias = NONE;
            for slot in 0..count {
                let entry = (*array.add(slot)).load(Relaxed);
                if entry.is_null() {
                    break;
                }
                self.note_intent(entry);
                if let Some((name, first)) = without
                    && slot >= first
                    && *entry.cast::<u8>() == *name.bytes
                    && name.heads(entry)
                {
                    removed += 1;
                    continue;
                }
                let place = (*fresh).push(entry);
                if alias == NONE && slot >= old.alias_from.load(Relaxed) && self.is_foreign(entry) {
                    alias = place;
                }
            }
            match without {
                Some((_, slot)) if removed == 1 && alias == NONE => (*fresh).copy_index(old, slot),
                None if alias == NONE => (*fresh).copy_index(old, NONE),
                _ => self.index_entries(&*fresh),
            }
            if old.is_odd() {
                (*fresh).set_odd();
            }
            (*fresh).alias_from.store(alias, Relaxed);
            Ok(fresh)
        }
    }

    /// Makes `fresh` current in place of `table`, whose strings it took over.
    unsafe fn publish(
        &self,
        guard: &Guard<'_>,
        table: *mut Published,
        array: *mut Slot,
        fresh: *mut Published,
        foreign: bool,
    ) -> Result<(), Stale> {
        // SAFETY: the caller's promise; tables stay mapped.
        unsafe {
            let generation = self.generation.fetch_add(1, Relaxed) + 1;
            (*fresh).generation.store(generation, Relaxed);
            let own = (*fresh).array.load(Relaxed);
            if self.cell().replace(array, own).is_err() {
                // Never seen by anybody.
                self.tables.give(Published::block(fresh));
                return Err(Stale);
            }
            if self.shared.0.current.replace(table, fresh).is_err() {
                // A handler found our array without its table and made another from it.
                self.retire_table(fresh, false, guard.is_own());
                return Err(Stale);
            }
            self.changed();
            self.retire_table(table, foreign, guard.is_own());
            Ok(())
        }
    }

    /// Makes `fresh` (or nothing) current in place of whatever there is, dropping all of it.
    unsafe fn publish_over(
        &self,
        guard: &Guard<'_>,
        table: *mut Published,
        array: *mut Slot,
        own: *mut Slot,
        fresh: *mut Published,
    ) -> Result<(), Stale> {
        // SAFETY: the caller's promise; tables stay mapped; after the publication the old
        // array is in quarantine and its strings are in no other table.
        unsafe {
            if let Some(new) = fresh.as_ref() {
                let generation = self.generation.fetch_add(1, Relaxed) + 1;
                new.generation.store(generation, Relaxed);
            }
            let known = !table.is_null() && (*table).array.load(Relaxed) == array;
            if self.cell().replace(array, own).is_err() {
                return Err(Stale);
            }
            if self.shared.0.current.replace(table, fresh).is_err() {
                return Err(Stale);
            }
            self.changed();
            if known {
                let mut slot = 0;
                loop {
                    let entry = (*array.add(slot)).load(Acquire);
                    if entry.is_null() {
                        break;
                    }
                    self.note_intent(entry);
                    self.drop_replaced(entry, guard.is_own());
                    slot += 1;
                }
            }
            self.retire_table(table, !known, guard.is_own());
            Ok(())
        }
    }

    /// A string `NAME=value`, with one reference for the table. Null without memory.
    unsafe fn make_entry(&self, name: &Name, source: Source, own: bool) -> *mut c_char {
        let Source::Value { bytes, length, .. } = source else {
            return ptr::null_mut();
        };
        let total = name.length + 1 + length;
        // SAFETY: the block has room for `total + 1` bytes; the sources are readable.
        unsafe {
            let block =
                if self.is_secret_name(name) { self.fresh_secret(total) } else { self.fresh_string(total, own) };
            if block.is_null() {
                return ptr::null_mut();
            }
            let text = Block::payload(block);
            text.copy_from_nonoverlapping(name.bytes, name.length);
            *text.add(name.length) = b'=';
            text.add(name.length + 1).copy_from_nonoverlapping(bytes, length);
            self.settle(block, total)
        }
    }

    /// A copy of a string, with one reference. Null without memory.
    pub(crate) unsafe fn copy_of(&self, text: *const c_char) -> *const c_char {
        // SAFETY: the caller passes a string.
        unsafe {
            let length = crate::host::length(text);
            let secret = self.has_secrets() && Name::of_entry(text).is_some_and(|name| self.is_secret_name(&name));
            let block = if secret { self.fresh_secret(length) } else { self.fresh_string(length, false) };
            if block.is_null() {
                return ptr::null();
            }
            Block::payload(block).copy_from_nonoverlapping(text.cast(), length);
            *Block::payload(block).add(length) = 0;
            (*block).state.store(1, Release);
            Block::payload(block).cast()
        }
    }

    /// A block for a string of `length` bytes, terminated at its end whatever happens.
    unsafe fn fresh_string(&self, length: usize, own: bool) -> *mut Block {
        let block = self.arena.0.take_as(length + 1, own);
        if !block.is_null() {
            // SAFETY: the last byte of the block; a late reader of what the block held before
            // stops here at the latest.
            unsafe { *Block::payload(block).add((*block).room() - 1) = 0 };
        }
        block
    }

    /// A block for a secret's string. Without the writers' own list: there are few.
    #[cold]
    unsafe fn fresh_secret(&self, length: usize) -> *mut Block {
        let block = self.locked.0.take(length + 1);
        if !block.is_null() {
            // SAFETY: as in `fresh_string`.
            unsafe { *Block::payload(block).add((*block).room() - 1) = 0 };
        }
        block
    }

    /// Ends a new string, or gives the immortal one that equals it.
    unsafe fn settle(&self, block: *mut Block, length: usize) -> *mut c_char {
        // SAFETY: the block has room for the terminator; it is ours alone.
        unsafe {
            let text = Block::payload(block);
            *text.add(length) = 0;
            let known = self.interned(text.cast(), length);
            if !known.is_null() {
                self.free(block, false);
                return Block::payload(known).cast();
            }
            (*block).state.store(1, Release);
            text.cast()
        }
    }
}
