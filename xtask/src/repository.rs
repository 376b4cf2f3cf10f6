//! The files of the repository: those that git knows, and new ones that it does not ignore.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Trouble;

/// A checkout.
#[derive(Debug)]
pub(crate) struct Repository {
    root: PathBuf,
    files: Vec<String>,
}

impl Repository {
    /// The checkout that this program was built from.
    pub(crate) fn here() -> Result<Self, Trouble> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().map_err(|error| Trouble::new(root.display(), error))?;
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()
            .map_err(|error| Trouble::new("git ls-files", error))?;
        if !listing.status.success() {
            return Err(Trouble::new("git ls-files", String::from_utf8_lossy(&listing.stderr).trim()));
        }
        let mut files: Vec<String> = String::from_utf8_lossy(&listing.stdout)
            .split_terminator('\0')
            .filter(|file| root.join(file).is_file())
            .map(str::to_owned)
            .collect();
        files.sort_unstable();
        files.dedup();
        Ok(Self { root, files })
    }

    /// The directory of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// All files, as paths from the root with `/` between their parts.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// The files whose names end in `.EXTENSION`.
    pub(crate) fn with_extension(&self, extension: &'static str) -> impl Iterator<Item = &str> {
        self.files().filter(move |file| file.rsplit_once('.').is_some_and(|(_, end)| end == extension))
    }

    /// Whether there is such a file or directory.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files().any(|file| file == path || file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The text of a file.
    pub(crate) fn read(&self, file: &str) -> Result<String, Trouble> {
        std::fs::read_to_string(self.root.join(file)).map_err(|error| Trouble::new(file, error))
    }
}
