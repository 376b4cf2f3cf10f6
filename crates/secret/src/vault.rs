//! The entries of a program's environment, in protected memory.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use envward_kernel::memory;

use crate::region::wipe_slice;
use crate::{Backing, Delivery, Parcel, Region, RegionError, SecretBuf};

/// The longest entry in bytes, name, `=` and the final NUL included: what
/// `execve(2)` allows for one string (`MAX_ARG_STRLEN`, 32 pages of 4 KiB).
pub const MAX_ENTRY: usize = 128 * 1024;

/// Bytes that are wanted behind the entries, see [`Vault::into_arena`].
pub const ROOM_BEHIND: usize = 2048;

/// An arena of `NAME=value\0` entries, back to back in one protected region,
/// and an index to it in ordinary memory.
///
/// A later entry replaces an earlier one of the same name; the bytes of the
/// earlier one are wiped and the arena is closed up, so entries are always
/// dense and in the order in which they were last set.
pub struct Vault {
    arena: Region,
    used: usize,
    index: Vec<Slot>,
    /// The sequence numbers of the slots.
    by_name: HashMap<Arc<str>, u64>,
    /// The next one.
    next: u64,
    spare: Option<Delivery>,
}

/// What a vault is made of, see [`Vault::into_arena`].
#[derive(Debug)]
pub struct Arena {
    /// The memory.
    pub region: Region,
    /// Name, offset of `NAME=value\0`, and its length with the final NUL.
    pub entries: Vec<(Arc<str>, usize, usize)>,
    /// Memory for the first copy, if something has left some.
    pub spare: Option<Delivery>,
}

#[derive(Clone, Debug)]
struct Slot {
    name: Arc<str>,
    /// Higher than that of the slots before it, and the same as long as it is there.
    sequence: u64,
    origin: String,
    place: Option<(usize, usize)>,
    takes_in: Vec<String>,
    overridden: Vec<String>,
    offset: usize,
    len: usize,
}

