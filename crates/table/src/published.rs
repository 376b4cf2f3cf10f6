//! A published array and its index, together.
//!
//! The array is what `environ` points to. The index is a hash table beside it: open
//! addressing, 32 bits of hash and a slot number per bucket. A reader that finds `environ`
//! equal to the array may use the index, and believes a hit only after comparing the live
//! entry. Both parts are recycled together, with their capacity, so that a reader that is
//! late by a recycling reads a wrong entry at worst and never outside memory of ours.
#![expect(unsafe_code, reason = "raw arrays that other threads read")]

use core::ffi::c_char;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::arena::{Arena, Block, Stack};
use crate::host;
use crate::name::Name;
use crate::sync::{Pointer, Word, Word64};

/// One place of an environment array.
pub(crate) type Slot = Pointer<c_char>;

/// No slot.
pub(crate) const NONE: usize = usize::MAX;

/// Capacities are powers of two from this one up.
const LEAST_CAPACITY: u32 = 4;

/// An array and its index. Lives in a block of the arena, the buckets behind it.
#[repr(C)]
pub(crate) struct Published {
    /// The array that the index describes.
    pub(crate) array: Pointer<Slot>,
    /// Differs for every publication, so that a recycled table is told from the old one.
    pub(crate) generation: Word,
    /// Entries in the array.
    pub(crate) count: Word,
    /// The first slot with a string that its owner may rewrite (`putenv`, a foreign array), or
    /// [`NONE`]. From there on the index proves nothing.
    pub(crate) alias_from: Word,
    /// Buckets minus one. Fixed for the life of the block.
    mask: usize,
    /// Array memory that belongs to this block, of `capacity + 1` slots, or null.
    own: Pointer<Slot>,
    /// Slots of `own` that may be set.
    used: Word,
    /// One if an entry has no `=`.
    odd: Word,
}

/// Tables that may be used again, by capacity.
#[repr(transparent)]
pub(crate) struct Tables([Stack; 48]);

impl Tables {
    pub(crate) const fn new() -> Self {
        Self([const { Stack::new() }; 48])
    }

    /// Gives a table back for reuse.
    ///
    /// # Safety
    /// The block is a table that no reader uses any more.
    pub(crate) unsafe fn give(&self, block: *mut Block) {
        let table = Block::payload(block).cast::<Published>();
        // SAFETY: the block is a table.
        let order = unsafe { (*table).capacity() }.ilog2() as usize;
        // SAFETY: the caller's promise.
        unsafe { self.0[order].push(block) };
    }

    /// A table with an empty index, for `entries` entries and some more. With `with_array` it
    /// has a zeroed array of its own, from the process's allocator if `may_allocate`, else
    /// from the arena. Null when there is no memory.
    pub(crate) fn take(&self, arena: &Arena, entries: usize, with_array: bool, may_allocate: bool) -> *mut Published {
        let wanted = entries + 1 + (entries / 64).max(8);
        let order = wanted.next_power_of_two().ilog2().max(LEAST_CAPACITY);
        let capacity = 1_usize << order;
        let Some(stack) = self.0.get(order as usize) else {
            return ptr::null_mut();
        };
        let mut block = stack.pop();
        if block.is_null() {
            block = arena.take(size_of::<Published>() + 2 * capacity * size_of::<Word64>());
            if block.is_null() {
                return ptr::null_mut();
            }
            let table = Block::payload(block).cast::<Published>();
            // SAFETY: ours alone until it is published; the block has room for the table and
            // its buckets. All-zero bytes are valid words.
            unsafe {
                (*block).is_table = true;
                table.cast::<u8>().write_bytes(0, (*block).room());
                (*table).mask = 2 * capacity - 1;
            }
        }
        let table = Block::payload(block).cast::<Published>();
        // SAFETY: as above; a recycled table keeps `mask` and `own`.
        let fresh = unsafe { &*table };
        for bucket in fresh.buckets() {
            bucket.store(0, Relaxed);
        }
        fresh.count.store(0, Relaxed);
        fresh.alias_from.store(NONE, Relaxed);
        fresh.odd.store(0, Relaxed);
        if with_array && !fresh.prepare_array(arena, may_allocate) {
            // SAFETY: never published.
            unsafe { self.give(block) };
            return ptr::null_mut();
        }
        table
    }
}

impl Published {
    /// The block that the table lives in.
    pub(crate) fn block(table: *mut Self) -> *mut Block {
        table.cast::<Block>().wrapping_sub(1)
    }

    /// Entries that the array can hold, if it is the table's own.
    pub(crate) fn capacity(&self) -> usize {
        self.mask.div_ceil(2)
    }

    /// Whether the array is this table's own memory, and has room for another entry.
    pub(crate) fn has_room(&self) -> bool {
        self.array.load(Relaxed) == self.own.load(Relaxed) && self.count.load(Relaxed) < self.capacity()
    }

