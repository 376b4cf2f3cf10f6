//! Processes and files as user space sees them, in the kernel's terms.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

/// A process that cannot be mistaken for a later one with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// Its start, in nanoseconds since the machine started, as exact as procfs has it (10 ms).
    pub start_ns: u64,
}

/// Who `pid` is now, from [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
///
/// # Errors
/// `NotFound` when there is no such process.
pub fn identify(pid: u32) -> io::Result<Identity> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    start_ticks(&stat)
        .map(|ticks| Identity { pid, start_ns: ticks.saturating_mul(10_000_000) })
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Field 22; the name in parentheses before it may hold anything.
fn start_ticks(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// The inode number of the machine's first PID namespace (`PROC_PID_INIT_INO`).
const FIRST_NAMESPACE: u64 = 0xefff_fffc;

/// Whether processes have the numbers here that the kernel's programs see: those of the first
/// [PID namespace](https://man7.org/linux/man-pages/man7/pid_namespaces.7.html).
///
/// # Errors
/// When `/proc` is not mounted.
pub fn is_in_first_namespace() -> io::Result<bool> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino() == FIRST_NAMESPACE)
}

/// A device number of stat(2) as the kernel has it inside: twelve bits for the major number and
/// twenty for the minor one.
#[must_use]
pub const fn kernel_device(device: u64) -> u32 {
    let major = (device >> 8 & 0xfff) as u32;
    let minor = (device & 0xff | device >> 12 & 0xf_ff00) as u32;
    major << 20 | minor
}

/// What procfs says about a process that may be gone by the time it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The path of its executable.
    pub exe: Option<String>,
    /// The path of its cgroup.
    pub cgroup: Option<String>,
    /// Number and name of its parents, the nearest first.
    pub ancestors: Vec<(u32, String)>,
    /// Its arguments, the first bytes of them.
    pub argv: Vec<String>,
}

/// As many parents are looked up.
const ANCESTORS: usize = 8;

impl Asked {
    /// Asks about the process with this number, if it is still the one that started then.
    #[must_use]
    pub fn about(pid: u32, start_ns: u64) -> Option<Self> {
        let same = || identify(pid).is_ok_and(|now| now.start_ns / 10_000_000 == start_ns / 10_000_000);
        if !same() {
            return None;
        }
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
        let asked = Self {
            exe: exe.map(|path| path.to_string_lossy().into_owned()),
            cgroup: cgroup.and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::").map(str::to_owned))),
            ancestors: ancestors(pid),
            argv: arguments(pid).unwrap_or_default(),
        };
        same().then_some(asked)
    }
}

/// As many bytes of arguments are kept.
const ARGUMENTS: usize = 128;

/// The arguments, from the place where the kernel put them. The file of them goes on into the
/// environment when a program has written over their end; what is read here does not.
fn arguments(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(45).map(str::parse::<u64>);
    let (start, end) = (fields.next()?.ok()?, fields.next()?.ok()?);
    let length = usize::try_from(end.checked_sub(start)?).ok()?.min(ARGUMENTS);
    let mut bytes = Vec::new();
    fs::File::open(format!("/proc/{pid}/cmdline")).ok()?.take(length as u64).read_to_end(&mut bytes).ok()?;
    Some(split_arguments(&bytes))
}

/// Arguments that are separated by NUL, as text.
#[must_use]
pub(crate) fn split_arguments(bytes: &[u8]) -> Vec<String> {
    let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn ancestors(pid: u32) -> Vec<(u32, String)> {
    let comm = |pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    parents(pid).take(ANCESTORS).map_while(|pid| Some((pid, comm(pid)?.trim_end().to_owned()))).collect()
}

/// The parent of a process, its parent, and so on.
pub fn parents(pid: u32) -> impl Iterator<Item = u32> {
    let parent = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        rest.split_whitespace().nth(1)?.parse().ok().filter(|parent| *parent != 0)
    };
    std::iter::successors(parent(&pid), parent)
}

/// Effective capabilities of this process, as bits.
#[must_use]
pub fn effective_capabilities() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 5 0 0 0 0 0 0 0 20 0 1 0 4321 8 9";
        assert_eq!(start_ticks(line), Some(4321));
        assert_eq!(start_ticks("7 (short) S 1"), None);
        assert_eq!(start_ticks(""), None);
    }

    #[test]
    fn device_numbers_are_the_kernels() {
        assert_eq!(kernel_device(0x0801), 8 << 20 | 1);
        assert_eq!(kernel_device(0x5678_9abc), 0x89a << 20 | 0x5_67bc);
    }

    #[test]
    fn a_process_is_asked_for_what_events_say() {
        let pid = std::process::id();
        let asked = Asked::about(pid, identify(pid).unwrap().start_ns).unwrap();
        let own: Vec<String> = std::env::args().collect();
        let length: usize = own.iter().map(|argument| argument.len() + 1).sum();
        assert!(length > ARGUMENTS || asked.argv == own, "{:?}", asked.argv);
        assert_eq!(asked.exe, std::env::current_exe().unwrap().to_str().map(str::to_owned));
        assert_eq!(asked.ancestors[0].0, std::os::unix::process::parent_id());
        assert!(asked.cgroup.is_some_and(|path| path.starts_with('/')));
        assert_eq!(Asked::about(pid, 1), None, "another process that had the number");
    }

    #[test]
    fn this_process_is_itself() {
        let pid = std::process::id();
        assert_eq!(identify(pid).unwrap(), identify(pid).unwrap());
        assert_eq!(identify(0).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
