//! The master image of a tree's secrets and the copies that processes get.
//!
//! The image holds `NAME=value\0` entries. Every process that may see secrets gets a copy of
//! its own with the same layout at the same address, so a pointer says which secret it means
//! in any process of the tree, and the supervisor never has to read one to know.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use envward_kernel::arch::Abi;
use envward_kernel::memory::page_size;
use envward_secret::{Arena, Backing, Delivery, ROOM_BEHIND, Region, RegionError, Vault};

/// Values shorter than this are recognised under their own name only: a short value ("1",
/// "true") is likely to stand in unrelated variables.
pub const ALIAS_MIN_LENGTH: usize = 8;

/// How many execs can be under way at once.
pub const SLOTS: usize = 8;
/// The scratch slots are just below the image in every process: room for an `envp` array each.
pub const SMALL: SlotSize = SlotSize { each: 64 * 1024, above: 0 };
/// Slots for arrays that are larger, below the small ones. The kernel takes no arguments and
/// environment of more than 6 MiB together with their pointers.
pub const LARGE: SlotSize = SlotSize { each: 8 * 1024 * 1024, above: SLOTS * SMALL.each };
/// All of it.
const SCRATCH_SIZE: usize = LARGE.above + SLOTS * LARGE.each;

/// A size of scratch slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotSize {
    /// Bytes in a slot.
    pub each: usize,
    /// Distance of the slots' end from the image.
    above: usize,
}

impl SlotSize {
    /// The size for an array of `length` bytes; `None` when it is longer than any that the
    /// kernel takes.
    #[must_use]
    pub fn for_array(length: usize) -> Option<Self> {
        [SMALL, LARGE].into_iter().find(|size| length <= size.each)
    }
}

/// A `NAME=value` entry of the image. The name is not secret.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name of the variable.
    pub name: Arc<str>,
    /// The secret whose value it is: rules are about this name. The same as `name` except for
    /// an alias, a copy that a program made under another name.
    pub secret: Arc<str>,
    offset: usize,
    /// Length of `NAME=value`, without the final NUL.
    length: usize,
    kind: Kind,
}

impl Entry {
    /// Whether it is a copy under another name, which only the programs that carry it get.
    #[must_use]
    pub fn is_alias(&self) -> bool {
        self.name != self.secret
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A secret, or a copy of one.
    Secret,
    /// The program's process id, which is known too late for an ordinary variable: no secret,
    /// but delivered like one.
    ProcessId,
}

/// How large an image grows, in bytes: more than the kernel lets a program have in strings under
/// the usual stack limit would be of no use.
const MAX_SIZE: usize = 1024 * 1024;

/// Digits of the largest process id.
const PID_DIGITS: usize = 10;

/// The master image.
#[derive(Debug)]
pub struct Image {
    region: Region,
    used: usize,
    entries: Vec<Entry>,
    /// Length of its value and number of every entry, in order: a string of another length
    /// is none of them.
    by_length: Vec<(usize, usize)>,
    native: usize,
    compat: usize,
    /// Empty memory for the first copy, if loading the secrets has left some.
    spare: Option<Delivery>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No protected memory.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// No random numbers.
    #[error("the kernel gave no random numbers: {0}")]
    Random(std::io::Error),
}

impl Image {
    /// Takes over the entries of `vault` and chooses where they are in every process.
    ///
    /// # Errors
    /// See [`ImageError`].
    pub fn new(vault: Vault) -> Result<Self, ImageError> {
        let Arena { region, entries, spare } = vault.into_arena(ROOM_BEHIND)?;
        let mut random = [0; 16];
        envward_kernel::random::fill(&mut random).map_err(ImageError::Random)?;
        let random = u128::from_ne_bytes(random);
        let mut image = Self {
            used: entries.last().map_or(0, |(_, offset, length)| offset + length),
            entries: entries
                .into_iter()
                .map(|(name, offset, length)| Entry {
                    secret: name.clone(),
                    name,
                    offset,
                    length: length - 1,
                    kind: Kind::Secret,
                })
                .collect(),
            by_length: Vec::new(),
            region,
            spare,
            native: place(Abi::Native, random as u64),
            compat: place(Abi::Compat, (random >> 64) as u64),
        };
        image.sort_lengths();
        Ok(image)
    }

    fn sort_lengths(&mut self) {
        let lengths = self.entries.iter().enumerate();
        self.by_length = lengths.map(|(index, entry)| (entry.length - entry.name.len() - 1, index)).collect();
        self.by_length.sort_unstable();
    }

    /// The entries whose values have this length, in their order.
    pub fn of_length(&self, length: usize) -> impl Iterator<Item = usize> + Clone {
        let start = self.by_length.partition_point(|(of, _)| *of < length);
        self.by_length[start..].iter().take_while(move |(of, _)| *of == length).map(|(_, index)| *index)
    }

