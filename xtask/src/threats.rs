//! The threat table of SECURITY.md as an index of tests: every row of a table with a column
//! `Test` names at least one test that exists, as `` `path/to/file.rs::name` `` or by its
//! name alone. A row that says `residual` in that column claims nothing.

use crate::repository::Repository;
use crate::{Finding, Trouble};

const DOCUMENT: &str = "SECURITY.md";

/// Rows without a test, and tests that do not exist.
pub(crate) fn check(repository: &Repository) -> Result<Vec<Finding>, Trouble> {
    if !repository.has(DOCUMENT) {
        return Ok(vec![format!("{DOCUMENT}: not there")]);
    }
    let mut tests = Vec::new();
    for file in repository.with_extension("rs") {
        tests.extend(tests_in(&repository.read(file)?).into_iter().map(|name| (file.to_owned(), name)));
    }
    Ok(judge(&repository.read(DOCUMENT)?, &tests))
}

fn judge(document: &str, tests: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut column = None;
    let mut rows = 0;
    for (index, line) in document.lines().enumerate() {
        let Some(cells) = cells(line) else {
            column = None;
            continue;
        };
        let Some(column) = column else {
            column = Some(cells.iter().position(|cell| matches!(*cell, "Test" | "Tests" | "test" | "tests")));
            continue;
        };
        let Some(cell) = column.and_then(|column| cells.get(column)) else { continue };
        if cell.chars().all(|c| matches!(c, '-' | ':')) && !cell.is_empty() {
            continue;
        }
        rows += 1;
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if named.is_empty() && !cell.contains("residual") {
            findings.push(format!("{DOCUMENT}:{}: a row that names no test", index + 1));
        }
        for name in named {
            if !exists(name, tests) {
                findings.push(format!("{DOCUMENT}:{}: no such test: {name}", index + 1));
            }
        }
    }
    if rows == 0 {
        findings.push(format!("{DOCUMENT}: no table has a column `Test`"));
    }
    findings
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(str::trim).collect())
}

fn exists(named: &str, tests: &[(String, String)]) -> bool {
    let (place, name) = named.rsplit_once("::").map_or((None, named), |(place, name)| (Some(place), name));
    tests.iter().any(|(file, test)| {
        test == name
            && place.is_none_or(|place| {
                let place = place.trim_start_matches("./");
                if place.ends_with(".rs") {
                    file.ends_with(place)
                } else {
                    // A module path: its parts stand in the file's path, in order.
                    let mut parts = file.split(['/', '.']);
                    place.split("::").all(|part| parts.any(|found| found == part || found.replace('-', "_") == part))
                }
            })
    })
}

/// The names of the test functions of a file.
fn tests_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
            names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            is_test = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") && !line.is_empty() {
            is_test = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<(String, String)> {
        vec![("crates/cli/tests/attacks/memory.rs".to_owned(), "mem_is_unreadable".to_owned())]
    }

    #[test]
    fn tests_are_known_by_their_attribute() {
        let text = "#[test]\n#[ignore = \"x\"]\nfn one() {}\nfn two() {}\n    #[test]\n    fn three() {}\n";
        assert_eq!(tests_in(text), ["one", "three"]);
    }

    #[test]
    fn rows_with_tests_and_residual_rows_pass() {
        let document = "| Route | Test |\n| --- | --- |\n| mem | `attacks::memory::mem_is_unreadable` |\n\
                        | mem | `crates/cli/tests/attacks/memory.rs::mem_is_unreadable` |\n| kdump | residual |\n\n\
                        | Other | table |\n| --- | --- |\n| a | b |\n";
        assert_eq!(judge(document, &known()), [""; 0]);
    }

    #[test]
    fn rows_without_tests_or_with_unknown_ones_are_found() {
        let document = "| Route | Test |\n| --- | --- |\n| mem | yes |\n| mem | `mem_is_readable` |\n\
                        | mem | `other::mem_is_unreadable` |\n";
        assert_eq!(
            judge(document, &known()),
            [
                "SECURITY.md:3: a row that names no test",
                "SECURITY.md:4: no such test: mem_is_readable",
                "SECURITY.md:5: no such test: other::mem_is_unreadable",
            ]
        );
        assert_eq!(judge("no table", &known()), ["SECURITY.md: no table has a column `Test`"]);
    }
}
