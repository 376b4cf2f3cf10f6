//! The file systems that programs expect.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use rustix::mount::{MountFlags, mount};

/// File system, where, and its options.
const MOUNTS: &[(&str, &str, &str)] = &[
    ("devtmpfs", "/dev", ""),
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devpts", "/dev/pts", "ptmxmode=666,mode=620"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("tmpfs", "/tmp", "mode=1777"),
    ("tmpfs", "/run", "mode=755"),
    ("securityfs", "/sys/kernel/security", ""),
    ("bpf", "/sys/fs/bpf", "mode=700"),
    ("tracefs", "/sys/kernel/tracing", ""),
    ("cgroup2", "/sys/fs/cgroup", ""),
];

/// Links that `udev` makes on other machines.
const LINKS: &[(&str, &str)] =
    &[("/proc/self/fd", "/dev/fd"), ("fd/0", "/dev/stdin"), ("fd/1", "/dev/stdout"), ("fd/2", "/dev/stderr")];

pub(crate) fn mount_all() -> io::Result<()> {
    for (file_system, place, options) in MOUNTS {
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("mount {place}: {error}"));
        // Below /sys the places are the kernel's own.
        if !fs::exists(place)? {
            fs::create_dir_all(place).map_err(failed)?;
        }
        let options = std::ffi::CString::new(*options)?;
        mount(*file_system, *place, *file_system, MountFlags::empty(), options.as_c_str())
            .map_err(|error| failed(error.into()))?;
    }
    for (target, place) in LINKS {
        if !fs::exists(place)? {
            symlink(target, place)?;
        }
    }
    fs::set_permissions("/", Permissions::from_mode(0o755))?;
    rustix::system::sethostname(b"guest")?;
    Ok(())
}
