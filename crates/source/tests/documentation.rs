//! Runs every example of `docs/env-file.md`: a block `env` is a file, the block after it what
//! comes of it, `values` or the beginning of an `error`.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

use std::fs;
use std::path::Path;

use envward_secret::{Backing, Vault};
use envward_source::{EnvFile, Source};
use envward_testkit::blocks;

const PAGE: &str = include_str!("../../../docs/env-file.md");

/// What comes of a file: its variables as lines, or the error without the path before it.
fn outcome(directory: &Path, file: &str) -> Result<String, String> {
    let path = directory.join("example.env");
    fs::write(&path, file).unwrap();
    let mut vault = Vault::new(Backing::MemfdSecret).unwrap();
    if let Err(error) = EnvFile::new(&path).load(&mut vault) {
        let text = error.to_string();
        return Err(text.strip_prefix(&format!("{}:", path.display())).unwrap().to_owned());
    }
    let shown = vault.entries().map(|entry| {
        let value = String::from_utf8(vault.value(entry.name).unwrap().to_vec()).unwrap();
        format!("{} = {value:?}\n", entry.name)
    });
    Ok(shown.collect())
}

#[test]
fn every_example_is_true() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = blocks(PAGE);
    assert_eq!(blocks.len() % 2, 0, "every file needs an outcome");
    for pair in blocks.chunks(2) {
        let [file, expected] = pair else { panic!("chunks of an even number") };
        assert_eq!(file.language, "env", "line {}", file.line);
        match (expected.language, outcome(directory.path(), &file.text)) {
            ("values", Ok(shown)) => assert_eq!(shown, expected.text, "line {}", file.line),
            ("error", Err(shown)) => {
                assert!(shown.starts_with(expected.text.trim_end()), "line {}: {shown}", file.line);
            }
            (language, shown) => panic!("line {}: {language} expected: {shown:?}", file.line),
        }
    }
    assert!(blocks.len() > 30, "examples were found: {}", blocks.len());
}
