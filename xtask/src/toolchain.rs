//! No file may ask rustup for another toolchain: the `rust-version` says what is needed, and
//! a machine that has it should not download anything.

use crate::Finding;
use crate::repository::Repository;

/// Files that pin a toolchain.
pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository.files().filter(|file| pins(file)).map(|file| format!("{file}: pins a toolchain: remove it")).collect()
}

fn pins(file: &str) -> bool {
    matches!(file.rsplit('/').next(), Some("rust-toolchain" | "rust-toolchain.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_are_found_in_any_directory() {
        assert!(pins("rust-toolchain"));
        assert!(pins("fuzz/rust-toolchain.toml"));
        assert!(!pins("docs/rust-toolchain.md"));
    }
}
