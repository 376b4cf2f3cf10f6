//! Finding the forms of all values in a text.
//!
//! Two bit tables sort out what cannot be an occurrence. The text is looked at in blocks of
//! four bytes, one in every `stride` bytes: any occurrence is long enough to hold a whole one,
//! near its beginning, and the first table (`samples`) has the blocks that stand there in a
//! form of a value. Only where it answers, the second one (`starts`) is asked for blocks at
//! the very beginning, and only where that answers, the text is compared with the values.

use std::fmt;
use std::hint::black_box;
use std::ops::Range;

use envward_secret::{Backing, Region, RegionError};

use crate::form::Form;

/// A value that is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The name of the variable.
    pub name: String,
    /// Where its value is in the matcher's values.
    pub range: Range<usize>,
}

/// What there is in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// An occurrence.
    Occurrence {
        /// Where it begins.
        start: usize,
        /// How many bytes it has.
        len: usize,
        /// The number of the secret.
        secret: usize,
    },
    /// Everything from here on may be the beginning of an occurrence.
    Open(usize),
}

/// How a text compares with a form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// It begins with one of this length.
    Equal(usize),
    /// All of it is the beginning of one.
    Beginning,
    Different,
}

const BLOCK: usize = 4;
/// How much of the beginning of an occurrence is looked at.
const PREFIX: usize = 8;
/// How many blocks are looked up before anything is done about what was found.
const GROUP: usize = 8;
/// Bits of a hash: one more than the processor's first cache has room for makes up for itself by
/// fewer blocks that are found by chance.
const SAMPLE_BITS: u32 = 18;
const SAMPLES: usize = 1 << (SAMPLE_BITS - 3);
/// The second table is asked less often.
const START_BITS: u32 = 15;
const STARTS: usize = 1 << (START_BITS - 3);
/// Bits for the bytes that an occurrence can begin with.
const FIRST: usize = 256 / 8;

/// The values, and the tables to find them by, in protected memory.
pub struct Matcher {
    values: Region,
    secrets: Vec<Secret>,
    /// `samples`, `starts` and `first`.
    tables: Region,
    stride: usize,
    longest: usize,
}

impl Matcher {
    /// A matcher for these values, each of which is [suitable](crate::unsuitable).
    ///
    /// # Errors
    /// When there is no protected memory for the tables.
    pub fn new(values: Region, mut secrets: Vec<Secret>) -> Result<Self, RegionError> {
        let len = values.len();
        secrets.retain(|secret| {
            secret.range.end <= len && crate::unsuitable(&values.as_slice()[secret.range.clone()]).is_none()
        });
        let shortest = secrets.iter().map(|secret| secret.range.len()).min().unwrap_or(PREFIX);
        // No form is shorter than the value.
        let stride = (shortest + 1 - BLOCK).min(PREFIX + 1 - BLOCK);
        let tables = Region::new(SAMPLES + STARTS + FIRST, values.backing())?;
        let longest = secrets.iter().map(|secret| Form::longest(secret.range.len())).max().unwrap_or(0);
        let mut matcher = Self { values, secrets, tables, stride, longest };
        matcher.fill_tables();
        scrub_stack();
        Ok(matcher)
    }

    /// The secrets that are looked for.
    #[must_use]
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The length of the longest possible occurrence in bytes.
    #[must_use]
    pub const fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn backing(&self) -> Backing {
        self.values.backing()
    }

    /// Finds the first thing at or behind `from`. `ended`: nothing comes behind this text.
    #[must_use]
    pub fn find(&self, text: &[u8], from: usize, ended: bool) -> Found {
        // A stride that is known to the compiler.
        match self.stride {
            3 => self.scan::<3>(text, from, ended),
            4 => self.scan::<4>(text, from, ended),
            _ => self.scan::<5>(text, from, ended),
        }
    }

    fn scan<const STRIDE: usize>(&self, text: &[u8], from: usize, ended: bool) -> Found {
        let samples = self.samples();
        // The first block that every occurrence from `from` on would hold.
        let mut at = from + STRIDE - 1;
        while let Some(group) = text.get(at..).and_then(|rest| rest.get(..(GROUP - 1) * STRIDE + BLOCK)) {
            let hits = (0..GROUP).fold(0, |hits, number| {
                let block = [0, 1, 2, 3].map(|byte| group[number * STRIDE + byte]);
                hits | bit(samples, hash::<SAMPLE_BITS>(u32::from_le_bytes(block))) << number
            });
            let mut left = hits;
            while left != 0 {
                let sample = at + left.trailing_zeros() as usize * STRIDE;
                if let Some(found) = self.look_around::<STRIDE>(text, sample, ended) {
                    return found;
                }
                left &= left - 1;
            }
            at += GROUP * STRIDE;
        }
        let behind = at + 1 - STRIDE;
        (behind..text.len()).find_map(|start| self.look(text, start, ended)).unwrap_or(Found::Nothing)
    }