impl Vault {
    /// An empty vault of one page; it grows by doubling.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn new(backing: Backing) -> Result<Self, RegionError> {
        Ok(Self {
            arena: Region::new(memory::page_size(), backing)?,
            used: 0,
            index: Vec::new(),
            by_name: HashMap::new(),
            next: 0,
            spare: None,
        })
    }

    /// Starts an entry that is built piece by piece.
    ///
    /// `origin` says for messages where the value comes from, such as
    /// `app.env:3`.
    ///
    /// # Errors
    ///
    /// [`VaultError::InvalidName`] if `name` is empty or holds `=` or NUL,
    /// [`VaultError::TooLong`], [`VaultError::Memory`].
    pub fn writer<'v>(&'v mut self, name: &'v str, origin: &str) -> Result<EntryWriter<'v>, VaultError> {
        self.start(name, None, origin)
    }

    /// As [`writer`](Self::writer), for a name that is kept elsewhere too.
    ///
    /// # Errors
    ///
    /// As [`writer`](Self::writer).
    pub fn writer_of<'v>(&'v mut self, name: &'v Arc<str>, origin: &str) -> Result<EntryWriter<'v>, VaultError> {
        self.start(name, Some(name), origin)
    }

    fn start<'v>(
        &'v mut self,
        name: &'v str,
        shared: Option<&'v Arc<str>>,
        origin: &str,
    ) -> Result<EntryWriter<'v>, VaultError> {
        check_name(name)?;
        let mut writer = EntryWriter {
            shared,
            start: self.used,
            end: self.used,
            name,
            origin: origin.to_owned(),
            place: None,
            takes_in: Vec::new(),
            vault: self,
        };
        writer.append(name.as_bytes())?;
        writer.append(b"=")?;
        Ok(writer)
    }

    /// Adds an entry whose value is already in memory, which should be
    /// protected memory.
    ///
    /// # Errors
    ///
    /// As [`writer`](Self::writer) and [`EntryWriter::push`].
    pub fn insert(&mut self, name: &str, origin: &str, value: &[u8]) -> Result<(), VaultError> {
        let mut writer = self.writer(name, origin)?;
        writer.push(value)?;
        writer.commit()
    }

    /// The value of a variable.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let slot = self.slot(name)?;
        Some(&self.arena.as_slice()[slot.value_range()])
    }

    /// Takes a variable out, if it is there, and wipes its bytes.
    pub fn take_out(&mut self, name: &str) -> bool {
        let position = self.by_name.remove(name).and_then(|sequence| self.position(sequence));
        if let Some(position) = position {
            self.remove(position);
        }
        position.is_some()
    }

    /// The entries in their order.
    pub fn entries(&self) -> Entries<'_> {
        Entries { slots: self.index.iter() }
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The whole arena, a multiple of a page: the entries at the offsets that
    /// [`entries`](Self::entries) tells, then zeros.
    #[must_use]
    pub fn image(&self) -> &[u8] {
        self.arena.as_slice()
    }

    /// The entries one behind the other, for a process that maps the descriptor.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn delivery(&self) -> Result<Delivery, RegionError> {
        let len = self.entries().map(|entry| entry.len_with_nul).sum();
        let mut delivery = Delivery::new(len, self.backing())?;
        let (mut rest, image) = (delivery.as_mut_slice(), self.image());
        for entry in self.entries() {
            let (place, behind) = rest.split_at_mut(entry.len_with_nul);
            place.copy_from_slice(&image[entry.offset..entry.offset + entry.len_with_nul]);
            rest = behind;
        }
        Ok(delivery)
    }

    /// Keeps what a buffer was made of, of which all has been taken over, for the first copy.
    pub fn recycle(&mut self, buffer: SecretBuf) {
        let room = self.spare.as_ref().map_or(0, Delivery::mapped_len);
        if buffer.room() > room {
            self.spare = buffer.reuse();
        }
    }

    /// Gives up the memory for the first copy, before a fork: the child would share it.
    pub fn give_up_spare(&mut self) {
        self.spare = None;
    }

    /// A copy for a child that is to be forked, which has none of its parent's memory.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn pack(&self) -> Result<PackedVault, RegionError> {
        let mut delivery = Delivery::new(self.arena.len(), self.backing())?;
        delivery.as_mut_slice().copy_from_slice(self.image());
        Ok(PackedVault { parcel: delivery.pack(), used: self.used, index: self.index.clone() })
    }

    /// The kind of memory that the vault is made of.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.arena.backing()
    }

    /// Gives up the arena, with at least `room` bytes free behind the entries.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn into_arena(mut self, room: usize) -> Result<Arena, RegionError> {
        self.reserve(self.used + room)?;
        let entries = self.index.into_iter().map(|slot| (slot.name, slot.offset, slot.len)).collect();
        Ok(Arena { region: self.arena, entries, spare: self.spare })
    }

    /// Makes room for `more` bytes of entries at once, where it is known how many will come, and
    /// for what [`into_arena`](Self::into_arena) is asked for behind them.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn make_room(&mut self, more: usize) -> Result<(), RegionError> {
        self.reserve(self.used.saturating_add(more).saturating_add(ROOM_BEHIND))
    }

    /// Prepares the index for `more` entries.
    pub fn expect(&mut self, more: usize) {
        self.index.reserve(more);
        self.by_name.reserve(more);
    }

    /// As [`make_room`](Self::make_room), of what a buffer is made of, if that is large enough
    /// and nothing is in the vault yet.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn make_room_of(&mut self, buffer: SecretBuf, more: usize) -> Result<(), RegionError> {
        if self.used == 0 && buffer.backing() == self.backing() && buffer.room() >= more.saturating_add(ROOM_BEHIND) {
            self.arena = buffer.into_region();
        }
        self.make_room(more)
    }

    fn reserve(&mut self, end: usize) -> Result<(), RegionError> {
        self.grow(end, self.used)
    }

    /// Makes room up to `end`, where the first `filled` bytes are in use.
    fn grow(&mut self, end: usize, filled: usize) -> Result<(), RegionError> {
        if end <= self.arena.len() {
            return Ok(());
        }
        // Entries are limited, so doubling cannot overflow. An empty arena is replaced by what
        // is asked for.
        let least = if filled > 0 { 2 * self.arena.len() } else { 0 };
        let page = memory::page_size();
        let len = end.max(least).checked_next_multiple_of(page).unwrap_or(end);
        let mut arena = Region::new(len, self.arena.backing())?;
        arena.prefix_mut(filled).copy_from_slice(&self.arena.as_slice()[..filled]);
        self.arena = arena;
        Ok(())
    }

    fn slot(&self, name: &str) -> Option<&Slot> {
        self.by_name.get(name).and_then(|sequence| self.position(*sequence)).map(|position| &self.index[position])
    }

    /// Where in the index the slot with this sequence number is.
    fn position(&self, sequence: u64) -> Option<usize> {
        self.index.binary_search_by_key(&sequence, |slot| slot.sequence).ok()
    }

    /// Takes an entry out of the index, closes the gap and wipes what becomes free.
    fn remove(&mut self, position: usize) {
        let slot = self.index.remove(position);
        let used = self.used - slot.len;
        let bytes = self.arena.prefix_mut(self.used);
        bytes.copy_within(slot.offset + slot.len.., slot.offset);
        wipe_slice(&mut bytes[used..]);
        self.used = used;
        for later in &mut self.index[position..] {
            later.offset -= slot.len;
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.index.iter().map(|slot| &*slot.name);
        f.debug_struct("Vault")
            .field("names", &names.collect::<Vec<_>>())
            .field("arena", &self.arena)
            .finish_non_exhaustive()
    }
}

