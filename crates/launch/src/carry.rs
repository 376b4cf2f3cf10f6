//! Which secrets an `execve` would carry, seen from outside the calling process.
//!
//! A pointer into the process's secret region is a secret whatever it leads to, and is known
//! by its address alone: the bytes there cannot be read from outside and need not be. Any
//! other string is compared with the image in protected memory: the same `NAME=value` is a
//! copy that the program made (a shell's `export`, Python's `os.environ`), the same value
//! under another name is an alias. A changed value is the program's own.

use std::io;

use envward_kernel::arch::Abi;
use envward_kernel::remote_memory::{self, Range};
use envward_secret::{Region, RegionError};

use crate::image::{ALIAS_MIN_LENGTH, Image, Location, SLOT_SIZE};
use crate::stack;

/// How much of every string is looked at before any comparison.
const PREFIX: usize = 256;
/// Strings looked at in one system call.
const BATCH: usize = 48;
/// The array is read in pieces that end at multiples of this.
const ARRAY_PIECE: usize = 4096;

/// The environment of an exec, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Carry {
    /// The pointers without the secret ones, in their order.
    pub kept: Vec<u64>,
    /// The secrets, in their order.
    pub secrets: Vec<Carried>,
}

/// A secret that an exec would carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Where it stands among all entries, counted from 0.
    pub position: usize,
    /// Which entry of the image; `None` for a pointer into the unused rest of the region,
    /// which means nothing and is dropped.
    pub entry: Option<usize>,
    /// How far into the entry the pointer leads: 0 unless the program did arithmetic on it.
    pub into: usize,
}

/// Why an environment could not be taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarryError {
    /// More entries than a scratch slot holds.
    #[error("more than {} environment entries", SLOT_SIZE / 8 - 1)]
    TooMany,
    /// The caller's memory cannot be read.
    #[error("the caller's memory cannot be read: {0}")]
    Unreadable(io::Error),
    /// No protected memory to look at the strings in.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The pointer array ends in unmapped memory: the exec would fail with `EFAULT` itself.
    #[error("the environment array ends in unmapped memory")]
    Fault,
}

/// Reads environments of other processes into protected memory.
#[derive(Debug, Default)]
pub struct Reader {
    /// Strings of other processes may be copies of secrets, so they are looked at here only.
    /// Made when the first is.
    buffer: Option<Region>,
}

impl Reader {
    /// A reader without a buffer yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: None }
    }

    /// Takes the environment at `envp` in thread `tid` apart. Makes aliases in the image for
    /// values that stand under other names.
    ///
    /// # Errors
    /// See [`CarryError`].
    pub fn read(&mut self, image: &mut Image, tid: i32, abi: Abi, envp: usize) -> Result<Carry, CarryError> {
        let pointers = read_array(tid, abi, envp)?;
        let mut buffer = match self.buffer.take() {
            Some(buffer) => buffer,
            None => Region::new((BATCH + 1) * PREFIX, image.backing())?,
        };
        let found = Strings { tid, buffer: buffer.as_mut_slice() }.classify(image, abi, &pointers);
        buffer.as_mut_slice().fill(0);
        self.buffer = Some(buffer);
        let mut carry = Carry::default();
        for (position, (pointer, found)) in pointers.into_iter().zip(found).enumerate() {
            match found {
                Found::Other => carry.kept.push(pointer),
                Found::Secret { entry, into } => carry.secrets.push(Carried { position, entry, into }),
            }
        }
        Ok(carry)
    }
}

/// The strings of one process and where they are looked at.
struct Strings<'a> {
    tid: i32,
    buffer: &'a mut [u8],
}

