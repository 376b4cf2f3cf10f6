//! Which secrets an `execve` would carry, seen from outside the calling process.
//!
//! A pointer into the process's secret region is a secret whatever it leads to, and is known
//! by its address alone: the bytes there cannot be read from outside and need not be. Any
//! other string is compared with the image in protected memory: the same `NAME=value` is a
//! copy that the program made (a shell's `export`, Python's `os.environ`), the same value
//! under another name is an alias. A changed value is the program's own.

use std::ffi::CStr;
use std::io;

use envward_kernel::arch::Abi;
use envward_kernel::memory::page_size;
use envward_kernel::remote_memory;
use envward_secret::{Region, RegionError};

use crate::image::{ALIAS_MIN_LENGTH, Image, LARGE, Location};
use crate::stack;
use crate::strings::{self, Text, Window};

/// How much of every string is looked at before a comparison piece by piece.
const REACH: usize = 1024;
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
    /// More entries than the kernel takes.
    #[error("more environment entries than the kernel takes")]
    TooMany,
    /// The caller's memory cannot be read.
    #[error("the caller's memory cannot be read: {0}")]
    Unreadable(io::Error),
    /// The program has given the secrets' values more other names than there is room for.
    #[error("too many copies of secrets under other names")]
    TooManyAliases,
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
            None => Region::new(strings::PAGES * page_size(), image.backing())?,
        };
        let mut window = Window::new(tid, buffer.as_mut_slice());
        let found = classify(image, &mut window, abi, &pointers);
        window.wipe();
        self.buffer = Some(buffer);
        let found = found?;
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

/// A variable of the first program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable<'a> {
    /// This string.
    String(&'a CStr),
    /// The program's process id under this name.
    ProcessId(&'static str),
}

/// Takes our own environment, which the first program is to have, apart: the strings without
/// copies of secrets, and what stood between them.
///
/// # Errors
/// [`CarryError::TooManyAliases`].
pub fn of_own<'a>(image: &mut Image, environment: Vec<Variable<'a>>) -> Result<(Vec<&'a CStr>, Carry), CarryError> {
    let (mut kept, mut carry) = (Vec::with_capacity(environment.len()), Carry::default());
    for (position, variable) in environment.into_iter().enumerate() {
        let found = match variable {
            Variable::ProcessId(name) => {
                Found::Secret { entry: Some(image.add_process_id(name).ok_or(CarryError::TooManyAliases)?), into: 0 }
            }
            Variable::String(string) => match candidate(image, Text { bytes: string.to_bytes(), complete: true }) {
                Some(candidate) => candidate.found(image)?,
                None => {
                    kept.push(string);
                    continue;
                }
            },
        };
        if let Found::Secret { entry, into } = found {
            carry.secrets.push(Carried { position, entry, into });
        }
    }
    Ok((kept, carry))
}

/// What every entry of an environment is.
fn classify(image: &mut Image, window: &mut Window<'_>, abi: Abi, pointers: &[u64]) -> Result<Vec<Found>, CarryError> {
    let mut found: Vec<Found> = pointers
        .iter()
        .map(|&pointer| match image.locate(abi, pointer) {
            Location::Outside => Found::Other,
            Location::Unused => Found::Secret { entry: None, into: 0 },
            Location::Entry { index, into } => Found::Secret { entry: Some(index), into },
        })
        .collect();
    let mut strings: Vec<(usize, usize)> = pointers
        .iter()
        .enumerate()
        .filter(|(index, _)| found[*index] == Found::Other)
        .map(|(index, pointer)| (*pointer as usize, index))
        .collect();
    strings.sort_unstable();
    let addresses: Vec<usize> = strings.iter().map(|(address, _)| *address).collect();
    let reach = (image.longest() + 1).min(REACH);
    let mut done = 0;
    while done < strings.len() {
        let covered = window.move_to(&addresses[done..], reach);
        // Strings whose end is out of sight move the window, so they come last.
        let mut long = Vec::new();
        for &(address, index) in &strings[done..done + covered] {
            let text = window.text(address);
            match candidate(image, text) {
                Some(candidate) if text.complete => found[index] = candidate.found(image)?,
                Some(candidate) => long.push((address, index, candidate)),
                None => {}
            }
        }
        for (address, index, candidate) in long {
            if window.equals(address + candidate.value_at, image.value(candidate.entry)) {
                found[index] = candidate.found(image)?;
            }
        }
        done += covered;
    }
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Other,
    Secret { entry: Option<usize>, into: usize },
}

/// An entry whose value a string has, as far as it is in sight.
struct Candidate {
    entry: usize,
    /// The name that the program chose, when it is another one.
    alias: Option<String>,
    /// Where the value starts in the string.
    value_at: usize,
}

impl Candidate {
    fn found(self, image: &mut Image) -> Result<Found, CarryError> {
        let entry = match self.alias {
            Some(name) => image.alias(&name, self.entry).ok_or(CarryError::TooManyAliases)?,
            None => self.entry,
        };
        Ok(Found::Secret { entry: Some(entry), into: 0 })
    }
}

fn candidate(image: &Image, text: Text<'_>) -> Option<Candidate> {
    let equals = text.bytes.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (&text.bytes[..equals], &text.bytes[equals + 1..]);
    let value_at = equals + 1;
    let entries = image.entries();
    let named = |entry: &usize| entries[*entry].name.as_bytes() == name;
    let long = |entry: &usize| image.value(*entry).len() >= ALIAS_MIN_LENGTH;
    let (own, other) = if text.complete {
        let same = image.of_length(value.len()).filter(|entry| image.value(*entry) == value);
        (same.clone().find(named), same.clone().find(long))
    } else {
        let same = (0..entries.len()).filter(|entry| image.value(*entry).starts_with(value));
        (same.clone().find(named), same.clone().find(long))
    };
    if let Some(entry) = own {
        return Some(Candidate { entry, alias: None, value_at });
    }
    let other = other?;
    // A name that is not UTF-8 cannot be given again; its value is a secret all the same, and
    // an entry for it under a readable name would be another variable.
    Some(Candidate { entry: other, alias: Some(String::from_utf8_lossy(name).into_owned()), value_at })
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
        if pointers.len() >= LARGE.each / size - 1 {
            return Err(CarryError::TooMany);
        }
        address += length;
    }
    Ok(pointers)
}

/// `EFAULT`.
const EFAULT: i32 = 14;
