//! What the fuzz targets hold of every dialect, on random texts in every run of the tests: a text
//! is read or refused, an error shows no value, and what was read can be written and read again.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

use envward_secret::{Backing, Vault};
use envward_source::dialect::write::{self, WriteError};
use envward_source::{Dialect, EnvFile, SourceError};
use proptest::prelude::*;

/// Stands wherever a value is.
const MARK: &str = "s3kr1t";

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "A=", "B=", "export A=", "C: ", "=", "\"", "'", "`", "\\", "$", "${", "}", "${A}", "${A:-", "${B:?", "$(", ")",
            "#", " ", "\n", "\r\n", "\r", "\t", "\u{feff}", ":", "-", "+", "?", "\\n", "\\$", "\"\"\"\n", "'''\n", "$A", "\0",
        ]).prop_map(str::to_owned),
        3 => Just(MARK.to_owned()),
        1 => any::<char>().prop_map(String::from),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.concat())
}

/// A value that a line may have.
fn value() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            3 => "[a-z0-9]{1,4}",
            4 => prop::sample::select(vec![" ", "\"", "'", "`", "\\", "$", "${A}", "#", "\n", "\r", "\t", "=", "\\n", "$$", "é", "~"])
                .prop_map(str::to_owned),
        ],
        0..8,
    )
    .prop_map(|pieces| pieces.concat())
}

fn vault() -> Vault {
    Vault::new(Backing::Locked).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_text_is_read_or_refused(text in text()) {
        for dialect in Dialect::ALL {
            let mut vault = vault();
            let file = EnvFile::new("some.env").dialect(dialect);
            match file.load_text(text.as_bytes(), &mut vault) {
                Ok(names) => prop_assert!(names.iter().all(|(name, has)| vault.value(name).is_some() == *has)),
                Err(error @ SourceError::Syntax { .. }) => {
                    let shown = error.to_string();
                    // Names may be shown: of keys, of variables, and of those that are exported.
                    let marked = text.lines().any(|line| {
                        line.contains('$') || line.contains("export") || line.split(['=', ':']).next().unwrap_or("").contains(MARK)
                    });
                    prop_assert!(marked || !shown.contains(MARK), "{dialect}");
                    prop_assert!(shown.contains('^'));
                }
                Err(_) => {}
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again(values in prop::collection::vec(value(), 1..4)) {
        let mut all = vault();
        let names: Vec<String> = (0..values.len()).map(|index| format!("V{index}")).collect();
        for (name, value) in names.iter().zip(&values) {
            all.insert(name, "here", value.as_bytes()).unwrap();
        }
        for dialect in Dialect::ALL {
            let names = || names.iter().map(String::as_str);
            match write::file(names(), &all, dialect) {
                Ok(text) => {
                    let mut read = vault();
                    let found = EnvFile::new("").dialect(dialect).load_text(text.as_slice(), &mut read).unwrap();
                    prop_assert_eq!(found.len(), values.len());
                    for name in names() {
                        prop_assert!(all.value(name) == read.value(name), "{}", dialect);
                    }
                }
                Err(WriteError::Inexpressible { name, .. }) => {
                    // These can write everything.
                    prop_assert!(!matches!(dialect, Dialect::Dotenvy | Dialect::Shell), "{} {}", dialect, name);
                }
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }
}
