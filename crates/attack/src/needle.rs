//! What an attacker looks for.

use std::fmt;
use std::hint::black_box;
use std::io::{self, Read};

use crate::sys;

/// The longest needle.
const CAPACITY: usize = 4096;

/// A value that is known already and searched for in places where it must not be.
///
/// Kept in one allocation of fixed size, overwritten on drop, never printed. `Debug` shows
/// the length only.
pub struct Needle {
    bytes: Box<[u8]>,
    length: usize,
}

impl Needle {
    /// Reads the needle, up to the end of `source`.
    ///
    /// # Errors
    /// The reader's; `InvalidInput` for less than 8 bytes, which would be found anywhere, and
    /// for more than 4096.
    pub fn read_from(mut source: impl Read) -> io::Result<Self> {
        let mut needle = Self { bytes: vec![0; CAPACITY].into(), length: 0 };
        loop {
            match source.read(&mut needle.bytes[needle.length..])? {
                0 => break,
                n => needle.length += n,
            }
        }
        if needle.length < 8 || needle.length == CAPACITY {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the needle has to have 8 to 4095 bytes"));
        }
        Ok(needle)
    }

    /// Whether `haystack` contains it.
    #[must_use]
    pub fn is_in(&self, haystack: &[u8]) -> bool {
        sys::contains(haystack, self.as_bytes())
    }

    /// Whether everything that `source` gives contains it, also across two reads. Reading
    /// stops at the first error, which is returned unless the needle was found before.
    ///
    /// # Errors
    /// The reader's.
    pub fn is_in_stream(&self, source: impl Read) -> io::Result<bool> {
        let mut search = Search::new(self);
        let mut source = source;
        let mut chunk = vec![0; 1 << 16];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(n) if search.feed(&chunk[..n]) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Needle {
    fn drop(&mut self) {
        self.bytes.fill(0);
        black_box(&self.bytes);
    }
}

impl fmt::Debug for Needle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needle({} bytes)", self.length)
    }
}

/// A search over consecutive pieces.
pub(crate) struct Search<'a> {
    needle: &'a Needle,
    /// The end of what came before, as long as a needle may reach across.
    carried: Vec<u8>,
}

impl<'a> Search<'a> {
    /// A search that has seen nothing.
    pub(crate) fn new(needle: &'a Needle) -> Self {
        Self { needle, carried: Vec::with_capacity(2 * CAPACITY) }
    }

    /// Takes the next piece; whether the needle ends in it.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> bool {
        let keep = self.needle.length - 1;
        let head = &piece[..piece.len().min(keep)];
        self.carried.extend_from_slice(head);
        if self.needle.is_in(&self.carried) || self.needle.is_in(piece) {
            return true;
        }
        if piece.len() >= keep {
            self.carried.clear();
            self.carried.extend_from_slice(&piece[piece.len() - keep..]);
        } else if self.carried.len() > keep {
            self.carried.drain(..self.carried.len() - keep);
        }
        false
    }

    /// Forgets what came before: the next piece does not follow it.
    pub(crate) fn restart(&mut self) {
        self.carried.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needle() -> Needle {
        Needle::read_from(&b"a needle, not a secret"[..]).unwrap()
    }

    #[test]
    fn found_wherever_the_pieces_are_cut() {
        let hay = b"some straw, a needle, not a secret, more straw";
        for size in 1..hay.len() {
            let needle = needle();
            let mut search = Search::new(&needle);
            assert!(hay.chunks(size).any(|piece| search.feed(piece)), "pieces of {size}");
        }
    }

    #[test]
    fn not_found_across_a_gap_or_in_part() {
        let needle = needle();
        let mut search = Search::new(&needle);
        assert!(!search.feed(b"a needle, "));
        search.restart();
        assert!(!search.feed(b"not a secret"));
        assert!(!needle.is_in(b"a needle, not a secre"));
    }

    #[test]
    fn too_short_or_long_is_refused() {
        assert!(Needle::read_from(&b"short"[..]).is_err());
        assert!(Needle::read_from(&[b'x'; 5000][..]).is_err());
    }

    #[test]
    fn debug_shows_no_byte() {
        assert_eq!(format!("{:?}", needle()), "Needle(22 bytes)");
    }
}
