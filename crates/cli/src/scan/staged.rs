//! The lines that are about to be committed: what `git diff --cached` adds, read from its pipe
//! into protected memory.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Command, Stdio};

use envward_detect::allow::Rule;
use envward_detect::text::{self, Syntax};
use envward_kernel::descriptor;
use envward_secret::{Backing, Region};

use super::finding::{Finding, Place, SCHEMA, Scan, shown_name};
use crate::failure::Failure;
use crate::output::Progress;

/// How much is held at a time; a longer line is looked at in pieces.
const WINDOW: usize = 256 * 1024;
/// How much of a piece is looked at again with the next one.
const OVERLAP: usize = 4 * 1024;

const DIFF: &[&str] = &[
    "-c",
    "core.quotePath=false",
    "diff",
    "--cached",
    "--unified=0",
    "--text",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--no-relative",
    "--submodule=short",
    "--diff-filter=AM",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

/// Looks at the index of the repository around the current directory.
pub(crate) fn scan(rules: &[Rule], backing: Backing) -> Result<Scan, Failure> {
    let failed = |what: &str| Failure::new(super::IMPOSSIBLE, what);
    let mut child = Command::new("git")
        .args(DIFF)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&format!("cannot start git: {error}")).hint("apt-get install git"))?;
    let mut scan = Scan { schema: SCHEMA, processes: None, files: Some(0), findings: Vec::new(), allowed: 0 };
    let mut window =
        Region::new(WINDOW, backing).map_err(|error| failed(&format!("no memory to read into: {error}")))?;
    let output = child.stdout.take().ok_or_else(|| failed("git has no output"))?;
    let mut reader = Reader::default();
    let mut progress = Progress::new("envward: scanning staged lines:");
    let mut lines = 0_usize;
    let outcome = reader.read(output.as_fd(), window.as_mut_slice(), &mut |path, line, bytes| {
        progress.tell(lines);
        lines += 1;
        for found in text::detect(bytes, Syntax::of_path(path)) {
            let place = Place::Staged { path: path.to_owned(), line };
            scan.add(Finding::new(place, shown_name(bytes, found.name), &found.detection), rules);
        }
    });
    drop((output, progress));
    let status = child.wait();
    outcome.map_err(|error| failed(&format!("cannot read what git says: {error}")))?;
    if !status.is_ok_and(|status| status.success()) {
        return Err(failed("git could not tell what is staged").hint("run this inside of a git repository"));
    }
    scan.files = Some(reader.files);
    Ok(scan)
}

/// Follows a diff line by line. The lines of a hunk are counted, as an added line may look like
/// a header.
#[derive(Debug, Default)]
struct Reader {
    files: usize,
    path: String,
    line: usize,
    removed_left: usize,
    added_left: usize,
    /// Inside of a line that did not fit: whether it is an added one.
    continues: Option<bool>,
}

impl Reader {
    fn read(
        &mut self,
        from: BorrowedFd<'_>,
        window: &mut [u8],
        tell: &mut impl FnMut(&str, usize, &[u8]),
    ) -> io::Result<()> {
        let mut filled = 0;
        loop {
            let count = descriptor::read(from, &mut window[filled..])?;
            filled += count;
            let mut start = 0;
            while let Some(length) = window[start..filled].iter().position(|byte| *byte == b'\n') {
                self.piece(&window[start..start + length], true, tell);
                start += length + 1;
            }
            if count == 0 {
                if start < filled {
                    self.piece(&window[start..filled], true, tell);
                }
                return Ok(());
            }
            if start == 0 && filled == window.len() {
                self.piece(&window[..filled], false, tell);
                start = filled - OVERLAP.min(filled / 2);
            }
            window.copy_within(start..filled, 0);
            filled -= start;
        }
    }

