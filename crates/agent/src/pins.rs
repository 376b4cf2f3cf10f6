//! What outlives the agent: links and maps in bpffs. While they are there, the programs go on
//! refusing, whether an agent runs or not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aya::programs::links::{FdLink, PinnedLink};

use crate::guard::GuardError;

/// Where they are kept.
pub const PLACE: &str = "/sys/fs/bpf/envward";

/// A directory of bpffs. Programs of another layout have another directory.
#[derive(Debug)]
pub struct Pins {
    directory: PathBuf,
}

impl Pins {
    /// Makes the directories that are missing.
    ///
    /// # Errors
    /// When they cannot be made: no bpffs is there.
    pub fn prepare(place: &Path) -> Result<Self, GuardError> {
        let directory = place.join(crate::layout::EVENT_VERSION.to_string());
        let pins = Self { directory };
        for name in ["maps", "links"] {
            let path = pins.directory.join(name);
            fs::create_dir_all(&path).map_err(|source| pins.failed(source))?;
        }
        Ok(pins)
    }

    /// Where a map is kept.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.directory.join("maps").join(name)
    }

    /// Keeps a link in place of the one of this name, which goes only now: there is no moment
    /// without either. What is returned holds it too, for when the directory is removed.
    ///
    /// # Errors
    /// When bpffs refuses.
    pub fn keep(&self, name: &str, link: FdLink) -> Result<PinnedLink, GuardError> {
        let links = self.directory.join("links");
        let (new, place) = (links.join(format!("{name}-new")), links.join(name));
        // Left over by an agent that died on the way.
        let _ = fs::remove_file(&new);
        let link = link.pin(&new).map_err(|error| self.failed(io::Error::other(error)))?;
        fs::rename(&new, &place).map_err(|source| self.failed(source))?;
        Ok(link)
    }

    fn failed(&self, source: io::Error) -> GuardError {
        GuardError::Pin { place: self.directory.clone(), source }
    }
}

/// Removes all that is kept: protection ends, or goes on until the agent that runs is stopped.
///
/// # Errors
/// When there is nothing, or this process is not trusted to do it.
pub fn remove(place: &Path) -> io::Result<()> {
    fs::remove_dir_all(place)
}
