//! A growable buffer in protected memory.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};

use envward_kernel::{descriptor, memory};

use crate::region::wipe_slice;
use crate::{Backing, Delivery, Region, RegionError};

/// Bytes read from a file or pipe straight into protected memory.
///
/// It grows by moving to a region twice as large; the old one is wiped.
pub struct SecretBuf {
    region: Region,
    /// The region's descriptor, as long as the buffer has not grown.
    fd: Option<OwnedFd>,
    filled: usize,
    limit: usize,
}

impl SecretBuf {
    /// An empty buffer of one page that may grow to `limit` bytes.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn new(backing: Backing, limit: usize) -> Result<Self, RegionError> {
        Self::with_room(backing, 0, limit)
    }

    /// As [`new`](Self::new), with room for `room` bytes, or as many as it may grow to, before it
    /// has to grow: memory is only taken as it is filled.
    ///
    /// # Errors
    ///
    /// See [`RegionError`].
    pub fn with_room(backing: Backing, room: usize, limit: usize) -> Result<Self, RegionError> {
        let page = memory::page_size();
        let (region, fd) = Region::reusable(room.min(limit).max(1).next_multiple_of(page), backing)?;
        Ok(Self { region, fd: Some(fd), filled: 0, limit })
    }

    /// What the buffer was made of, wiped, for another purpose; `None` when it has grown.
    #[must_use]
    pub fn reuse(self) -> Option<Delivery> {
        let Self { region, fd, .. } = self;
        fd.map(|fd| Delivery::reusing(region, fd))
    }

    /// What the buffer was made of, wiped, without its descriptor.
    pub(crate) fn into_region(self) -> Region {
        let mut region = self.region;
        region.clear();
        region
    }

    /// Appends everything up to the end of `fd`; says how many bytes came.
    ///
    /// The kernel writes them into the region itself.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] if there is more than the limit allows,
    /// [`ReadError::Read`] with the kernel's answer, [`ReadError::Memory`] if
    /// no larger region can be had. What was read so far stays in the buffer.
    pub fn read_from(&mut self, fd: BorrowedFd<'_>) -> Result<usize, ReadError> {
        let before = self.filled;
        loop {
            if self.filled == self.region.len() {
                self.grow()?;
            }
            let count = self.region.fill(self.filled, |spare| descriptor::read(fd, spare)).map_err(ReadError::Read)?;
            if count == 0 {
                return Ok(self.filled - before);
            }
            self.filled += count;
            if self.filled > self.limit {
                return Err(ReadError::TooLarge { limit: self.limit });
            }
        }
    }

    /// As [`read_from`](Self::read_from), with a limit of its own for what comes now.
    ///
    /// # Errors
    ///
    /// As [`read_from`](Self::read_from).
    pub fn read_at_most(&mut self, fd: BorrowedFd<'_>, most: usize) -> Result<usize, ReadError> {
        let whole = self.limit;
        self.limit = whole.min(self.filled.saturating_add(most));
        let outcome = self.read_from(fd);
        let limit = std::mem::replace(&mut self.limit, whole);
        // What came beyond the limit is not kept.
        self.truncate(limit);
        outcome
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooLarge`] and [`ReadError::Memory`]; nothing is appended then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        self.make_room(bytes.len())?;
        let end = self.filled + bytes.len();
        self.region.prefix_mut(end)[self.filled..].copy_from_slice(bytes);
        self.filled = end;
        Ok(())
    }

    /// Appends a copy of some of its own bytes.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_within(&mut self, range: Range<usize>) -> Result<(), ReadError> {
        let len = range.len();
        self.make_room(len)?;
        let end = self.filled;
        self.region.prefix_mut(end + len).copy_within(range, end);
        self.filled += len;
        Ok(())
    }

    /// Takes bytes out of the middle, closes the gap and wipes what becomes free.
    pub fn remove(&mut self, range: Range<usize>) {
        let len = range.len();
        self.region.prefix_mut(self.filled).copy_within(range.end.., range.start);
        self.truncate(self.filled - len);
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.region.as_slice()[..self.filled]
    }

    /// Drops everything behind the first `len` bytes and wipes it.
    pub fn truncate(&mut self, len: usize) {
        if len < self.filled {
            wipe_slice(&mut self.region.prefix_mut(self.filled)[len..]);
            self.filled = len;
        }
    }

    /// How many bytes it can hold before it has to grow.
    pub(crate) fn room(&self) -> usize {
        self.region.len()
    }

    pub(crate) fn backing(&self) -> Backing {
        self.region.backing()
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn make_room(&mut self, len: usize) -> Result<(), ReadError> {
        if self.filled.saturating_add(len) > self.limit {
            return Err(ReadError::TooLarge { limit: self.limit });
        }
        while self.region.len() < self.filled + len {
            self.grow()?;
        }
        Ok(())
    }

    fn grow(&mut self) -> Result<(), ReadError> {
        let larger = self.region.len().saturating_mul(2);
        let mut region = Region::new(larger, self.region.backing()).map_err(ReadError::Memory)?;
        region.prefix_mut(self.filled).copy_from_slice(self.as_slice());
        self.region = region;
        self.fd = None;
        Ok(())
    }
}

impl fmt::Debug for SecretBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretBuf")
            .field("len", &self.filled)
            .field("limit", &self.limit)
            .field("bytes", &format_args!("[redacted]"))
            .finish_non_exhaustive()
    }
}

/// Why a buffer could not be filled.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// There was more to read than the buffer may hold.
    TooLarge {
        /// The buffer's limit in bytes.
        limit: usize,
    },
    /// `read(2)` failed.
    Read(io::Error),
    /// No memory to read into.
    Memory(RegionError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { limit } => write!(f, "there is more than {limit} bytes to read"),
            Self::Read(source) => write!(f, "cannot read: {source}"),
            Self::Memory(source) => source.fmt(f),
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Read(source) => Some(source),
            Self::Memory(source) => source.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;

    use super::*;

    fn buffer_of(bytes: &[u8], limit: usize) -> Result<SecretBuf, ReadError> {
        let (reader, mut writer) = io::pipe().unwrap();
        let bytes = bytes.to_vec();
        let feeder = std::thread::spawn(move || {
            let _ = writer.write_all(&bytes);
        });
        let mut buffer = SecretBuf::new(Backing::MemfdSecret, limit).unwrap();
        let outcome = buffer.read_from(reader.as_fd());
        drop(reader);
        feeder.join().unwrap();
        outcome.map(|_| buffer)
    }

    #[test]
    fn reads_to_the_end_over_several_growths() {
        for len in [0, 1, 4095, 4096, 4097, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let buffer = buffer_of(&bytes, 1 << 20).unwrap();
            assert_eq!(buffer.len(), len);
            assert!(buffer.as_slice() == bytes, "{len} bytes arrive unchanged");
        }
    }

    #[test]
    fn the_limit_is_exact() {
        assert_eq!(buffer_of(&[7; 5000], 5000).unwrap().len(), 5000);
        let error = buffer_of(&[7; 5001], 5000).unwrap_err();
        assert!(matches!(error, ReadError::TooLarge { limit: 5000 }));
        assert_eq!(error.to_string(), "there is more than 5000 bytes to read");
    }

    #[test]
    fn truncating_wipes_what_is_dropped() {
        let mut buffer = buffer_of(b"kept and dropped", 100).unwrap();
        buffer.truncate(4);
        assert_eq!(buffer.as_slice(), b"kept");
        assert!(buffer.region.as_slice()[4..].iter().all(|byte| *byte == 0));
        buffer.truncate(100);
        assert_eq!(buffer.len(), 4);
    }

    #[test]
    fn a_reused_buffer_is_an_empty_page() {
        let delivery = buffer_of(b"not to be seen again", 1 << 20).unwrap().reuse().unwrap();
        assert_eq!((delivery.as_slice().len(), delivery.mapped_len()), (4096, 4096));
        assert!(delivery.as_slice().iter().all(|byte| *byte == 0));
        assert!(buffer_of(&[7; 5000], 1 << 20).unwrap().reuse().is_none());
    }

    #[test]
    fn a_buffer_with_room_does_not_move_and_is_wiped_as_far_as_it_was_filled() {
        let mut buffer = SecretBuf::with_room(Backing::MemfdSecret, 9000, 1 << 20).unwrap();
        buffer.push(&[7; 9000]).unwrap();
        buffer.truncate(3);
        let delivery = buffer.reuse().expect("it has its descriptor");
        assert_eq!(delivery.mapped_len(), 12288);
        assert!(delivery.as_slice().iter().all(|byte| *byte == 0));
        let mut buffer = SecretBuf::with_room(Backing::MemfdSecret, 9000, 1 << 20).unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[7; 5000]).unwrap();
        drop(writer);
        assert_eq!(buffer.read_from(reader.as_fd()).unwrap(), 5000);
        assert!(buffer.into_region().as_slice().iter().all(|byte| *byte == 0));
        assert_eq!(SecretBuf::with_room(Backing::MemfdSecret, 9000, 100).unwrap().room(), 4096);
    }

    #[test]
    fn bytes_are_appended_and_taken_out() {
        let mut buffer = SecretBuf::new(Backing::MemfdSecret, 5000).unwrap();
        buffer.push(b"abcdef").unwrap();
        buffer.push_within(1..3).unwrap();
        assert_eq!(buffer.as_slice(), b"abcdefbc");
        buffer.remove(2..6);
        assert_eq!(buffer.as_slice(), b"abbc");
        assert!(buffer.region.as_slice()[4..].iter().all(|byte| *byte == 0));
        buffer.push(&[1; 4996]).unwrap();
        assert!(matches!(buffer.push(b"x"), Err(ReadError::TooLarge { limit: 5000 })));
        assert!(matches!(buffer.push_within(0..1), Err(ReadError::TooLarge { limit: 5000 })));
        assert_eq!(buffer.len(), 5000);
    }

    #[test]
    fn read_errors_keep_the_cause() {
        let directory = std::fs::File::open("/").unwrap();
        let mut buffer = SecretBuf::new(Backing::MemfdSecret, 100).unwrap();
        let error = buffer.read_from(directory.as_fd()).unwrap_err();
        assert!(error.to_string().contains("directory"), "{error}");
    }

    #[test]
    fn debug_shows_no_bytes() {
        let buffer = buffer_of(b"visible-bytes", 100).unwrap();
        let text = format!("{buffer:?}");
        assert!(text.contains("redacted") && !text.contains("visible"));
    }
}
