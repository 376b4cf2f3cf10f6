//! All readable memory of a process, read from outside.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;

use envward_kernel::remote_memory;

use crate::needle::Search;
use crate::{Needle, Outcome};

const PAGE: usize = 4096;

/// Bytes that are read at once.
const STRIDE: usize = 64 * PAGE;

/// A mapping as `/proc/PID/maps` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    pub(crate) name: String,
}

/// The mappings of `pid`.
///
/// # Errors
/// `EACCES` when it may not be traced.
pub(crate) fn regions(pid: i32) -> io::Result<Vec<Region>> {
    let text = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    Ok(text.lines().filter_map(region).collect())
}

fn region(line: &str) -> Option<Region> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let permissions = words.next()?.as_bytes();
    Some(Region {
        start: usize::from_str_radix(start, 16).ok()?,
        end: usize::from_str_radix(end, 16).ok()?,
        readable: permissions.first() == Some(&b'r'),
        writable: permissions.get(1) == Some(&b'w'),
        executable: permissions.get(2) == Some(&b'x'),
        name: words.skip(3).collect::<Vec<_>>().join(" "),
    })
}

/// Searches everything that `read` gives, going on behind pages that it does not.
///
/// `read` fills the buffer from an address and says how much of it.
pub(crate) fn search(
    regions: &[Region],
    needle: &Needle,
    mut read: impl FnMut(usize, &mut [u8]) -> io::Result<usize>,
) -> bool {
    let mut search = Search::new(needle);
    let mut buffer = vec![0; STRIDE];
    for region in regions.iter().filter(|region| region.readable) {
        search.restart();
        let mut at = region.start;
        while at < region.end {
            let wanted = STRIDE.min(region.end - at);
            match read(at, &mut buffer[..wanted]) {
                Ok(n) if n > 0 => {
                    if search.feed(&buffer[..n]) {
                        return true;
                    }
                    at += n;
                }
                // Not readable from here: try the next page.
                Ok(_) | Err(_) => {
                    search.restart();
                    at = (at / PAGE + 1) * PAGE;
                }
            }
        }
    }
    false
}

fn verdict(found: bool) -> Outcome {
    if found { Outcome::Leaked } else { Outcome::NotFound }
}

/// Through a `mem` file of procfs.
pub(crate) fn by_file(pid: i32, path: &str, needle: &Needle) -> io::Result<Outcome> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Outcome::from_error(error),
    };
    let regions = match regions(pid) {
        Ok(regions) => regions,
        Err(error) => return Outcome::from_error(error),
    };
    Ok(verdict(search(&regions, needle, |address, buffer| file.read_at(buffer, address as u64))))
}

/// Opens `/proc/PID/mem` for writing and replaces a byte of the program's code by itself.
/// The kernel writes even where the process may not.
pub(crate) fn by_write(pid: i32) -> io::Result<Outcome> {
    let file = match OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem")) {
        Ok(file) => file,
        Err(error) => return Outcome::from_error(error),
    };
    let regions = match regions(pid) {
        Ok(regions) => regions,
        Err(error) => return Outcome::from_error(error),
    };
    let code = regions.iter().find(|region| region.executable && !region.writable);
    let Some(code) = code else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the process has no code"));
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, code.start as u64)?;
    match file.write_all_at(&byte, code.start as u64) {
        Ok(()) => Ok(Outcome::Leaked),
        Err(error) => Outcome::from_error(error),
    }
}

/// By `process_vm_readv(2)`.
pub(crate) fn by_remote_read(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let regions = match regions(pid) {
        Ok(regions) => regions,
        // Without maps there is no address to ask for; the system call refuses by itself.
        Err(_) => {
            return match remote_memory::read(pid, 0x40_0000, &mut [0; 8]) {
                Err(error) if error.raw_os_error() != Some(libc::EFAULT) => Outcome::from_error(error),
                _ => Ok(Outcome::NotFound),
            };
        }
    };
    // The mappings may be listed to somebody who may read none of them: Yama is so.
    if let Some(first) = regions.iter().find(|region| region.readable)
        && let Err(error) = remote_memory::read(pid, first.start, &mut [0; 8])
        && error.raw_os_error() == Some(libc::EPERM)
    {
        return Outcome::from_error(error);
    }
    Ok(verdict(search(&regions, needle, |address, buffer| remote_memory::read(pid, address, buffer))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps() {
        let line = "7f00-8f00 rw-s 00000000 00:01 1234   /memfd:some name (deleted)";
        let parsed = region(line).unwrap();
        assert_eq!((parsed.start, parsed.end), (0x7f00, 0x8f00));
        assert!(parsed.readable && parsed.writable && !parsed.executable);
        assert_eq!(parsed.name, "/memfd:some name (deleted)");
        assert_eq!(region("nonsense"), None);
    }

    #[test]
    fn finds_what_this_process_holds_and_goes_on_behind_holes() {
        let value = format!("{}-{:x}", "needle", std::process::id());
        let needle = Needle::read_from(value.as_bytes()).unwrap();
        let pid = std::process::id() as i32;
        let mem = format!("/proc/{pid}/mem");
        assert_eq!(by_file(pid, &mem, &needle).unwrap(), Outcome::Leaked);
        assert_eq!(by_remote_read(pid, &needle).unwrap(), Outcome::Leaked);
        let mut regions = regions(pid).unwrap();
        regions.insert(0, Region { start: 0x1000, end: 0x5000, readable: true, ..regions[0].clone() });
        let found = search(&regions, &needle, |address, buffer| remote_memory::read(pid, address, buffer));
        assert!(found);
        drop(value);
    }
}
