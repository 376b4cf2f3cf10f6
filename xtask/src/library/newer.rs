//! The glibc of Debian 13, for machines that have an older one: its package, unpacked without being
//! installed. Programs are linked here as ever, and name its dynamic linker and directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::succeed;
use crate::debian::Apt;
use crate::repository::Repository;
use crate::{Trouble, say};

const SUITE: &str = "trixie";
const SERIES: &str = "2.41";
const LINKER: &str = "ld-linux-x86-64.so.2";

/// The unpacked libc.
pub(super) struct Glibc {
    /// Where `libc.so.6` and the dynamic linker are.
    directory: PathBuf,
    /// As it says itself: `2.41-12+deb13u1`.
    pub(super) version: String,
}

/// Fetches it if it is not there yet, and prints its directory on the last line.
pub(super) fn show() -> Result<(), Trouble> {
    let glibc = Glibc::fetch(&Repository::here()?)?;
    say(&format!("glibc {}", glibc.version));
    say(&glibc.directory.display().to_string());
    Ok(())
}

impl Glibc {
    /// The libc, fetched if it is not there yet.
    pub(super) fn fetch(repository: &Repository) -> Result<Self, Trouble> {
        let place = repository.root().join("target/debian");
        let failed = |error| Trouble::new(place.display(), error);
        fs::create_dir_all(&place).map_err(failed)?;
        // One fetches, the others wait.
        let lock = File::create(place.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let directory = place.join(format!("glibc-{SERIES}"));
        if let Ok(there) = Self::open(&directory) {
            return Ok(there);
        }
        let unfinished = place.join("new");
        for old in [&directory, &unfinished] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(failed)?;
            }
        }
        let archive = Apt::new(&unfinished, SUITE)?.download("libc6")?;
        let root = unfinished.join("root");
        succeed(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&root))?;
        fs::rename(&root, &directory).map_err(failed)?;
        fs::remove_dir_all(&unfinished).map_err(failed)?;
        Self::open(&directory)
    }

    /// Asks the libc for its version.
    fn open(root: &Path) -> Result<Self, Trouble> {
        let directory = root.join("usr/lib/x86_64-linux-gnu");
        let output = Command::new(directory.join(LINKER))
            .arg("--library-path")
            .arg(&directory)
            .arg(directory.join("libc.so.6"))
            .env_remove("LD_PRELOAD")
            .output()
            .map_err(|error| Trouble::new(directory.display(), error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_once("GLIBC ").and_then(|(_, rest)| rest.split_once(')'));
        match version {
            Some((version, _)) if version.starts_with(SERIES) => Ok(Self { version: version.to_owned(), directory }),
            _ => Err(Trouble::new(directory.display(), format!("is no glibc {SERIES}: {}", text.trim()))),
        }
    }

    /// What makes a program run with it, and the programs that it starts by its own path.
    pub(super) fn link_options(&self) -> [String; 2] {
        let directory = self.directory.display();
        [
            format!("-Wl,--dynamic-linker={directory}/{LINKER}"),
            // Not the newer tag, which is not for the libraries' own libraries.
            format!("-Wl,--disable-new-dtags,-rpath,{directory}"),
        ]
    }
}