    /// A line, or a piece of a long one; `ends` for its last.
    fn piece(&mut self, bytes: &[u8], ends: bool, tell: &mut impl FnMut(&str, usize, &[u8])) {
        let (is_added, content) = match self.continues {
            Some(is_added) => (is_added, bytes),
            None => (self.begin(bytes), bytes.get(1..).unwrap_or_default()),
        };
        if is_added {
            tell(&self.path, self.line, content);
        }
        self.continues = (!ends).then_some(is_added);
        if ends && is_added {
            self.line += 1;
        }
    }

    /// Takes note of a line's beginning; says whether it is an added one.
    fn begin(&mut self, bytes: &[u8]) -> bool {
        match bytes.first() {
            Some(b'-') if self.removed_left > 0 => self.removed_left -= 1,
            Some(b'+') if self.added_left > 0 => {
                self.added_left -= 1;
                return true;
            }
            Some(b'+') if bytes.starts_with(b"+++ ") => {
                let path = String::from_utf8_lossy(&bytes[4..]);
                // A path with unusual characters is in quotes, and one with blanks ends in a tab.
                let path = path.trim_end_matches('\t').trim_matches('"');
                path.strip_prefix("b/").unwrap_or(path).clone_into(&mut self.path);
                self.files += 1;
            }
            Some(b'@') => {
                if let Some((removed, (line, added))) = hunk(&String::from_utf8_lossy(bytes)) {
                    (self.removed_left, self.line, self.added_left) = (removed, line, added);
                }
            }
            _ => {}
        }
        false
    }
}

/// `@@ -1,2 +3,4 @@`: how many lines are removed; the first added one, and how many are.
fn hunk(header: &str) -> Option<(usize, (usize, usize))> {
    let mut words = header.strip_prefix("@@ ")?.split(' ');
    let mut range = |sign: char| {
        let text = words.next()?.strip_prefix(sign)?;
        let (line, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((line.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
    };
    let (_, removed) = range('-')?;
    Some((removed, range('+')?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use super::*;

    fn read(diff: &[u8], window: usize) -> (usize, Vec<(String, usize, Vec<u8>)>) {
        let (from, mut to) = io::pipe().unwrap();
        let diff = diff.to_vec();
        let feeder = thread::spawn(move || to.write_all(&diff).unwrap());
        let mut reader = Reader::default();
        let mut lines = Vec::new();
        let mut window = vec![0; window];
        let mut tell = |path: &str, line, bytes: &[u8]| lines.push((path.to_owned(), line, bytes.to_vec()));
        reader.read(from.as_fd(), &mut window, &mut tell).unwrap();
        feeder.join().unwrap();
        (reader.files, lines)
    }

    const DIFF: &str = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@ fn a\n--- gone\n-gone\n\
                        +++ b/not-a-path\n@@ -9,0 +9,2 @@\n+one\n+two\n\\ No newline at end of file\n\
                        diff --git a/y z b/y z\nnew file mode 100644\n--- /dev/null\n+++ b/y z\t\n@@ -0,0 +1 @@\n+three";

    #[test]
    fn added_lines_have_their_places() {
        let (files, lines) = read(DIFF.as_bytes(), 1024);
        let expected = [("x", 1, "++ b/not-a-path"), ("x", 9, "one"), ("x", 10, "two"), ("y z", 1, "three")];
        let expected = expected.map(|(path, line, text)| (path.to_owned(), line, text.as_bytes().to_vec()));
        assert_eq!((files, lines), (2, expected.to_vec()));
    }

    #[test]
    fn long_lines_are_looked_at_in_pieces_that_overlap() {
        let long = "x".repeat(1000);
        let diff = format!("+++ b/l\n@@ -0,0 +1,2 @@\n+{long}needle{long}\n+end\n");
        for window in [64, 100, 129, 700] {
            let (_, lines) = read(diff.as_bytes(), window);
            assert!(
                lines.iter().any(|(_, line, text)| *line == 1 && text.windows(6).any(|w| w == b"needle")),
                "{window}"
            );
            assert_eq!(lines.last().unwrap(), &("l".to_owned(), 2, b"end".to_vec()), "{window}");
        }
    }
}
