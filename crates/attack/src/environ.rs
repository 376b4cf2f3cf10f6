//! The environment block, by every name that procfs has for it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::{Needle, Outcome, sys};

/// Opens `path` and reads it.
pub(crate) fn by_path(path: &str, needle: &Needle) -> io::Result<Outcome> {
    match File::open(path) {
        Ok(file) => read(file, needle),
        Err(error) => Outcome::from_error(error),
    }
}

/// Opens `/proc/PID` as a mere path first; what is checked is the second open.
pub(crate) fn by_directory(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let directory = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(format!("/proc/{pid}"))?;
    match sys::open_at(directory.as_fd(), c"environ", libc::O_RDONLY) {
        Ok(file) => read(file, needle),
        Err(error) => Outcome::from_error(error),
    }
}

/// Mounts a second procfs where only this process sees it. Path rules on `/proc` do not
/// match there.
pub(crate) fn by_fresh_mount(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    if let Err(error) = sys::unshare_mounts() {
        return Outcome::from_error(error);
    }
    let place = std::env::temp_dir().join(format!("envward-attack-{}", std::process::id()));
    fs::create_dir(&place)?;
    let outcome = sys::mount_proc(&place).and_then(|()| by_path(&format!("{}/{pid}/environ", place.display()), needle));
    // The mount is in our own namespace and ends with us; the directory does not.
    sys::unmount(&place)?;
    fs::remove_dir(&place)?;
    outcome
}

/// A procfs that has no path at all, `fsmount(2)` (Linux 5.2).
pub(crate) fn by_detached_mount(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let root = match sys::detached_proc() {
        Ok(root) => root,
        Err(error) => return Outcome::from_error(error),
    };
    let path = std::ffi::CString::new(format!("{pid}/environ"))?;
    match sys::open_at(root.as_fd(), &path, libc::O_RDONLY) {
        Ok(file) => read(file, needle),
        Err(error) => Outcome::from_error(error),
    }
}

fn read(file: File, needle: &Needle) -> io::Result<Outcome> {
    match needle.is_in_stream(file) {
        Ok(true) => Ok(Outcome::Leaked),
        Ok(false) => Ok(Outcome::NotFound),
        Err(error) => Outcome::from_error(error),
    }
}