impl Slot {
    fn value_range(&self) -> std::ops::Range<usize> {
        self.offset + self.name.len() + 1..self.offset + self.len - 1
    }
}

/// A vault on its way into a child process.
#[derive(Debug)]
pub struct PackedVault {
    parcel: Parcel,
    used: usize,
    index: Vec<Slot>,
}

impl PackedVault {
    /// The vault, in the child.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn unpack(self) -> Result<Vault, RegionError> {
        let arena = Region::unpack(self.parcel)?;
        let by_name = self.index.iter().map(|slot| (slot.name.clone(), slot.sequence)).collect();
        let next = self.index.last().map_or(0, |slot| slot.sequence + 1);
        Ok(Vault { arena, used: self.used, index: self.index, by_name, next, spare: None })
    }
}

/// An entry being built at the end of the arena.
///
/// Nothing of it remains unless it is [committed](Self::commit).
pub struct EntryWriter<'vault> {
    vault: &'vault mut Vault,
    name: &'vault str,
    shared: Option<&'vault Arc<str>>,
    origin: String,
    place: Option<(usize, usize)>,
    takes_in: Vec<String>,
    start: usize,
    end: usize,
}

impl EntryWriter<'_> {
    /// Notes where in its file the value stands: line and column, from 1.
    #[must_use]
    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.place = Some((line, column));
        self
    }

    /// Notes variables whose values are in the bytes that are pushed.
    pub fn note_taken(&mut self, names: &[String]) {
        self.takes_in.extend_from_slice(names);
    }

    /// Appends bytes to the value.
    ///
    /// # Errors
    ///
    /// [`VaultError::NulInValue`], [`VaultError::TooLong`],
    /// [`VaultError::Memory`]. Nothing is appended then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        if bytes.contains(&0) {
            return Err(VaultError::NulInValue { name: self.name.to_owned(), origin: self.origin.clone() });
        }
        self.append(bytes)
    }

    /// Appends the value of an earlier variable, inside protected memory;
    /// false if there is none of that name. A variable's own name means its
    /// earlier value.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLong`], [`VaultError::Memory`].
    pub fn push_value_of(&mut self, name: &str) -> Result<bool, VaultError> {
        let Some(slot) = self.vault.slot(name) else {
            return Ok(false);
        };
        let range = slot.value_range();
        let len = range.len();
        self.make_room(len)?;
        let end = self.end;
        self.vault.arena.prefix_mut(end + len).copy_within(range, end);
        self.end += len;
        if !self.takes_in.iter().any(|earlier| earlier == name) {
            self.takes_in.push(name.to_owned());
        }
        Ok(true)
    }

    /// Completes the entry and replaces an earlier one of the same name.
    ///
    /// # Errors
    ///
    /// [`VaultError::TooLong`], [`VaultError::Memory`]: the entry is undone
    /// and an earlier one stays.
    pub fn commit(mut self) -> Result<(), VaultError> {
        self.append(b"\0")?;
        let len = self.end - self.start;
        let name: Arc<str> = self.shared.map_or_else(|| self.name.into(), Arc::clone);
        let sequence = self.vault.next;
        self.vault.next += 1;
        let earlier = self.vault.by_name.insert(Arc::clone(&name), sequence);
        let earlier = earlier.and_then(|sequence| self.vault.position(sequence));
        let overridden = match earlier.map(|position| &mut self.vault.index[position]) {
            None => Vec::new(),
            Some(earlier) => {
                if self.takes_in.iter().any(|taken| taken == self.name) {
                    self.takes_in.append(&mut earlier.takes_in);
                }
                let mut overridden = std::mem::take(&mut earlier.overridden);
                overridden.push(std::mem::take(&mut earlier.origin));
                overridden
            }
        };
        self.vault.index.push(Slot {
            name,
            sequence,
            origin: std::mem::take(&mut self.origin),
            place: self.place,
            takes_in: std::mem::take(&mut self.takes_in),
            overridden,
            offset: self.start,
            len,
        });
        self.vault.used = self.end;
        if let Some(position) = earlier {
            self.vault.remove(position);
        }
        // Nothing is left to undo.
        self.start = self.end;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), VaultError> {
        self.make_room(bytes.len())?;
        let end = self.end + bytes.len();
        self.vault.arena.prefix_mut(end)[self.end..].copy_from_slice(bytes);
        self.end = end;
        Ok(())
    }

    fn make_room(&mut self, len: usize) -> Result<(), VaultError> {
        let total = (self.end - self.start).saturating_add(len);
        if total > MAX_ENTRY {
            return Err(VaultError::TooLong { name: self.name.to_owned(), origin: self.origin.clone() });
        }
        self.vault.grow(self.end + len, self.end).map_err(VaultError::Memory)
    }
}

