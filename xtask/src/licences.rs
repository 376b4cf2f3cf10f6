//! What `cargo deny check bans licenses sources` would say of `deny.toml`, for machines that
//! do not have it: licences, banned packages, and where packages come from.

use serde::Deserialize;

use crate::metadata::{Package, Workspace};
use crate::repository::Repository;
use crate::{Finding, Trouble};

/// `deny.toml`, as much of it as is checked here.
#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
    allow_git: Vec<String>,
}

/// Packages that the rules do not allow.
pub(crate) fn check(repository: &Repository, workspace: &Workspace) -> Result<Vec<Finding>, Trouble> {
    judge(&repository.read("deny.toml")?, workspace)
}

fn judge(rules: &str, workspace: &Workspace) -> Result<Vec<Finding>, Trouble> {
    let rules: Rules = toml::from_str(rules).map_err(|error| Trouble::new("deny.toml", error))?;
    Ok(workspace.packages().flat_map(|package| rules.objections(package)).collect())
}

impl Rules {
    fn objections(&self, package: &Package) -> Vec<Finding> {
        let who = format!("{} {}", package.name, package.version);
        let mut findings = Vec::new();
        match package.license.as_deref() {
            None => findings.push(format!("{who}: no licence")),
            Some(text) => match Expression::new(text, &self.licenses.allow).judge() {
                Some(true) => {}
                Some(false) => findings.push(format!("{who}: the licence {text} is not allowed")),
                None => findings.push(format!("{who}: cannot read the licence {text}")),
            },
        }
        if self.bans.deny.iter().any(|ban| ban.name == package.name) {
            findings.push(format!("{who}: banned"));
        }
        if let Some(source) = package.source.as_deref() {
            let address = source.split_once('+').map_or(source, |(_, address)| address);
            let allowed = self.sources.allow_registry.iter().any(|registry| address == registry)
                || self.sources.allow_git.iter().any(|place| address.starts_with(place.as_str()));
            if !allowed {
                findings.push(format!("{who}: comes from {source}"));
            }
        }
        findings
    }
}

/// A licence expression (SPDX), read from left to right.
struct Expression<'a> {
    words: Vec<String>,
    at: usize,
    allowed: &'a [String],
}

impl<'a> Expression<'a> {
    fn new(text: &str, allowed: &'a [String]) -> Self {
        // `MIT/Apache-2.0` is the old way to write `OR`.
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        Self { words: spaced.split_whitespace().map(str::to_owned).collect(), at: 0, allowed }
    }

    /// Whether the allowed licences satisfy it; nothing if it cannot be read.
    fn judge(mut self) -> Option<bool> {
        let satisfied = self.any()?;
        (self.at == self.words.len()).then_some(satisfied)
    }

    fn any(&mut self) -> Option<bool> {
        let mut satisfied = self.all()?;
        while self.take("OR") {
            satisfied |= self.all()?;
        }
        Some(satisfied)
    }

    fn all(&mut self) -> Option<bool> {
        let mut satisfied = self.one()?;
        while self.take("AND") {
            satisfied &= self.one()?;
        }
        Some(satisfied)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let satisfied = self.any()?;
            return self.take(")").then_some(satisfied);
        }
        let mut name = self.next()?;
        if self.take("WITH") {
            name = format!("{name} WITH {}", self.next()?);
        }
        Some(self.allowed.contains(&name))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at).filter(|word| !matches!(word.as_str(), "(" | ")" | "OR" | "AND" | "WITH"));
        self.at += 1;
        word.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::workspace;

    const RULES: &str = "[licenses]\nallow = [\"MIT\", \"Unicode-3.0\"]\n[bans]\ndeny = [{ crate = \"bad\" }]\n\
                         [sources]\nallow-registry = [\"https://github.com/rust-lang/crates.io-index\"]\nallow-git = []\n";

    fn satisfied(text: &str) -> Option<bool> {
        let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        Expression::new(text, &allowed).judge()
    }

    #[test]
    fn expressions_are_judged() {
        for (text, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT/Apache-2.0", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", Some(true)),
            ("MIT OR Apache-2.0 AND Unicode-3.0", Some(true)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("Apache-2.0", Some(false)),
            ("(MIT", None),
            ("MIT MIT", None),
            ("", None),
        ] {
            assert_eq!(satisfied(text), expected, "{text}");
        }
    }

    #[test]
    fn banned_packages_are_found() {
        let findings = judge(RULES, &workspace(&["a"], &["a -> good", "good -> bad"])).unwrap();
        assert_eq!(findings, ["bad 1.0.0: banned"]);
    }

    #[test]
    fn other_licences_and_sources_are_found() {
        let rules = RULES.replace("\"MIT\"", "\"BSD-3-Clause\"").replace("crates.io-index", "elsewhere");
        let findings = judge(&rules, &workspace(&[], &["a -> b"])).unwrap();
        assert_eq!(findings.len(), 4, "{findings:?}");
        assert_eq!(findings[0], "a 1.0.0: the licence MIT is not allowed");
        assert!(findings[1].starts_with("a 1.0.0: comes from registry+"), "{findings:?}");
    }
}