    /// The entries, secrets first, then aliases.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What memory the image and its copies are made of.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.region.backing()
    }

    /// Size of a copy in bytes, a multiple of the page size.
    #[must_use]
    pub fn size(&self) -> usize {
        self.region.len()
    }

    /// Where the copies are in programs of this kind.
    #[must_use]
    pub const fn base(&self, abi: Abi) -> usize {
        match abi {
            Abi::Native => self.native,
            Abi::Compat => self.compat,
        }
    }

    /// Where scratch slot `slot` of this size is in programs of this kind.
    #[must_use]
    pub const fn scratch(&self, abi: Abi, size: SlotSize, slot: usize) -> usize {
        self.base(abi) - size.above - SLOTS * size.each + slot * size.each
    }

    /// The address of an entry in programs of this kind.
    #[must_use]
    pub fn address(&self, abi: Abi, entry: usize) -> u64 {
        (self.base(abi) + self.entries[entry].offset) as u64
    }

    /// Whether `pointer` leads into a copy, and into which entry: a pointer past the last
    /// entry belongs to none.
    #[must_use]
    pub fn locate(&self, abi: Abi, pointer: u64) -> Location {
        let Some(offset) = usize::try_from(pointer)
            .ok()
            .and_then(|pointer| pointer.checked_sub(self.base(abi)))
            .filter(|o| *o < self.size())
        else {
            return Location::Outside;
        };
        let index = self.entries.partition_point(|entry| entry.offset <= offset);
        match index.checked_sub(1).map(|index| (index, &self.entries[index])) {
            Some((index, entry)) if offset <= entry.offset + entry.length => {
                Location::Entry { index, into: offset - entry.offset }
            }
            _ => Location::Unused,
        }
    }

    /// Length of the longest `NAME=value` in bytes.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.entries.iter().map(|entry| entry.length).max().unwrap_or(0)
    }

    /// The secret bytes `NAME=value` of an entry, in protected memory.
    #[must_use]
    pub fn text(&self, entry: usize) -> &[u8] {
        let entry = &self.entries[entry];
        &self.region.as_slice()[entry.offset..entry.offset + entry.length]
    }

    /// The secret bytes of an entry's value, in protected memory.
    #[must_use]
    pub fn value(&self, entry: usize) -> &[u8] {
        &self.text(entry)[self.entries[entry].name.len() + 1..]
    }

    /// The entry that holds the value of `entry` under `name`, made now if there is none yet.
    /// `None` when the image is full and cannot grow.
    pub fn alias(&mut self, name: &str, entry: usize) -> Option<usize> {
        let secret = self.entries[entry].secret.clone();
        if let Some(index) = self.entries.iter().position(|known| *known.name == *name && known.secret == secret) {
            return Some(index);
        }
        let length = name.len() + 1 + self.value(entry).len();
        self.reserve(length + 1)?;
        let from = self.entries[entry].offset + self.entries[entry].name.len() + 1;
        let (start, value_length) = (self.used, self.value(entry).len());
        let bytes = self.region.as_mut_slice();
        bytes[start..start + name.len()].copy_from_slice(name.as_bytes());
        bytes[start + name.len()] = b'=';
        bytes.copy_within(from..from + value_length, start + name.len() + 1);
        bytes[start + length] = 0;
        self.entries.push(Entry { name: name.into(), secret, offset: start, length, kind: Kind::Secret });
        self.used += length + 1;
        self.sort_lengths();
        Some(self.entries.len() - 1)
    }

    /// Makes room for a variable whose value will be the program's process id, and says which
    /// entry it is; `None` when the image is full.
    pub fn add_process_id(&mut self, name: &str) -> Option<usize> {
        let length = name.len() + 1 + PID_DIGITS;
        let room = self.region.as_mut_slice().get_mut(self.used..self.used + length + 1)?;
        room[..name.len()].copy_from_slice(name.as_bytes());
        room[name.len()] = b'=';
        let entry = Entry { name: name.into(), secret: name.into(), offset: self.used, length, kind: Kind::ProcessId };
        self.entries.push(entry);
        self.used += length + 1;
        self.sort_lengths();
        Some(self.entries.len() - 1)
    }

    /// Fills in the program's process id.
    pub fn set_process_id(&mut self, pid: i32) {
        let digits = pid.to_string();
        for entry in self.entries.iter_mut().filter(|entry| entry.kind == Kind::ProcessId) {
            let value = entry.offset + entry.name.len() + 1;
            entry.length = entry.name.len() + 1 + digits.len();
            let room = &mut self.region.as_mut_slice()[value..=value + PID_DIGITS];
            room.fill(0);
            room[..digits.len()].copy_from_slice(digits.as_bytes());
        }
        self.sort_lengths();
    }

    /// Makes room for `more` bytes. The addresses stay: later copies are longer, that is all.
    fn reserve(&mut self, more: usize) -> Option<()> {
        let needed = self.used + more;
        if needed > self.region.len() {
            let length = needed.next_power_of_two();
            if length > MAX_SIZE {
                return None;
            }
            let mut region = Region::new(length, self.backing()).ok()?;
            region.as_mut_slice()[..self.used].copy_from_slice(&self.region.as_slice()[..self.used]);
            self.region = region;
        }
        Some(())
    }

    /// A new copy that holds the `permitted` entries only, ready to be mapped by one process.
    /// The descriptor is the only way to it.
    ///
    /// # Errors
    /// No protected memory.
    pub fn copy(&mut self, permitted: impl Fn(usize, &Entry) -> bool) -> Result<Copy, RegionError> {
        let spare = self.spare.take();
        let (delivery, length) = self.fill(spare, permitted)?;
        Ok(Copy { length, descriptor: delivery.deliver() })
    }

    fn fill(
        &self,
        spare: Option<Delivery>,
        permitted: impl Fn(usize, &Entry) -> bool,
    ) -> Result<(Delivery, usize), RegionError> {
        let entries = self.entries.iter().enumerate().filter(|(index, entry)| permitted(*index, entry));
        let ranges: Vec<_> = entries.map(|(_, entry)| entry.offset..entry.offset + entry.length).collect();
        let length = ranges.iter().map(|range| range.end + 1).max().unwrap_or(0);
        let mapped = length.max(1).next_multiple_of(page_size());
        // What is not mapped of it is empty, and there as long as the copy.
        let fits = |spare: &Delivery| (mapped..=2 * mapped).contains(&spare.mapped_len());
        let mut delivery = match spare.filter(fits) {
            Some(spare) => spare,
            None => Region::for_delivery(length, self.backing())?,
        };
        for range in ranges {
            delivery.as_mut_slice()[range.clone()].copy_from_slice(&self.region.as_slice()[range]);
        }
        Ok((delivery, mapped))
    }
}

