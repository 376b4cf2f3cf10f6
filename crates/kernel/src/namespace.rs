//! A view of the file system that no other process has,
//! [mount_namespaces(7)](https://man7.org/linux/man-pages/man7/mount_namespaces.7.html).
#![expect(unsafe_code, reason = "unshare(2) and mount(2) are raw system calls")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use crate::errno::check;

/// Gives the calling process, and what it starts later, a mount namespace of its own: mounts in
/// it are seen nowhere else, and later mounts elsewhere are still seen in it.
///
/// Without `CAP_SYS_ADMIN` that takes a user namespace, in which the caller keeps its user and
/// group and has all capabilities until it runs a program.
///
/// # Errors
/// `EPERM` where user namespaces are forbidden to ordinary users, `ENOSPC` where their number is
/// limited; what writing to `/proc/self` gives.
pub fn enter_mount_namespace() -> io::Result<()> {
    // SAFETY: takes no pointers; the process has one thread, or the kernel refuses.
    let mounted = check(unsafe { libc::unshare(libc::CLONE_NEWNS) });
    if mounted.is_err() {
        // SAFETY: these take no arguments and always succeed.
        let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        // SAFETY: as above.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) })?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    // Else our mounts would appear in the namespace that we come from.
    mount(c"none", c"/", None, libc::MS_REC | libc::MS_SLAVE, None)
}

/// Mounts an empty file system that lives in memory, is never swapped and is accessible to its
/// owner only (`ramfs`) on directory `path`.
///
/// # Errors
/// Those of [mount(2)](https://man7.org/linux/man-pages/man2/mount.2.html): `EPERM` without
/// `CAP_SYS_ADMIN` in the mount namespace, `ENODEV`, `ENOENT`.
pub fn mount_memory(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    mount(c"envward", &path, Some(c"ramfs"), flags, Some(c"mode=0700"))
}

/// Unmounts what is mounted on `path`, [umount2(2)](https://man7.org/linux/man-pages/man2/umount.2.html),
/// as soon as nobody uses it.
///
/// # Errors
/// `EINVAL` when nothing is mounted there, `EPERM`.
pub fn unmount(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that outlives the call.
    check(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

fn mount(source: &CStr, path: &CStr, kind: Option<&CStr>, flags: libc::c_ulong, data: Option<&CStr>) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the strings outlive the call; null is allowed where `None` is.
    check(unsafe { libc::mount(source.as_ptr(), path.as_ptr(), pointer(kind), flags, pointer(data).cast()) }).map(drop)
}
