//! The kernel's texts below `/proc`, taken apart. Pure.

use super::facts::{Limit, Mapping, MemoryKind, Seccomp};

/// `/proc/PID/status`.
#[derive(Debug)]
pub(crate) struct Status<'a>(pub(crate) &'a str);

impl Status<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    fn number(&self, name: &str) -> Option<i32> {
        self.field(name)?.parse().ok()
    }

    pub(crate) fn name(&self) -> &str {
        self.field("Name").unwrap_or_default()
    }

    pub(crate) fn thread_group(&self) -> Option<i32> {
        self.number("Tgid")
    }

    pub(crate) fn parent(&self) -> Option<i32> {
        self.number("PPid")
    }

    /// The process that traces it, if one does.
    pub(crate) fn tracer(&self) -> Option<Option<i32>> {
        Some(Some(self.number("TracerPid")?).filter(|pid| *pid != 0))
    }

    /// Real, effective and saved user id.
    pub(crate) fn uids(&self) -> Option<[u32; 3]> {
        self.ids("Uid")
    }

    /// Real, effective and saved group id.
    pub(crate) fn gids(&self) -> Option<[u32; 3]> {
        self.ids("Gid")
    }

    fn ids(&self, name: &str) -> Option<[u32; 3]> {
        let mut ids = self.field(name)?.split_whitespace().map(|id| id.parse().ok());
        Some([ids.next()??, ids.next()??, ids.next()??])
    }

    pub(crate) fn permitted(&self) -> Option<u64> {
        u64::from_str_radix(self.field("CapPrm")?, 16).ok()
    }

    pub(crate) fn effective(&self) -> Option<u64> {
        u64::from_str_radix(self.field("CapEff")?, 16).ok()
    }

    pub(crate) fn no_new_privs(&self) -> Option<bool> {
        Some(self.number("NoNewPrivs")? != 0)
    }

    pub(crate) fn seccomp(&self) -> Option<Seccomp> {
        match self.number("Seccomp")? {
            0 => Some(Seccomp::None),
            1 => Some(Seccomp::Strict),
            2 => Some(Seccomp::Filter),
            _ => None,
        }
    }

    /// Whether it has ended and waits for its parent to take note.
    pub(crate) fn has_ended(&self) -> bool {
        self.field("State").is_some_and(|state| state.starts_with(['Z', 'X']))
    }
}

/// The soft limit on the size of core files, from `/proc/PID/limits`.
pub(crate) fn core_limit(limits: &str) -> Option<Limit> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(Limit::Unlimited),
        number => number.parse().ok().map(Limit::Bytes),
    }
}

/// What `/proc/PID/maps` calls a mapping of `memfd_secret`.
const SECRET_NAME: &str = "/secretmem (deleted)";
/// And one of the fallback.
const LOCKED_NAME: &str = "/memfd:envward (deleted)";

/// The mappings of secret memory, from `/proc/PID/smaps`. `device` is the one that secret files
/// are on (`00:0e`), where that is known: the name alone could belong to a file.
pub(crate) fn secret_mappings(smaps: &str, device: Option<&str>) -> Vec<Mapping> {
    let mut found: Vec<Mapping> = Vec::new();
    let mut inside = false;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if first.ends_with(':') {
            if inside && first == "VmFlags:" {
                let flags: Vec<&str> = words.collect();
                if let Some(mapping) = found.last_mut() {
                    mapping.locked = flags.contains(&"lo");
                    mapping.dont_dump = flags.contains(&"dd");
                    mapping.dont_fork = flags.contains(&"dc");
                }
            }
            continue;
        }
        let mapping = header(line, device);
        inside = mapping.is_some();
        found.extend(mapping);
    }
    found
}

/// A line that begins a mapping: addresses, permissions, offset, device, inode, name.
fn header(line: &str, device: Option<&str>) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let size_bytes = u64::from_str_radix(end, 16).ok()?.checked_sub(u64::from_str_radix(start, 16).ok()?)?;
    let permissions = words.next()?.to_owned();
    let on = words.nth(1)?;
    let name = words.skip(1).collect::<Vec<_>>().join(" ");
    let kind = match name.as_str() {
        SECRET_NAME if device.is_none_or(|device| device == on) => MemoryKind::MemfdSecret,
        LOCKED_NAME => MemoryKind::LockedMemory,
        _ => return None,
    };
    Some(Mapping { kind, size_bytes, permissions, locked: false, dont_dump: false, dont_fork: false })
}