/// A copy of the image, or of a part of it.
#[derive(Debug)]
pub struct Copy {
    /// The only way to it.
    pub descriptor: OwnedFd,
    /// Its length in bytes, a multiple of the page size.
    pub length: usize,
}

/// An image on its way into a child process, which has none of its parent's regions.
#[derive(Debug)]
pub struct Parcel {
    region: envward_secret::Parcel,
    used: usize,
    entries: Vec<Entry>,
    native: usize,
    compat: usize,
}

impl Image {
    /// Packs a copy of the image for a child.
    ///
    /// # Errors
    /// No protected memory.
    pub fn pack(&self) -> Result<Parcel, RegionError> {
        Ok(Parcel {
            region: self.fill(None, |_, _| true)?.0.pack(),
            used: self.used,
            entries: self.entries.clone(),
            native: self.native,
            compat: self.compat,
        })
    }

    /// Unpacks it in the child.
    ///
    /// # Errors
    /// No protected memory.
    pub fn unpack(parcel: Parcel) -> Result<Self, RegionError> {
        let Parcel { region, used, entries, native, compat } = parcel;
        let region = Region::unpack(region)?;
        let mut image = Self { region, used, entries, by_length: Vec::new(), native, compat, spare: None };
        image.sort_lengths();
        Ok(image)
    }
}

/// Where a pointer leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Not into the image.
    Outside,
    /// Into the image, but into no entry.
    Unused,
    /// Into entry `index`, `into` bytes after its start.
    Entry {
        /// Which entry.
        index: usize,
        /// Distance from its first byte.
        into: usize,
    },
}

