//! SECURITY.md is the index of the attack tests. `cargo xtask check` sees to it that every
//! row names tests which exist; this is the other direction: no attack goes unmentioned.

#![allow(clippy::expect_used, reason = "a test says what went wrong by ending")]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_attack_is_in_the_table() {
    let document = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let missing: Vec<String> = attacks().into_iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in SECURITY.md: {missing:#?}");
}

#[test]
fn every_attack_in_the_table_exists() {
    let document = fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let known = attacks();
    let named: Vec<&str> =
        document.split('`').skip(1).step_by(2).filter(|code| code.starts_with("attacks::")).collect();
    assert!(named.len() >= 30, "only {} tests are named", named.len());
    let unknown: Vec<&&str> = named.iter().filter(|name| !known.iter().any(|known| known == *name)).collect();
    assert!(unknown.is_empty(), "no such test: {unknown:#?}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The paths of all tests of the attack suite, as the test runner shows them.
fn attacks() -> Vec<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).expect("tests/attacks") {
        let path = entry.expect("entry").path();
        let module = path.file_stem().expect("name").to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).expect("source");
        let mut lines = source.lines().map(str::trim);
        while lines.any(|line| line == "#[test]") {
            let name = lines.find_map(|line| line.strip_prefix("fn ")?.split('(').next());
            names.push(format!("attacks::{module}::{}", name.expect("a function below #[test]")));
        }
    }
    names.sort();
    names
}