    #[inline(always)]
    fn buckets(&self) -> &[Word64] {
        let first = ptr::from_ref(self).wrapping_add(1).cast::<Word64>();
        // SAFETY: `mask + 1` buckets follow the header, in the same block.
        unsafe { core::slice::from_raw_parts(first, self.mask + 1) }
    }

    /// Makes `array` an empty array of the table's own.
    fn prepare_array(&self, arena: &Arena, may_allocate: bool) -> bool {
        let mut own = self.own.load(Relaxed);
        if own.is_null() {
            let slots = self.capacity() + 1;
            if may_allocate && !host::may_be_in_handler() {
                own = host::allocate_slots(slots).cast();
            }
            if own.is_null() {
                let block = arena.take(slots * size_of::<Slot>());
                if block.is_null() {
                    return false;
                }
                own = Block::payload(block).cast();
                // SAFETY: ours alone, with room for `slots` pointers.
                unsafe { own.write_bytes(0, slots) };
            }
            self.own.store(own, Relaxed);
        } else {
            for slot in 0..self.used.load(Relaxed) {
                // SAFETY: `used` is within the capacity.
                unsafe { (*own.add(slot)).store(ptr::null_mut(), Relaxed) };
            }
        }
        self.used.store(0, Relaxed);
        self.array.store(own, Relaxed);
        true
    }

    /// Whether the table has no array of its own.
    pub(crate) fn is_borrowed(&self) -> bool {
        self.own.load(Relaxed).is_null()
    }

    /// Whether an entry has no `=`.
    pub(crate) fn is_odd(&self) -> bool {
        self.odd.load(Relaxed) != 0
    }

    /// Notes that an entry has no `=`.
    pub(crate) fn set_odd(&self) {
        self.odd.store(1, Relaxed);
    }

    /// Gives up the array's memory: the program may have freed it, or may come back to it.
    pub(crate) fn abandon_array(&self) {
        self.own.store(ptr::null_mut(), Relaxed);
        self.used.store(0, Relaxed);
    }

    /// Adds an entry to an array that no reader has seen yet.
    ///
    /// # Safety
    /// The table is not published and has room.
    pub(crate) unsafe fn push(&self, entry: *mut c_char) -> usize {
        let slot = self.count.load(Relaxed);
        // SAFETY: the caller's promise.
        unsafe { (*self.array.load(Relaxed).add(slot)).store(entry, Relaxed) };
        self.count.store(slot + 1, Relaxed);
        self.used.store(slot + 1, Relaxed);
        slot
    }

    /// Appends an entry where readers can see it. The index is next ([`Published::index`]),
    /// then [`Published::counted`].
    ///
    /// # Safety
    /// The table is published and has room; `slot` is its count.
    pub(crate) unsafe fn append(&self, slot: usize, entry: *mut c_char) {
        self.used.store(slot + 1, Relaxed);
        // SAFETY: the caller's promise: `slot` is below the capacity.
        unsafe { (*self.array.load(Relaxed).add(slot)).store(entry, Release) };
    }

    /// Makes an appended and indexed entry count.
    pub(crate) fn counted(&self, slot: usize) {
        self.count.store(slot + 1, Release);
    }

    /// Notes that the string in `slot` may be rewritten by its owner. Before the string is
    /// published.
    pub(crate) fn alias(&self, slot: usize) {
        if slot < self.alias_from.load(Relaxed) {
            self.alias_from.store(slot, Release);
        }
    }

    /// Adds a name to the index unless it is there.
    ///
    /// # Safety
    /// Entries of the array are strings.
    pub(crate) unsafe fn index(&self, name: &Name, slot: usize) {
        let array = self.array.load(Relaxed);
        let mut at = name.hash as usize;
        loop {
            let bucket = &self.buckets()[at & self.mask];
            let held = bucket.load(Relaxed);
            if held == 0 {
                bucket.store(u64::from(name.hash) << 32 | (slot as u64 + 1), Release);
                return;
            }
            if (held >> 32) as u32 == name.hash {
                // SAFETY: bucket slots are within the array; entries are strings.
                let same = unsafe {
                    let entry = (*array.add(held as u32 as usize - 1)).load(Relaxed);
                    !entry.is_null() && name.heads(entry)
                };
                if same {
                    return;
                }
            }
            at += 1;
        }
    }

    /// Copies another table's index, leaving out `removed` and moving the slots above it down.
    pub(crate) fn copy_index(&self, from: &Self, removed: usize) {
        for bucket in from.buckets() {
            let held = bucket.load(Relaxed);
            if held == 0 {
                continue;
            }
            let slot = held as u32 as usize - 1;
            if slot == removed {
                continue;
            }
            let moved = held - u64::from(slot > removed);
            let mut at = (held >> 32) as usize;
            loop {
                let place = &self.buckets()[at & self.mask];
                if place.load(Relaxed) == 0 {
                    place.store(moved, Relaxed);
                    break;
                }
                at += 1;
            }
        }
    }