/// An address for the image among those that `abi` allows.
fn place(abi: Abi, random: u64) -> usize {
    let (first, end) = abi.secret_range();
    let pages = (end - first) / page_size();
    // Slots below, the largest image above.
    let room = (SCRATCH_SIZE + MAX_SIZE) / page_size();
    first + (room + random as usize % (pages - 2 * room)) * page_size()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use envward_secret::SecretBuf;

    use super::*;

    fn image(entries: &[(&str, &[u8])]) -> Image {
        let mut vault = Vault::new(Backing::MemfdSecret).unwrap();
        for (name, value) in entries {
            vault.insert(name, "a test", value).unwrap();
        }
        Image::new(vault).unwrap()
    }

    #[test]
    fn pointers_are_located_to_the_byte() {
        let image = image(&[("A", b"one"), ("LONGER", b"two")]);
        for abi in [Abi::Native, Abi::Compat] {
            let base = image.base(abi) as u64;
            assert_eq!(image.locate(abi, base - 1), Location::Outside);
            assert_eq!(image.locate(abi, base), Location::Entry { index: 0, into: 0 });
            assert_eq!(image.locate(abi, base + 5), Location::Entry { index: 0, into: 5 });
            assert_eq!(image.locate(abi, base + 6), Location::Entry { index: 1, into: 0 });
            assert_eq!(image.locate(abi, base + 6 + 11), Location::Unused);
            assert_eq!(image.locate(abi, base + image.size() as u64), Location::Outside);
            assert_eq!(image.address(abi, 1), base + 6);
            let (first, end) = abi.secret_range();
            assert!(image.scratch(abi, LARGE, 0) >= first && image.base(abi) + image.size() <= end);
            assert_eq!(image.scratch(abi, SMALL, SLOTS - 1) + SMALL.each, image.base(abi));
            assert_eq!(image.scratch(abi, LARGE, SLOTS - 1) + LARGE.each, image.scratch(abi, SMALL, 0));
        }
        assert_eq!(image.text(1), b"LONGER=two");
        assert_eq!(image.value(1), b"two");
    }

    #[test]
    fn aliases_are_made_once_and_until_the_image_is_full() {
        let mut image = image(&[("TOKEN", b"0123456789")]);
        let alias = image.alias("COPY", 0).unwrap();
        assert_eq!(image.text(alias), b"COPY=0123456789");
        assert_eq!(&*image.entries()[alias].secret, "TOKEN");
        assert_eq!(image.alias("COPY", 0), Some(alias));
        assert_eq!(image.alias("COPY", alias), Some(alias));
        assert_eq!(image.alias("TOKEN", alias), Some(0));
        let made = (0..100_000).take_while(|number| image.alias(&format!("COPY{number:0>200}"), 0).is_some()).count();
        assert!((MAX_SIZE / 220..MAX_SIZE / 200).contains(&made), "{made}");
        assert_eq!(image.text(alias), b"COPY=0123456789", "it has moved along");
        let small = image.copy(|_, entry| !entry.is_alias()).unwrap();
        assert_eq!(small.length, page_size(), "aliases that nobody carries cost nothing");
    }

    #[test]
    fn spare_memory_becomes_the_first_copy_and_only_what_is_needed_is_mapped() {
        for (room, reused) in [(page_size() + 1, true), (10 * page_size(), false)] {
            let mut vault = Vault::new(Backing::MemfdSecret).unwrap();
            vault.insert("A", "a test", b"one").unwrap();
            vault.recycle(SecretBuf::with_room(Backing::MemfdSecret, room, 1 << 20).unwrap());
            let mut image = Image::new(vault).unwrap();
            let copy = image.copy(|_, _| true).unwrap();
            assert_eq!(copy.length, page_size());
            let file = File::from(copy.descriptor).metadata().unwrap();
            assert_eq!(file.len() as usize > page_size(), reused, "{room}");
        }
    }

    #[test]
    fn entries_are_found_by_the_length_of_their_values() {
        let mut image = image(&[("A", b"12345678"), ("LONGER", b"two"), ("C", b"87654321")]);
        assert_eq!(image.of_length(8).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(image.of_length(4).count(), 0);
        let alias = image.alias("D", 0).unwrap();
        assert_eq!(image.of_length(8).collect::<Vec<_>>(), [0, 2, alias]);
        let pid = image.add_process_id("PID").unwrap();
        image.set_process_id(77);
        assert_eq!(image.of_length(2).collect::<Vec<_>>(), [pid]);
    }

    #[test]
    fn a_copy_has_the_layout_of_the_image_and_only_what_is_permitted() {
        let mut image = image(&[("A", b"one"), ("B", b"two"), ("C", b"three")]);
        let copy = image.copy(|_, entry| &*entry.secret != "B").unwrap();
        assert_eq!(copy.length, page_size());
        // memfd_secret cannot be read(2): that is the point.
        assert!(File::from(copy.descriptor).read(&mut [0; 8]).is_err());
        let mut vault = Vault::new(Backing::Locked).unwrap();
        vault.insert("A", "a test", b"one").unwrap();
        vault.insert("B", "a test", b"two").unwrap();
        let mut locked = Image::new(vault).unwrap();
        let mut bytes = Vec::new();
        File::from(locked.copy(|_, entry| &*entry.secret != "A").unwrap().descriptor).read_to_end(&mut bytes).unwrap();
        assert_eq!(&bytes[..12], b"\0\0\0\0\0\0B=two\0");
        assert!(bytes[12..].iter().all(|byte| *byte == 0));
    }
}
