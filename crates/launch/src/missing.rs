//! Execs of files that are not there, as `execvp(3)` makes them on its way through `PATH`.
//!
//! Letting one fail by itself costs as much as a real exec with secrets. So when a thread has
//! just failed to find one file, its next attempt is answered at once if that file is missing
//! too: at the moment of the look the exec would have failed, and that is answer enough.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use envward_kernel::process;
use envward_kernel::remote_memory;

/// `PATH_MAX`.
const PATH_MAX: usize = 4096;
/// `ENOENT`.
const ENOENT: i32 = 2;
/// `ENOTDIR`.
const ENOTDIR: i32 = 20;

/// The error that `execve` of the path at `address` in thread `tid` would fail with, if the
/// file is missing for certain. Only where we see the files as the thread does: as the same
/// user, below the same root, in the same mount namespace, and not through `/proc/self` or
/// `/dev/fd`, which are another process's for us.
#[must_use]
pub fn missing(tid: i32, address: usize) -> Option<i32> {
    let path = read_path(tid, address)?;
    let is_our_own = ["/proc", "/dev"].iter().any(|directory| path.starts_with(directory));
    if !path.is_absolute() || is_our_own || !sees_what_we_see(tid) {
        return None;
    }
    let error = fs::metadata(path).err()?.raw_os_error()?;
    matches!(error, ENOENT | ENOTDIR).then_some(error)
}

fn read_path(tid: i32, address: usize) -> Option<PathBuf> {
    let mut bytes = [0; PATH_MAX];
    let mut filled = 0;
    while filled < PATH_MAX {
        // Never across a page: the string may end right before an unmapped one.
        let end = PATH_MAX.min(filled + PATH_MAX - (address + filled) % PATH_MAX);
        let read = remote_memory::read(tid, address + filled, &mut bytes[filled..end]).ok()?;
        if let Some(length) = bytes[..filled + read].iter().position(|byte| *byte == 0) {
            // An empty path is nowhere; the kernel says so itself.
            return (length > 0).then(|| OsStr::from_bytes(&bytes[..length]).into());
        }
        filled += read;
    }
    None
}

fn sees_what_we_see(tid: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{tid}/status")) else { return false };
    let file_system_uid = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_ascii_whitespace().nth(3))
        .and_then(|id| id.parse().ok());
    let link = |path: String| fs::read_link(path).ok();
    file_system_uid == Some(process::effective_uid())
        && link(format!("/proc/{tid}/root")).is_some_and(|root| root == Path::new("/"))
        && link(format!("/proc/{tid}/ns/mnt")).is_some_and(|space| Some(space) == link("/proc/self/ns/mnt".into()))
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    #[test]
    fn missing_files_are_told_from_others() {
        let ask = |path: &str| {
            let path = CString::new(path).unwrap();
            missing(process::id(), path.as_ptr() as usize)
        };
        assert_eq!(ask("/no/such/file"), Some(ENOENT));
        assert_eq!(ask("/etc/passwd/x"), Some(ENOTDIR));
        assert_eq!(ask("no-such-file"), None, "where it is relative to, we do not ask");
        assert_eq!(ask("/proc/self/fd/1000"), None, "that would be ours");
        assert_eq!(ask("/etc/passwd"), None);
        assert_eq!(ask("Cargo.toml"), None);
        assert_eq!(ask(""), None);
        assert_eq!(missing(process::id(), 8), None);
    }
}
