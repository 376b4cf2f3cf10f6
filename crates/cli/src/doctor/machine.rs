//! What the kernel says of this machine and of us.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use envward_kernel::capability::{self, Capability};
use envward_kernel::{prctl, process, trial};

/// Everything that is read. Nothing where the kernel does not tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) release: String,
    pub(crate) yama: Option<i32>,
    pub(crate) perf: Option<i32>,
    pub(crate) core_pattern: Option<String>,
    pub(crate) suid_dumpable: Option<i32>,
    /// The security modules; nothing where securityfs is not mounted.
    pub(crate) security_modules: Option<String>,
    pub(crate) has_type_information: bool,
    pub(crate) memlock: Option<Limits>,
    pub(crate) no_new_privs: bool,
    /// Whether a seccomp filter is on us already.
    pub(crate) is_filtered: bool,
    /// The uid outside of the user namespace that owns it, if we are in one.
    pub(crate) namespace_owner: Option<u32>,
    pub(crate) uid: u32,
    pub(crate) has_capability: bool,
    pub(crate) parent: u32,
    pub(crate) executable: Option<Executable>,
}

/// A soft and a hard limit in bytes; `u64::MAX` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Our own file.
#[derive(Clone, Debug)]
pub(crate) struct Executable {
    pub(crate) path: PathBuf,
    pub(crate) owner: u32,
    pub(crate) mode: u32,
    pub(crate) has_capabilities: bool,
    /// The mount that it is on, if that ignores capabilities of files.
    pub(crate) ignored_on: Option<String>,
}

impl Executable {
    /// Whether people other than its owner may read it.
    pub(crate) const fn is_readable(&self) -> bool {
        self.mode & 0o044 != 0
    }
}

impl Machine {
    pub(crate) fn look() -> Self {
        let text = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
        let number = |path: &str| text(path).and_then(|text| text.parse().ok());
        let status = text("/proc/self/status").unwrap_or_default();
        Self {
            release: text("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            yama: number("/proc/sys/kernel/yama/ptrace_scope"),
            perf: number("/proc/sys/kernel/perf_event_paranoid"),
            core_pattern: text("/proc/sys/kernel/core_pattern"),
            suid_dumpable: number("/proc/sys/fs/suid_dumpable"),
            security_modules: text("/sys/kernel/security/lsm"),
            has_type_information: Path::new("/sys/kernel/btf/vmlinux").exists(),
            memlock: text("/proc/self/limits").and_then(|limits| limits_of(&limits, "Max locked memory")),
            no_new_privs: prctl::no_new_privs().unwrap_or(false),
            is_filtered: field(&status, "Seccomp").is_some_and(|mode| mode != "0"),
            namespace_owner: text("/proc/self/uid_map").and_then(|map| namespace_owner(&map)),
            uid: process::effective_uid(),
            has_capability: capability::is_effective(Capability::SysPtrace).unwrap_or(false),
            parent: field(&status, "PPid").and_then(|pid| pid.parse().ok()).unwrap_or(0),
            executable: executable(),
        }
    }

    /// Major and minor version of the kernel.
    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        version(&self.release)
    }
}

fn executable() -> Option<Executable> {
    let path = std::env::current_exe().ok()?;
    let metadata = fs::metadata(&path).ok()?;
    let c_path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    Some(Executable {
        ignored_on: mount_without_privileges(&mounts, &path),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
        has_capabilities: trial::has_file_capabilities(&c_path).unwrap_or(false),
        path,
    })
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// A line of `/proc/self/limits`.
fn limits_of(limits: &str, name: &str) -> Option<Limits> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut values = line.split_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some(Limits { soft: values.next()??, hard: values.next()?? })
}

/// Whom uid 0 of this user namespace is outside; nothing in the initial one.
fn namespace_owner(map: &str) -> Option<u32> {
    let mut first = None;
    for line in map.lines() {
        let mut words = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        let [inside, outside, count] = [words.next()??, words.next()??, words.next()??];
        if [inside, outside, count] == [0, 0, u32::MAX] {
            return None;
        }
        first = first.or(Some(outside));
    }
    first
}

/// The mount point that a path is on, if it is mounted `nosuid`: the kernel ignores capabilities
/// of files there. From `/proc/self/mountinfo`.
fn mount_without_privileges(mounts: &str, path: &Path) -> Option<String> {
    let (point, options) = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(4);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        // Of several mounts on one point the last is on top.
        .max_by_key(|(point, _)| Path::new(point).components().count())?;
    options.split(',').any(|option| option == "nosuid").then(|| point.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_versions() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("unknown"), None);
    }

    #[test]
    fn limits_are_read() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax locked memory         8388608    unlimited   bytes\n";
        assert_eq!(limits_of(text, "Max locked memory"), Some(Limits { soft: 8_388_608, hard: u64::MAX }));
        assert_eq!(limits_of(text, "Max open files"), None);
    }

    #[test]
    fn user_namespaces_are_known_by_their_maps() {
        assert_eq!(namespace_owner("         0          0 4294967295\n"), None);
        assert_eq!(namespace_owner("0 1000 1\n"), Some(1000));
        assert_eq!(namespace_owner("0 100000 65536"), Some(100_000));
        assert_eq!(namespace_owner(""), None);
    }

    #[test]
    fn the_mount_below_a_path_counts() {
        let mounts = "22 1 8:1 / / rw,relatime - ext4 /dev/sda rw\n\
                      30 22 0:25 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw\n\
                      31 30 0:26 / /tmp/x rw - tmpfs tmpfs rw\n";
        assert_eq!(mount_without_privileges(mounts, Path::new("/usr/bin/envward")), None);
        assert_eq!(mount_without_privileges(mounts, Path::new("/tmp/envward")).as_deref(), Some("/tmp"));
        assert_eq!(mount_without_privileges(mounts, Path::new("/tmp/x/envward")), None);
    }
}
