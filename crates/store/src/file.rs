//! The file of a store: read whole, replaced whole or not at all, by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::StoreError;

/// The largest store in bytes.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// How long another process may hold the store before we give up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads a file without locking it: it is never half-written.
///
/// # Errors
/// [`StoreError::Read`].
pub fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    let failed = |source| StoreError::Read { path: path.to_owned(), source };
    read_from(&File::open(path).map_err(failed)?).map_err(failed)
}

fn read_from(file: &File) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    if len > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut text = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// A store that no other process changes while this exists.
#[derive(Debug)]
pub struct Locked {
    /// Symbolic links resolved.
    path: PathBuf,
    file: File,
    text: Vec<u8>,
}

impl Locked {
    /// Waits for the store, locks it and reads it.
    ///
    /// # Errors
    /// [`StoreError::Read`], [`StoreError::Busy`] after a minute.
    pub fn acquire(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Read { path: path.to_owned(), source };
        let end = Instant::now() + PATIENCE;
        loop {
            // Replacing the file behind a link must not replace the link.
            let path = fs::canonicalize(path).map_err(failed)?;
            let file = File::open(&path).map_err(failed)?;
            match file.try_lock() {
                // The lock is on the file that was opened, which may have been replaced since.
                Ok(()) if is_at(&file, &path) => {
                    let text = read_from(&file).map_err(failed)?;
                    return Ok(Self { path, file, text });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(3));
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path }),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// What it holds.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Puts a new text in the place of the old one. Whoever reads the path, now or after a
    /// crash, finds the one or the other. Mode and owner stay what they were.
    ///
    /// # Errors
    /// [`StoreError::Write`]; the old text is then still there.
    pub fn replace(self, text: &[u8]) -> Result<(), StoreError> {
        let metadata = self.file.metadata().map_err(|source| write_failed(&self.path, "looking at it")(source))?;
        remove_left_over(&self.path);
        let temporary = Temporary::write(&self.path, text, metadata.mode() & 0o777)?;
        // Only root can; a file of somebody else in a shared folder becomes ours otherwise.
        let _ = std::os::unix::fs::fchown(&temporary.file, Some(metadata.uid()), Some(metadata.gid()));
        fs::rename(&temporary.path, &self.path).map_err(write_failed(&self.path, "renaming"))?;
        temporary.settle();
        sync_directory(&self.path)
    }
}

/// Makes a file that must not exist yet, whole or not at all.
///
/// # Errors
/// [`StoreError::Exists`], [`StoreError::Write`].
pub fn create(path: &Path, text: &[u8], mode: u32) -> Result<(), StoreError> {
    let temporary = Temporary::write(path, text, mode)?;
    // Unlike renaming, linking does not replace what is there.
    match fs::hard_link(&temporary.path, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        Err(source) => return Err(write_failed(path, "linking")(source)),
    }
    drop(temporary);
    sync_directory(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn write_failed<'p>(path: &'p Path, step: &'static str) -> impl Fn(io::Error) -> StoreError + 'p {
    move |source| StoreError::Write { path: path.to_owned(), step, source }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let synced = File::open(directory(path)).and_then(|directory| directory.sync_all());
    // Some file systems cannot; renaming is what keeps the file whole.
    match synced {
        Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Err(write_failed(path, "fsync of its folder")(error))
        }
        _ => Ok(()),
    }
}

/// The beginning of the names of our temporary files beside a store.
fn prefix(path: &Path) -> String {
    format!(".{}.envward-", path.file_name().unwrap_or_default().to_string_lossy())
}

/// Removes temporary files of processes that were killed. We hold the lock, so none is in use.
fn remove_left_over(path: &Path) {
    let prefix = prefix(path);
    let Ok(entries) = fs::read_dir(directory(path)) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A file beside the one that it is to become; gone with this unless it is in place.
struct Temporary {
    path: PathBuf,
    file: File,
    keep: bool,
}

impl Temporary {
    fn write(target: &Path, text: &[u8], mode: u32) -> Result<Self, StoreError> {
        let mut random = [0; 8];
        envward_kernel::random::fill(&mut random).map_err(StoreError::Random)?;
        let name = format!("{}{:016x}", prefix(target), u64::from_le_bytes(random));
        let path = directory(target).join(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .map_err(write_failed(target, "making a file beside it"))?;
        let mut temporary = Self { path, file, keep: false };
        temporary.file.write_all(text).map_err(write_failed(target, "writing"))?;
        temporary.file.sync_all().map_err(write_failed(target, "fsync"))?;
        Ok(temporary)
    }

    fn settle(mut self) {
        self.keep = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_file(&self.path);
        }
    }
}
