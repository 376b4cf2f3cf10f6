//! Memory that a process has as a file: stolen, reopened, or found by its mapping.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;

use crate::{Needle, Outcome, sys};

/// As many descriptor numbers as are tried.
const HIGHEST: i32 = 256;

/// The largest file that is mapped, in bytes.
const LARGEST: u64 = 64 << 20;

/// Copies every descriptor with `pidfd_getfd(2)` (Linux 5.6) and maps what can be mapped.
/// That is how a `memfd_secret` is read whose descriptor was left open.
pub(crate) fn by_copy(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let process = sys::pidfd_open(pid)?;
    let mut outcome = Outcome::NotFound;
    for number in 0..HIGHEST {
        match sys::pidfd_getfd(process.as_fd(), number) {
            Ok(file) => outcome = outcome.or(mapped(&file, needle)),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            Err(error) => outcome = outcome.or(Outcome::from_error(error)?),
        }
    }
    Ok(outcome)
}

/// What a mapping of the file shows. Only memory files are of interest: reading a pipe would
/// take from the victim what it waits for.
fn mapped(file: &File, needle: &Needle) -> Outcome {
    let Ok(metadata) = file.metadata() else {
        return Outcome::NotFound;
    };
    let length = metadata.len().min(LARGEST);
    if !metadata.is_file() || length == 0 {
        return Outcome::NotFound;
    }
    match sys::map(file, length as usize) {
        Ok(memory) if needle.is_in(memory.bytes()) => Outcome::Leaked,
        Ok(_) | Err(_) => Outcome::NotFound,
    }
}

/// Opens every `/proc/PID/fd/N` again.
pub(crate) fn by_reopening(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    by_links(&format!("/proc/{pid}/fd"), needle, |target| {
        target.starts_with("/memfd:") || target.contains("secretmem") || target.starts_with("/dev/shm")
    })
}

/// Opens every file that is mapped, by the address of its mapping. Following these links
/// takes `CAP_CHECKPOINT_RESTORE`.
pub(crate) fn by_map_files(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    by_links(&format!("/proc/{pid}/map_files"), needle, |_| true)
}

fn by_links(directory: &str, needle: &Needle, wanted: impl Fn(&str) -> bool) -> io::Result<Outcome> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return Outcome::from_error(error),
    };
    let mut outcome = Outcome::NotFound;
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => return Outcome::from_error(error),
        };
        let Ok(target) = fs::read_link(&path) else {
            continue;
        };
        if !wanted(&target.to_string_lossy()) {
            continue;
        }
        match File::open(&path) {
            Ok(file) => outcome = outcome.or(mapped(&file, needle)),
            // secretmem: there is nothing behind the link that could be opened.
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {}
            Err(error) => outcome = outcome.or(Outcome::from_error(error).unwrap_or(Outcome::NotFound)),
        }
    }
    Ok(outcome)
}