    /// What begins where `sample` would be in one of the first blocks.
    #[inline(never)]
    fn look_around<const STRIDE: usize>(&self, text: &[u8], sample: usize, ended: bool) -> Option<Found> {
        let starts = self.starts();
        let area = text.get(sample + 1 - STRIDE..sample + BLOCK)?;
        (0..STRIDE).find_map(|offset| {
            let block = [0, 1, 2, 3].map(|byte| area[offset + byte]);
            if bit(starts, hash::<START_BITS>(u32::from_le_bytes(block))) == 0 {
                return None;
            }
            let start = sample + 1 - STRIDE + offset;
            self.compare_all(&text[start..], start, ended)
        })
    }

    /// What begins at `start`.
    fn look(&self, text: &[u8], start: usize, ended: bool) -> Option<Found> {
        let text = text.get(start..)?;
        let possible = match text.first_chunk::<BLOCK>() {
            Some(block) => bit(self.starts(), hash::<START_BITS>(u32::from_le_bytes(*block))) == 1,
            None => {
                let first = usize::from(*text.first()?);
                self.first()[first / 8] >> (first % 8) & 1 == 1
            }
        };
        if possible { self.compare_all(text, start, ended) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn compare_all(&self, text: &[u8], start: usize, ended: bool) -> Option<Found> {
        let mut best: Option<(usize, usize)> = None;
        for number in 0..self.secrets.len() {
            let value = self.value(number);
            for form in Form::ALL {
                match compare(form, value, text) {
                    Comparison::Beginning if !ended => return Some(Found::Open(start)),
                    Comparison::Equal(len) if best.is_none_or(|(longest, _)| len > longest) => {
                        best = Some((len, number));
                    }
                    Comparison::Beginning | Comparison::Equal(_) | Comparison::Different => {}
                }
            }
        }
        best.map(|(len, secret)| Found::Occurrence { start, len, secret })
    }

    fn value(&self, number: usize) -> &[u8] {
        &self.values.as_slice()[self.secrets[number].range.clone()]
    }

    fn samples(&self) -> &[u8; SAMPLES] {
        static NONE: [u8; SAMPLES] = [0; SAMPLES];
        self.tables.as_slice().first_chunk().unwrap_or(&NONE)
    }

    fn starts(&self) -> &[u8; STARTS] {
        static NONE: [u8; STARTS] = [0; STARTS];
        self.tables.as_slice()[SAMPLES..].first_chunk().unwrap_or(&NONE)
    }

    fn first(&self) -> &[u8] {
        &self.tables.as_slice()[SAMPLES + STARTS..]
    }

    fn fill_tables(&mut self) {
        let (samples, rest) = self.tables.as_mut_slice().split_at_mut(SAMPLES);
        let (starts, first) = rest.split_at_mut(STARTS);
        for secret in &self.secrets {
            let value = &self.values.as_slice()[secret.range.clone()];
            for form in Form::ALL {
                prefixes(form, value, form.first(), [0; PREFIX], 0, self.stride + BLOCK - 1, &mut |prefix| {
                    first[usize::from(prefix[0]) / 8] |= 1 << (prefix[0] % 8);
                    for (offset, block) in prefix.array_windows::<BLOCK>().take(self.stride).enumerate() {
                        let block = u32::from_le_bytes(*block);
                        set(samples, hash::<SAMPLE_BITS>(block));
                        if offset == 0 {
                            set(starts, hash::<START_BITS>(block));
                        }
                    }
                });
            }
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

/// Shows the first `length` bytes of every text for `value` in this form.
fn prefixes(
    form: Form,
    value: &[u8],
    at: usize,
    prefix: [u8; PREFIX],
    filled: usize,
    length: usize,
    visit: &mut dyn FnMut(&[u8]),
) {
    if filled >= length || at >= form.end(value) {
        visit(&prefix[..filled.min(length)]);
        return;
    }
    let next = form.unit(value, at, &mut |_| {});
    form.unit(value, at, &mut |text| {
        let mut prefix = prefix;
        let space = &mut prefix[filled..];
        let fitting = text.len().min(space.len());
        space[..fitting].copy_from_slice(&text[..fitting]);
        prefixes(form, value, next, prefix, filled + fitting, length, visit);
    });
}

fn compare(form: Form, value: &[u8], text: &[u8]) -> Comparison {
    let end = form.end(value);
    let mut at = form.first();
    let mut rest = text;
    while at < end {
        let mut taken = None;
        let mut beginning = false;
        at = form.unit(value, at, &mut |unit| {
            if rest.starts_with(unit) {
                taken = Some(unit.len());
            } else if unit.starts_with(rest) {
                beginning = true;
            }
        });
        match taken {
            Some(len) => rest = &rest[len..],
            None if beginning => return Comparison::Beginning,
            None => return Comparison::Different,
        }
    }
    Comparison::Equal(text.len() - rest.len())
}

#[inline]
const fn hash<const BITS: u32>(block: u32) -> usize {
    (block.wrapping_mul(0x9e37_79b1) >> (32 - BITS)) as usize
}

#[inline]
const fn bit<const LENGTH: usize>(table: &[u8; LENGTH], hash: usize) -> u32 {
    (table[hash >> 3] >> (hash & 7) & 1) as u32
}

fn set(table: &mut [u8], hash: usize) {
    table[hash >> 3] |= 1 << (hash & 7);
}

/// Overwrites the part of the stack on which the beginnings of the values were put together.
#[inline(never)]
fn scrub_stack() {
    black_box(&mut [0_u8; 16 * 1024]);
}