impl Drop for EntryWriter<'_> {
    fn drop(&mut self) {
        if self.start < self.end {
            wipe_slice(&mut self.vault.arena.prefix_mut(self.end)[self.start..]);
        }
    }
}

impl fmt::Debug for EntryWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryWriter")
            .field("name", &self.name)
            .field("len", &(self.end - self.start))
            .finish_non_exhaustive()
    }
}

/// One entry of a [`Vault`], without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry<'vault> {
    /// The variable's name.
    pub name: &'vault str,
    /// Where `NAME=value\0` starts in the image, in bytes.
    pub offset: usize,
    /// Its length in bytes with the final NUL.
    pub len_with_nul: usize,
    /// Where the value comes from.
    pub origin: &'vault str,
    /// Where in a file it stands: line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// The variables whose values are a part of it.
    pub takes_in: &'vault [String],
    /// Where the values come from that it replaced, the first one first.
    pub overridden: &'vault [String],
}

/// The entries of a [`Vault`] in their order.
#[derive(Clone)]
pub struct Entries<'vault> {
    slots: std::slice::Iter<'vault, Slot>,
}

impl<'vault> Iterator for Entries<'vault> {
    type Item = Entry<'vault>;

    fn next(&mut self) -> Option<Self::Item> {
        self.slots.next().map(|slot| Entry {
            name: &slot.name,
            offset: slot.offset,
            len_with_nul: slot.len,
            origin: &slot.origin,
            place: slot.place,
            takes_in: &slot.takes_in,
            overridden: &slot.overridden,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slots.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}

impl fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Why an entry could not be stored. Holds names and origins, never a value.
#[derive(Debug)]
#[non_exhaustive]
pub enum VaultError {
    /// The name is empty or holds `=` or NUL. Only what is before that
    /// character is kept: what is behind it may have been meant as a value.
    InvalidName {
        /// The name up to the first character that it must not have.
        before: String,
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// The value holds a NUL byte, which no environment variable can.
    NulInValue {
        /// The variable.
        name: String,
        /// Where the value comes from.
        origin: String,
    },
    /// The entry is longer than [`MAX_ENTRY`].
    TooLong {
        /// The variable.
        name: String,
        /// Where the value comes from.
        origin: String,
    },
    /// No protected memory.
    Memory(RegionError),
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidName { before, problem } => {
                write!(f, "{} is not a name of a variable: it {problem}", quoted(before))
            }
            Self::NulInValue { name, origin } => {
                write!(f, "the value of {name} ({origin}) contains a NUL byte, which no variable can hold")
            }
            Self::TooLong { name, origin } => {
                let most = MAX_ENTRY - 2;
                write!(f, "the value of {name} ({origin}) is too long: name and value may have {most} bytes")
            }
            Self::Memory(source) => source.fmt(f),
        }
    }
}

impl Error for VaultError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Memory(source) => source.source(),
            _ => None,
        }
    }
}

/// What is wrong with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameProblem {
    /// It has no characters.
    Empty,
    /// It holds `=`.
    EqualsSign,
    /// It holds a NUL character.
    Nul,
}

impl fmt::Display for NameProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::EqualsSign => "is followed by `=`",
            Self::Nul => "is followed by a NUL character",
        })
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.escape_debug())
}

fn check_name(name: &str) -> Result<(), VaultError> {
    let (before, problem) = match name.find(['=', '\0']) {
        None if name.is_empty() => ("", NameProblem::Empty),
        None => return Ok(()),
        Some(at) if name.as_bytes()[at] == b'=' => (&name[..at], NameProblem::EqualsSign),
        Some(at) => (&name[..at], NameProblem::Nul),
    };
    Err(VaultError::InvalidName { before: before.to_owned(), problem })
}