    /// The slot that the index gives for a name, [`NONE`] when it has none, or an error when
    /// the array is not what the index describes.
    ///
    /// # Safety
    /// `array` is the table's array, its entries are strings.
    #[inline(always)]
    pub(crate) unsafe fn find(&self, array: *mut Slot, name: &Name) -> Result<Hit, Stale> {
        let mut at = name.hash as usize;
        loop {
            // SAFETY: masked, within the buckets.
            let held = unsafe { self.buckets().get_unchecked(at & self.mask) }.load(Acquire);
            if held == 0 {
                return Ok(Hit { slot: NONE, entry: ptr::null_mut() });
            }
            if (held >> 32) as u32 == name.hash {
                let slot = held as u32 as usize - 1;
                // SAFETY: bucket slots are within the array; entries are strings.
                unsafe {
                    let entry = (*array.add(slot)).load(Acquire);
                    if !entry.is_null() && name.heads(entry) {
                        return Ok(Hit { slot, entry });
                    }
                }
                return Err(Stale);
            }
            at += 1;
        }
    }

    /// [`Self::find`] without the rare cases: `None` when they come up.
    ///
    /// # Safety
    /// `array` is the table's array, its entries are strings.
    #[inline(always)]
    pub(crate) unsafe fn glance(&self, array: *mut Slot, name: &Name) -> Option<Hit> {
        let mut at = name.hash as usize;
        loop {
            // SAFETY: masked, within the buckets.
            let held = unsafe { self.buckets().get_unchecked(at & self.mask) }.load(Acquire);
            if held == 0 {
                return Some(Hit { slot: NONE, entry: ptr::null_mut() });
            }
            if (held >> 32) as u32 == name.hash {
                let slot = held as u32 as usize - 1;
                // SAFETY: bucket slots are within the array; entries are strings.
                unsafe {
                    let entry = (*array.add(slot)).load(Acquire);
                    return (!entry.is_null() && name.heads_quickly(entry)).then_some(Hit { slot, entry });
                }
            }
            at += 1;
        }
    }

    /// Whether a program cut the array short at its start (`environ[0] = NULL`). A hit is
    /// what it is wherever else the array was cut behind it, and the slots in between are left
    /// to writers.
    ///
    /// # Safety
    /// `array` is the table's array and was not empty.
    #[inline(always)]
    pub(crate) unsafe fn is_cut(array: *mut Slot) -> bool {
        // SAFETY: the first slot of an array can always be read.
        unsafe { (*array).load(Relaxed) }.is_null()
    }

    /// Whether the array still ends and begins as the index says. False while an entry is
    /// being appended, and after a program edited the array.
    ///
    /// # Safety
    /// `array` is the table's array.
    #[inline(always)]
    pub(crate) unsafe fn intact(&self, array: *mut Slot) -> bool {
        let count = self.count.load(Acquire);
        // SAFETY: `count` slots are set and one more is allocated.
        unsafe {
            (*array.add(count)).load(Relaxed).is_null()
                && (count == 0
                    || (!(*array).load(Relaxed).is_null() && !(*array.add(count - 1)).load(Relaxed).is_null()))
        }
    }

    /// [`Self::intact`] as far as a miss at first glance asks: nobody can add to the end of an
    /// array of ours, and its last slots are where a writer in another thread is at work.
    ///
    /// # Safety
    /// `array` is the table's array.
    #[inline(always)]
    pub(crate) unsafe fn ends_as_indexed(&self, array: *mut Slot) -> bool {
        // SAFETY: the caller's promise.
        ptr::eq(self.own.load(Relaxed), array) || unsafe { self.intact(array) }
    }
}

/// Where a name was found.
#[derive(Clone, Copy)]
pub(crate) struct Hit {
    /// The slot, or [`NONE`].
    pub(crate) slot: usize,
    /// The entry seen there.
    pub(crate) entry: *mut c_char,
}

/// The index does not describe the array any more.
pub(crate) struct Stale;

/// Looks through an array from slot `from` on, up to `until` or the end.
///
/// # Safety
/// `array` is a null-terminated array of strings, readable from `from` on.
#[inline]
pub(crate) unsafe fn scan(array: *mut Slot, from: usize, until: usize, name: &Name) -> Hit {
    let mut slot = from;
    while slot < until {
        // SAFETY: no terminator was seen before `slot`.
        let entry = unsafe { (*array.add(slot)).load(Acquire) };
        if entry.is_null() {
            break;
        }
        // SAFETY: an entry of the array is a string; a name is not empty.
        if unsafe { *entry.cast::<u8>() == *name.bytes && name.heads(entry) } {
            return Hit { slot, entry };
        }
        slot += 1;
    }
    Hit { slot: NONE, entry: ptr::null_mut() }
}