/// Whether a descriptor refers to secret memory, by where its link leads.
pub(crate) fn is_secret_descriptor(link: &str) -> bool {
    link == SECRET_NAME || link == LOCKED_NAME
}

/// Whether a descriptor is a supervisor's.
pub(crate) fn is_notifier(link: &str) -> bool {
    link == "anon_inode:seccomp notify"
}

/// A device number as the kernel writes it in `maps`.
pub(crate) fn device(number: u64) -> String {
    let major = number >> 8 & 0xfff | number >> 32 & 0xffff_f000;
    let minor = number & 0xff | number >> 12 & 0xffff_ff00;
    format!("{major:02x}:{minor:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tpython 3\nState:\tS (sleeping)\nTgid:\t42\nPPid:\t41\nTracerPid:\t0\n\
                          Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapPrm:\t0000000000080000\nCapEff:\t0000000000000000\n\
                          NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";

    #[test]
    fn status_is_read() {
        let status = Status(STATUS);
        assert_eq!(status.name(), "python 3");
        assert_eq!((status.thread_group(), status.parent()), (Some(42), Some(41)));
        assert_eq!(status.tracer(), Some(None));
        assert_eq!((status.uids(), status.gids()), (Some([1, 2, 3]), Some([5, 6, 7])));
        assert_eq!((status.permitted(), status.effective()), (Some(1 << 19), Some(0)));
        assert_eq!((status.no_new_privs(), status.seccomp()), (Some(true), Some(Seccomp::Filter)));
        assert!(!status.has_ended());
        assert_eq!(Status("").seccomp(), None);
        assert_eq!(Status("TracerPid:\t7\n").tracer(), Some(Some(7)));
    }

    const SMAPS: &str = "7eb692896000-7eb692898000 rw-s 00000000 00:0e 647053          /secretmem (deleted)\n\
                         Size:                  8 kB\n\
                         VmFlags: rd wr sh mr mw ms lo dc dd \n\
                         7fb306c17000-7fb306c1a000 rw-p 00000000 00:00 0 \n\
                         VmFlags: rd wr mr mw me ac sd \n\
                         7fb306c20000-7fb306c21000 rw-s 00000000 00:01 5 /memfd:envward (deleted)\n\
                         VmFlags: rd wr sh mr mw ms sd \n\
                         7fb306c30000-7fb306c31000 r--s 00000000 08:01 5 /secretmem (deleted)\n\
                         VmFlags: rd lo dd \n";

    #[test]
    fn secret_mappings_are_found_with_their_flags() {
        let found = secret_mappings(SMAPS, Some("00:0e"));
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            Mapping {
                kind: MemoryKind::MemfdSecret,
                size_bytes: 8192,
                permissions: "rw-s".to_owned(),
                locked: true,
                dont_dump: true,
                dont_fork: true
            }
        );
        let fallback = &found[1];
        assert_eq!(fallback.kind, MemoryKind::LockedMemory);
        assert!(!fallback.locked && !fallback.dont_dump && !fallback.dont_fork);
    }

    #[test]
    fn a_file_with_the_name_of_secret_memory_is_not_taken_for_it() {
        assert_eq!(secret_mappings(SMAPS, Some("00:ff")).len(), 1);
        assert_eq!(device(0x0e), "00:0e");
        assert_eq!(device(0x801), "08:01");
    }

    #[test]
    fn the_core_limit_is_the_soft_one() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax core file size        0       unlimited    bytes\n";
        assert_eq!(core_limit(text), Some(Limit::Bytes(0)));
        assert_eq!(core_limit("Max core file size   unlimited  unlimited bytes"), Some(Limit::Unlimited));
        assert_eq!(core_limit("Max data size 0 0 bytes"), None);
    }

    #[test]
    fn descriptors_are_known_by_their_links() {
        assert!(is_secret_descriptor("/secretmem (deleted)") && is_secret_descriptor("/memfd:envward (deleted)"));
        assert!(!is_secret_descriptor("/memfd:other (deleted)"));
        assert!(is_notifier("anon_inode:seccomp notify") && !is_notifier("anon_inode:[signalfd]"));
    }
}
