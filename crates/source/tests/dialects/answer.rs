//! What a reader makes of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use envward_secret::{Backing, Vault};
use envward_source::dotenv::Problem;
use envward_source::{Dialect, EnvFile, SourceError};
use serde_json::Value;

/// Names and values, `None` for a name without one; or that the file is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Values(BTreeMap<String, Option<String>>),
    /// The oracle's.
    Rejected,
    /// Ours, with the reason.
    Wrong(Problem),
}

impl Answer {
    /// From a JSON object, or null.
    pub(crate) fn from_json(json: &Value) -> Self {
        let Some(object) = json.as_object() else {
            return Self::Rejected;
        };
        let values = object.iter().map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)));
        Self::Values(values.collect())
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Values(ours), Self::Values(theirs)) => ours == theirs,
            (Self::Values(_), _) | (_, Self::Values(_)) => false,
            _ => true,
        }
    }

    pub(crate) fn is_rejected(&self) -> bool {
        !matches!(self, Self::Values(_))
    }

    /// Ours of a file that their implementation would never be done with.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(self, Self::Wrong(Problem::EndlessExpansion))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Values(values) => write!(f, "{values:?}"),
            Self::Rejected => f.write_str("rejected"),
            Self::Wrong(problem) => write!(f, "rejected: {problem}"),
        }
    }
}

/// Our reader. The files are no secrets.
pub(crate) struct Ours {
    dialect: Dialect,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Ours {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { dialect, path: directory.path().join("case.env"), _directory: directory }
    }

    pub(crate) fn answer(&self, text: &[u8]) -> Answer {
        std::fs::write(&self.path, text).unwrap();
        let mut vault = Vault::new(Backing::Locked).unwrap();
        match EnvFile::new(&self.path).dialect(self.dialect).load_names(&mut vault) {
            Ok(names) => {
                let value = |name: &str| vault.value(name).map(|value| String::from_utf8(value.to_vec()).unwrap());
                Answer::Values(names.into_iter().map(|(name, _)| (name.clone(), value(&name))).collect())
            }
            Err(SourceError::Syntax { source, .. }) => Answer::Wrong(source.problem().clone()),
            Err(error) => panic!("{error}"),
        }
    }
}