impl Strings<'_> {
    fn classify(&mut self, image: &mut Image, abi: Abi, pointers: &[u64]) -> Vec<Found> {
        let mut found: Vec<Found> = pointers
            .iter()
            .map(|&pointer| match image.locate(abi, pointer) {
                Location::Outside => Found::Other,
                Location::Unused => Found::Secret { entry: None, into: 0 },
                Location::Entry { index, into } => Found::Secret { entry: Some(index), into },
            })
            .collect();
        let strings: Vec<usize> =
            (0..pointers.len()).filter(|&index| found[index] == Found::Other && pointers[index] != 0).collect();
        for batch in strings.chunks(BATCH) {
            for (slot, length) in self.read_prefixes(pointers, batch).into_iter().enumerate() {
                let index = batch[slot];
                let prefix = &self.buffer[slot * PREFIX..slot * PREFIX + length];
                let Some(candidate) = candidate(image, prefix) else { continue };
                let value_address = pointers[index] as usize + candidate.value_at;
                if candidate.complete
                    || self.rest_matches(image, value_address, candidate.entry, length - candidate.value_at)
                {
                    // An image without room for the alias keeps the exec from going on as it
                    // is: a pointer to no entry is stripped and not given back.
                    let entry = match candidate.alias {
                        Some(name) => image.alias(&name, candidate.entry),
                        None => Some(candidate.entry),
                    };
                    found[index] = Found::Secret { entry, into: 0 };
                }
            }
        }
        found
    }

    /// Reads the first bytes of several strings into the slots of the buffer and returns how
    /// many of each could be read.
    fn read_prefixes(&mut self, pointers: &[u64], batch: &[usize]) -> Vec<usize> {
        let page = envward_kernel::memory::page_size();
        // Never across a page: the string may end right before an unmapped one.
        let ranges: Vec<Range> = batch
            .iter()
            .map(|&index| {
                let address = pointers[index] as usize;
                Range { address, length: PREFIX.min(page - address % page) }
            })
            .collect();
        let mut lengths = vec![0; ranges.len()];
        let mut first = 0;
        while first < ranges.len() {
            let total: usize = ranges[first..].iter().map(|range| range.length).sum();
            let buffer = &mut self.buffer[first * PREFIX..first * PREFIX + total];
            let read = remote_memory::read_ranges(self.tid, &ranges[first..], buffer).unwrap_or(0);
            let mut remaining = read;
            let mut next = first;
            while next < ranges.len() && remaining >= ranges[next].length {
                lengths[next] = ranges[next].length;
                remaining -= ranges[next].length;
                next += 1;
            }
            // What was read stands back to back: move it to where each string's slot is.
            let mut from = first * PREFIX + read - remaining;
            for slot in (first..next).rev() {
                from -= lengths[slot];
                self.buffer.copy_within(from..from + lengths[slot], slot * PREFIX);
            }
            // The one that could not be read is no string; go on behind it.
            first = next + 1;
        }
        for slot in 0..lengths.len() {
            self.complete_prefix(&ranges[slot], slot, &mut lengths[slot]);
        }
        lengths
    }

    /// Reads on in the next page when a prefix was cut short by the end of one.
    fn complete_prefix(&mut self, range: &Range, slot: usize, length: &mut usize) {
        let slot_bytes = &mut self.buffer[slot * PREFIX..(slot + 1) * PREFIX];
        if *length == 0 || *length == PREFIX || slot_bytes[..*length].contains(&0) {
            return;
        }
        if let Ok(more) = remote_memory::read(self.tid, range.address + *length, &mut slot_bytes[*length..]) {
            *length += more;
        }
    }

    /// Whether the value at `address` is the value of `entry`, of which `matched` bytes are
    /// known to be the same; compared piece by piece in the last slot of the buffer.
    fn rest_matches(&mut self, image: &Image, address: usize, entry: usize, mut matched: usize) -> bool {
        let page = envward_kernel::memory::page_size();
        let value = image.value(entry);
        loop {
            let rest = &value[matched..];
            let next = address + matched;
            let length = (rest.len() + 1).min(PREFIX).min(page - next % page);
            let bytes = &mut self.buffer[BATCH * PREFIX..][..length];
            if !remote_memory::read(self.tid, next, bytes).is_ok_and(|read| read == length) {
                return false;
            }
            let compared = length.min(rest.len());
            if bytes[..compared] != rest[..compared] {
                return false;
            }
            if length > rest.len() {
                return bytes[rest.len()] == 0;
            }
            matched += compared;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Other,
    Secret { entry: Option<usize>, into: usize },
}

struct Candidate {
    entry: usize,
    /// The name that the program chose, when it is another one.
    alias: Option<String>,
    /// Where the value starts in the string.
    value_at: usize,
    /// The whole string was in the prefix; else the rest is to be compared.
    complete: bool,
}

/// The entry whose value a string starts with, as far as the prefix shows.
fn candidate(image: &Image, prefix: &[u8]) -> Option<Candidate> {
    let end = prefix.iter().position(|byte| *byte == 0);
    let text = &prefix[..end.unwrap_or(prefix.len())];
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&text[..equals], &text[equals + 1..]);
    let matches = |entry: usize| match end {
        Some(_) => image.value(entry) == value,
        None => image.value(entry).starts_with(value) && image.value(entry).len() > value.len(),
    };
    let entries = image.entries();
    let own = (0..entries.len()).find(|&entry| entries[entry].name.as_bytes() == name && matches(entry));
    if let Some(entry) = own {
        return Some(Candidate { entry, alias: None, value_at: equals + 1, complete: end.is_some() });
    }
    let other = (0..entries.len()).find(|&entry| image.value(entry).len() >= ALIAS_MIN_LENGTH && matches(entry))?;
    let alias = std::str::from_utf8(name).ok()?;
    Some(Candidate { entry: other, alias: Some(alias.to_owned()), value_at: equals + 1, complete: end.is_some() })
}

fn read_array(tid: i32, abi: Abi, envp: usize) -> Result<Vec<u64>, CarryError> {
    let size = abi.pointer_size();
    let mut pointers = Vec::new();
    let mut piece = [0; ARRAY_PIECE];
    let mut address = envp;
    if envp == 0 {
        // A null array is an empty one to the kernel.
        return Ok(pointers);
    }
    loop {
        let length = ARRAY_PIECE - address % ARRAY_PIECE;
        let read =
            remote_memory::read(tid, address, &mut piece[..length]).map_err(|error| match error.raw_os_error() {
                Some(EFAULT) => CarryError::Fault,
                _ => CarryError::Unreadable(error),
            })?;
        let (more, ended) = stack::pointers(&piece[..read], size);
        pointers.extend(more);
        if ended {
            break;
        }
        if read < length {
            return Err(CarryError::Fault);
        }
        if pointers.len() >= SLOT_SIZE / size - 1 {
            return Err(CarryError::TooMany);
        }
        address += length;
    }
    if pointers.len() > SLOT_SIZE / size - 1 {
        return Err(CarryError::TooMany);
    }
    Ok(pointers)
}

/// `EFAULT`.
const EFAULT: i32 = 14;
