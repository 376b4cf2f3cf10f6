//! The archive format of initial root file systems: cpio, `newc`.
//!
//! linux/Documentation/driver-api/early-userspace/buffer-format.rst describes it.

use std::io::{self, Write};

/// What kind of file an entry makes; the high bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Link,
    /// A character device.
    Device {
        major: u32,
        minor: u32,
    },
}

/// An archive that is being written.
pub(super) struct Archive<W> {
    out: W,
    written: usize,
    entries: u32,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, written: 0, entries: 0 }
    }

    /// Adds a file, owned by root. `path` has no `/` in front. The content of a link is its
    /// target.
    pub(super) fn add(&mut self, path: &str, kind: Kind, permissions: u32, content: &[u8]) -> io::Result<()> {
        let (bits, device) = match kind {
            Kind::Directory => (0o040_000, (0, 0)),
            Kind::File => (0o100_000, (0, 0)),
            Kind::Link => (0o120_000, (0, 0)),
            Kind::Device { major, minor } => (0o020_000, (major, minor)),
        };
        let size = u32::try_from(content.len()).map_err(|_| io::Error::other("a file of 4 GiB or more"))?;
        self.entries += 1;
        self.entry(path, self.entries, bits | permissions, device, size)?;
        self.write(content)?;
        self.pad(4)
    }

    /// Writes what has to stand at the end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, 0, (0, 0), 0)?;
        self.pad(512)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, path: &str, inode: u32, mode: u32, device: (u32, u32), size: u32) -> io::Result<()> {
        let name_size = u32::try_from(path.len() + 1).map_err(|_| io::Error::other("a long name"))?;
        let (uid, gid, links, time, on, checksum) = (0, 0, 1, 0, (0, 0), 0);
        let fields = [inode, mode, uid, gid, links, time, size, on.0, on.1, device.0, device.1, name_size, checksum];
        let mut header = "070701".to_owned();
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.write(header.as_bytes())?;
        self.write(path.as_bytes())?;
        self.write(&[0])?;
        self.pad(4)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self, to: usize) -> io::Result<()> {
        let missing = self.written.next_multiple_of(to) - self.written;
        self.write(&vec![0; missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.add("dir", Kind::Directory, 0o755, b"").unwrap();
        archive.add("dir/file", Kind::File, 0o640, b"content").unwrap();
        archive.add("dir/link", Kind::Link, 0o777, b"file").unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn headers_and_contents_are_aligned() {
        let bytes = archive();
        assert_eq!(bytes.len() % 512, 0);
        let mut at = 0;
        let mut names = Vec::new();
        while names.last().is_none_or(|name| name != "TRAILER!!!") {
            assert_eq!((at % 4, &bytes[at..at + 6]), (0, &b"070701"[..]));
            let field = |number: usize| {
                let from = at + 6 + 8 * number;
                usize::from_str_radix(std::str::from_utf8(&bytes[from..from + 8]).unwrap(), 16).unwrap()
            };
            let name = &bytes[at + 110..at + 110 + field(11) - 1];
            names.push(String::from_utf8(name.to_vec()).unwrap());
            at = (at + 110 + field(11)).next_multiple_of(4) + field(6);
            at = at.next_multiple_of(4);
        }
        assert_eq!(names, ["dir", "dir/file", "dir/link", "TRAILER!!!"]);
    }

    #[test]
    fn devices_carry_their_numbers() {
        let mut archive = Archive::new(Vec::new());
        archive.add("console", Kind::Device { major: 5, minor: 1 }, 0o600, b"").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(&bytes[14..22], b"00002180");
        assert_eq!(&bytes[78..94], b"0000000500000001");
    }
}
