//! The environment block, by every name that procfs has for it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::sys::compat::CompatFile;
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
    let place = place();
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
    let path = CString::new(format!("{pid}/environ"))?;
    match sys::open_at(root.as_fd(), &path, libc::O_RDONLY) {
        Ok(file) => read(file, needle),
        Err(error) => Outcome::from_error(error),
    }
}

/// The file itself, mounted upon another one outside of `/proc`.
pub(crate) fn by_bound_file(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let make = |place: &Path| File::create_new(place).map(drop);
    by_bind_mount(format!("/proc/{pid}/environ"), make, "", |place| fs::remove_file(place), needle)
}

/// The whole of `/proc`, seen in another place.
pub(crate) fn by_bound_procfs(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let make = |place: &Path| fs::create_dir(place);
    by_bind_mount("/proc".to_owned(), make, &format!("{pid}/environ"), |place| fs::remove_dir(place), needle)
}

fn by_bind_mount(
    what: String,
    make: impl Fn(&Path) -> io::Result<()>,
    below: &str,
    remove: impl Fn(&Path) -> io::Result<()>,
    needle: &Needle,
) -> io::Result<Outcome> {
    if let Err(error) = sys::unshare_mounts() {
        return Outcome::from_error(error);
    }
    let place = place();
    make(&place)?;
    let outcome = sys::bind(Path::new(&what), &place).and_then(|()| {
        let outcome = match below {
            "" => by_path(&place.display().to_string(), needle),
            below => by_path(&place.join(below).display().to_string(), needle),
        };
        sys::unmount(&place)?;
        outcome
    });
    remove(&place)?;
    outcome
}

/// A symbolic link that leads to it.
pub(crate) fn by_symbolic_link(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let place = place();
    symlink(format!("/proc/{pid}/environ"), &place)?;
    let outcome = by_path(&place.display().to_string(), needle);
    fs::remove_file(&place)?;
    outcome
}

/// `openat2(2)`, which watchers of `openat(2)` do not see.
pub(crate) fn by_openat2(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    match sys::open_at_2(&CString::new(format!("/proc/{pid}/environ"))?) {
        Ok(file) => read(file, needle),
        Err(error) => Outcome::from_error(error),
    }
}

/// Opened as a mere path, which asks nobody, and then once more through the attacker's own
/// descriptor.
pub(crate) fn by_reopening(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let path = fs::OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(format!("/proc/{pid}/environ"));
    match path {
        Ok(path) => by_path(&format!("/proc/self/fd/{}", path.as_raw_fd()), needle),
        Err(error) => Outcome::from_error(error),
    }
}

/// The calls of 32-bit programs.
pub(crate) fn by_compat_calls(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    match CompatFile::open(&CString::new(format!("/proc/{pid}/environ"))?) {
        Ok(file) => read(file, needle),
        Err(error) => Outcome::from_error(error),
    }
}

/// A name of this process's own.
fn place() -> PathBuf {
    std::env::temp_dir().join(format!("envward-attack-{}", std::process::id()))
}

fn read(file: impl io::Read, needle: &Needle) -> io::Result<Outcome> {
    match needle.is_in_stream(file) {
        Ok(true) => Ok(Outcome::Leaked),
        Ok(false) => Ok(Outcome::NotFound),
        Err(error) => Outcome::from_error(error),
    }
}
