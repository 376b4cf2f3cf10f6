//! The manual pages of the `envward` command in `man/`, written by envward itself out of its
//! command line's description. `crates/cli/tests/pages.rs` fails when they are not what they would
//! be.

use std::fs;
use std::process::Command;

use crate::repository::Repository;
use crate::{Trouble, say};

const DIRECTORY: &str = "man";

/// Writes all pages anew.
pub(crate) fn run() -> Result<(), Trouble> {
    let repository = Repository::here()?;
    let directory = repository.root().join(DIRECTORY);
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|error| Trouble::new(DIRECTORY, error))?;
    }
    fs::create_dir(&directory).map_err(|error| Trouble::new(DIRECTORY, error))?;
    let status = Command::new("cargo")
        .args(["run", "--quiet", "--locked", "--package", "envward", "--", "man", DIRECTORY])
        .current_dir(repository.root())
        .status()
        .map_err(|error| Trouble::new("cargo run", error))?;
    if !status.success() {
        return Err(Trouble("envward could not write its pages".to_owned()));
    }
    let count = fs::read_dir(&directory).map_err(|error| Trouble::new(DIRECTORY, error))?.count();
    say(&format!("man: wrote {count} pages into {DIRECTORY}"));
    Ok(())
}
