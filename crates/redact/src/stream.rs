//! One stream of bytes.

use std::fmt;
use std::rc::Rc;

use envward_secret::{Region, RegionError};

use crate::matcher::{Found, Matcher};

/// A stream of bytes that comes in pieces of any size and goes on redacted.
///
/// What is in it and not yet passed on is in protected memory.
pub struct Stream {
    matcher: Rc<Matcher>,
    markers: Vec<Vec<u8>>,
    input: Region,
    filled: usize,
    output: Region,
}

impl Stream {
    /// A stream that takes up at least `piece` bytes at once.
    ///
    /// # Errors
    /// When there is no protected memory for the buffers.
    pub fn new(matcher: Rc<Matcher>, piece: usize) -> Result<Self, RegionError> {
        let input = Region::new(piece.max(1) + matcher.longest(), matcher.backing())?;
        let output = Region::new(piece.clamp(1, 4096), matcher.backing())?;
        let markers = matcher.secrets().iter().map(|secret| marker(&secret.name)).collect();
        Ok(Self { matcher, markers, input, filled: 0, output })
    }

    /// Where the next bytes go; never empty.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.input.as_mut_slice()[self.filled..]
    }

    /// How many bytes are held back.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.filled
    }

    /// Takes up the first `count` bytes of the [space](Self::space), and passes on to `sink`
    /// everything that no later byte can change.
    ///
    /// # Errors
    /// What `sink` returns; the stream is of no use then.
    pub fn advance<E>(&mut self, count: usize, sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.filled = (self.filled + count).min(self.input.len());
        self.pass_on(false, sink)
    }

    /// Passes on what is held back: the stream has ended.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn finish<E>(mut self, sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.pass_on(true, sink)
    }

    fn pass_on<E>(&mut self, ended: bool, sink: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let text = &self.input.as_slice()[..self.filled];
        let mut output = Output { buffer: self.output.as_mut_slice(), used: 0, sink };
        let mut done = 0;
        let kept = loop {
            match self.matcher.find(text, done, ended) {
                Found::Occurrence { start, len, secret } => {
                    output.put(&text[done..start])?;
                    output.put(&self.markers[secret])?;
                    done = start + len;
                }
                Found::Open(start) => {
                    output.put_last(&text[done..start])?;
                    break start;
                }
                Found::Nothing => {
                    output.put_last(&text[done..])?;
                    break self.filled;
                }
            }
        };
        self.input.as_mut_slice().copy_within(kept..self.filled, 0);
        self.filled -= kept;
        Ok(())
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("held", &self.filled).finish_non_exhaustive()
    }
}

/// What stands in the place of a value.
fn marker(name: &str) -> Vec<u8> {
    format!("[redacted {name}]").into_bytes()
}

/// Puts pieces together, so that what came in one piece goes on in one.
struct Output<'a, S> {
    buffer: &'a mut [u8],
    used: usize,
    sink: S,
}

impl<E, S: FnMut(&[u8]) -> Result<(), E>> Output<'_, S> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), E> {
        if bytes.len() > self.buffer.len() - self.used {
            self.flush()?;
        }
        if bytes.len() > self.buffer.len() {
            return (self.sink)(bytes);
        }
        self.buffer[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }

    fn put_last(&mut self, bytes: &[u8]) -> Result<(), E> {
        if self.used > 0 {
            self.put(bytes)?;
            return self.flush();
        }
        if bytes.is_empty() { Ok(()) } else { (self.sink)(bytes) }
    }

    fn flush(&mut self) -> Result<(), E> {
        let used = std::mem::take(&mut self.used);
        if used == 0 { Ok(()) } else { (self.sink)(&self.buffer[..used]) }
    }
}
