//! `/proc/PID/maps` ([proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html)).

/// A range of a process's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where the first byte is in the file.
    pub(super) offset: u64,
    pub(super) writable: bool,
    pub(super) kind: Kind,
}

/// What is in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Memory that was empty: data without initial values, the stack, the heap.
    Anonymous,
    /// A private mapping of a file.
    File,
    /// The kernel's code for programs.
    Vdso,
    /// The kernel's data for programs, which nobody can write, not even as a debugger.
    Fixed,
    /// Memory shared with others: no program starts with any.
    Shared,
}

/// Reads `/proc/PID/maps`; `None` when it is not of the kernel's making.
pub(super) fn parse(text: &[u8]) -> Option<Vec<Mapping>> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mapping> {
    // The path comes last, may be missing, and may hold anything.
    let mut words = line.splitn(6, |byte| *byte == b' ');
    let mut word = || words.next();
    let (range, permissions, offset, _device, inode) = (word()?, word()?, word()?, word()?, word()?);
    let name = word().unwrap_or_default().trim_ascii_start();
    let range = std::str::from_utf8(range).ok()?;
    let (start, end) = range.split_once('-')?;
    let kind = match (permissions.get(3)?, inode, name) {
        (b'p', b"0", b"[vdso]") => Kind::Vdso,
        (b'p', b"0", b"[vsyscall]") => Kind::Fixed,
        (b'p', b"0", name) if name.starts_with(b"[vvar") => Kind::Fixed,
        (b'p', b"0", name) if name.is_empty() || name.starts_with(b"[") => Kind::Anonymous,
        (b'p', ..) => Kind::File,
        _ => Kind::Shared,
    };
    Some(Mapping {
        start: usize::from_str_radix(start, 16).ok()?,
        end: usize::from_str_radix(end, 16).ok()?,
        offset: u64::from_str_radix(std::str::from_utf8(offset).ok()?, 16).ok()?,
        writable: permissions.get(1) == Some(&b'w'),
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 9] = [
        "55d000000000-55d000001000 r-xp 00003000 fe:00 247741                     /usr/bin/a: b (deleted)",
        "55d000001000-55d000002000 rw-p 00000000 00:00 0 ",
        "55d000002000-55d000003000 rw-p 00000000 00:00 0                          [heap]",
        "55d000003000-55d000004000 rw-s 00000000 00:05 77                         /dev/zero",
        "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]",
        "7ffc00030000-7ffc00034000 r--p 00000000 00:00 0                          [vvar]",
        "7ffc00034000-7ffc00036000 r--p 00000000 00:00 0                          [vvar_vclock]",
        "7ffc00036000-7ffc00038000 r-xp 00000000 00:00 0                          [vdso]",
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
    ];

    #[test]
    fn every_kind_of_mapping_is_told_apart() {
        let maps = parse(LINES.join("\n").as_bytes()).unwrap();
        let kinds: Vec<Kind> = maps.iter().map(|mapping| mapping.kind).collect();
        use Kind::{Anonymous, File, Fixed, Shared, Vdso};
        assert_eq!(kinds, [File, Anonymous, Anonymous, Shared, Anonymous, Fixed, Fixed, Vdso, Fixed]);
        let first =
            Mapping { start: 0x55d0_0000_0000, end: 0x55d0_0000_1000, offset: 0x3000, writable: false, kind: File };
        assert_eq!(maps[0], first);
        assert!(maps[1].writable);
        // A file may be called as it likes.
        assert_eq!(parse(b"1000-2000 r-xp 0 fe:00 9    [vdso]\n").unwrap()[0].kind, File);
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for line in ["1000", "1000-2000 r-x 0 0:0 0", "1000-2000", "x-y r-xp 0 0:0 0 ", "1000-2000 r-xp z 0:0 0"] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
