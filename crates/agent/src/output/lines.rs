//! One line for each event, to a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use anstream::ColorChoice;

use super::{Event, Output};

/// Makes a line, without its end.
type Encode = fn(&Event<'_>) -> io::Result<String>;

/// Our own schema.
pub(super) fn json(event: &Event<'_>) -> io::Result<String> {
    Ok(serde_json::to_string(event.report)?)
}

fn plain(event: &Event<'_>) -> io::Result<String> {
    Ok(event.report.line(false))
}

fn coloured(event: &Event<'_>) -> io::Result<String> {
    Ok(event.report.line(true))
}

/// The lines of a batch, and where they go.
pub(super) struct Lines {
    encode: Encode,
    file: Option<Log>,
    batch: Vec<u8>,
    kept: u64,
    lost: u64,
}

/// A file that somebody may move away to have a new one begun.
struct Log {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Self> {
        // Arguments of programs are in it: for the owner alone.
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let opened = file.metadata()?;
        Ok(Self { path, file, identity: (opened.dev(), opened.ino()) })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let there = std::fs::metadata(&self.path).ok().map(|now| (now.dev(), now.ino()));
        if there != Some(self.identity) {
            *self = Self::open(std::mem::take(&mut self.path))?;
        }
        self.file.write_all(bytes)
    }
}

impl Lines {
    /// Lines to a file, or to standard output.
    pub(super) fn open(path: Option<PathBuf>, encode: Encode) -> io::Result<Self> {
        let file = path.map(Log::open).transpose()?;
        Ok(Self { encode, file, batch: Vec::new(), kept: 0, lost: 0 })
    }

    /// Lines for people, with colours on a terminal.
    pub(super) fn text(path: Option<PathBuf>) -> io::Result<Self> {
        let colours = path.is_none() && anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        Self::open(path, if colours { coloured } else { plain })
    }
}

impl Output for Lines {
    fn tell(&mut self, event: &Event<'_>) -> io::Result<()> {
        let line = (self.encode)(event).inspect_err(|_| self.lost += 1)?;
        self.batch.extend_from_slice(line.as_bytes());
        self.batch.push(b'\n');
        self.kept += 1;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let written = match &mut self.file {
            Some(log) => log.write(&self.batch),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&self.batch).and_then(|()| out.flush())
            }
        };
        self.batch.clear();
        let kept = std::mem::take(&mut self.kept);
        written.inspect_err(|_| self.lost += kept)
    }

    fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}
