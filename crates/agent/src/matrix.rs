//! What our recipes use of MITRE ATT&CK: `attack.toml`, with the version of the matrix.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The part of a matrix that recipes refer to.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The version of the matrix.
    pub version: String,
    /// The day on which its major version was released.
    pub released: String,
    /// The day on which the table was compared with it.
    pub checked: String,
    /// Names of tactics by id.
    tactics: BTreeMap<String, String>,
    /// Techniques and sub-techniques by id.
    techniques: BTreeMap<String, Technique>,
}

/// A technique or sub-technique.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Technique {
    /// Its name; that of a sub-technique is without the technique's.
    pub name: String,
    /// Ids of the tactics that it serves.
    pub tactics: Vec<String>,
}

static MATRIX: LazyLock<Matrix> = LazyLock::new(|| toml::from_str(include_str!("../attack.toml")).unwrap_or_default());

/// The table.
#[must_use]
pub fn matrix() -> &'static Matrix {
    &MATRIX
}

impl Matrix {
    /// The name of a tactic.
    #[must_use]
    pub fn tactic(&self, id: &str) -> Option<&str> {
        self.tactics.get(id).map(String::as_str)
    }

    /// A technique by its id.
    #[must_use]
    pub fn technique(&self, id: &str) -> Option<&Technique> {
        self.techniques.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Book;

    #[test]
    fn every_id_of_our_recipes_is_in_the_matrix_and_serves_its_tactic() {
        let table: Matrix = toml::from_str(include_str!("../attack.toml")).unwrap();
        let mut used = Vec::new();
        for recipe in Book::own().unwrap().iter() {
            let id = &recipe.id;
            assert_eq!(table.tactic(&recipe.tactic.id), Some(recipe.tactic.name.as_str()), "{id}");
            let own = recipe.techniques.iter().map(|technique| (&recipe.tactic.id, technique));
            let related = recipe.related.iter().map(|related| (&related.tactic, &related.technique));
            for (tactic, technique) in own.chain(related) {
                let known =
                    table.technique(technique).unwrap_or_else(|| panic!("{id}: {technique} is not in the table"));
                assert!(known.tactics.contains(tactic), "{id}: {technique} does not serve {tactic}");
                used.push(technique.split('.').next().unwrap().to_owned());
                used.push(technique.clone());
            }
        }
        for (technique, known) in &table.techniques {
            assert!(used.contains(technique), "{technique} is in the table and no recipe uses it");
            assert!(known.tactics.iter().all(|tactic| table.tactic(tactic).is_some()), "{technique}");
        }
    }

    #[test]
    fn the_table_is_the_one_that_is_built_in() {
        assert_eq!((matrix().version.as_str(), matrix().released.as_str()), ("19.1", "2026-04-28"));
        assert_eq!(matrix().technique("T1003.007").unwrap().name, "Proc Filesystem");
        assert!(matrix().technique("T1562.001").is_none(), "revoked in 19");
    }
}
