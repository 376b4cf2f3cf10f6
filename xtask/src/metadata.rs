//! What cargo knows of our packages and of those that they use.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use crate::Trouble;
use crate::repository::Repository;

/// `cargo metadata`, as much of it as the checks need.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

/// A package, ours or somebody's.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// Where it comes from; nothing for our own.
    pub(crate) source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// What a dependency is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The package itself.
    Normal,
    /// Its tests.
    Development,
}

impl DependencyKind {
    fn is(&self, kind: Kind) -> bool {
        match (kind, self.kind.as_deref()) {
            // What a build script does ends up in the package.
            (Kind::Normal, None | Some("build")) | (Kind::Development, Some("dev")) => true,
            _ => false,
        }
    }
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load(repository: &Repository) -> Result<Self, Trouble> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
            .current_dir(repository.root())
            .output()
            .map_err(|error| Trouble::new("cargo metadata", error))?;
        if !output.status.success() {
            return Err(Trouble::new("cargo metadata", String::from_utf8_lossy(&output.stderr).trim()));
        }
        Self::parse(&output.stdout)
    }

    fn parse(json: &[u8]) -> Result<Self, Trouble> {
        serde_json::from_slice(json).map_err(|error| Trouble::new("cargo metadata", error))
    }

    /// All packages.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter()
    }

    /// Our own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.is_member(package))
    }

    /// Whether a package is ours.
    pub(crate) fn is_member(&self, package: &Package) -> bool {
        self.workspace_members.contains(&package.id)
    }

    /// What `package` depends on directly, by name.
    pub(crate) fn dependencies(&self, package: &Package, kind: Kind) -> Vec<&Package> {
        let Some(node) = self.resolve.nodes.iter().find(|node| node.id == package.id) else { return Vec::new() };
        node.deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|found| found.is(kind)))
            .filter_map(|dependency| self.packages.iter().find(|package| package.id == dependency.pkg))
            .collect()
    }

    /// Everything that ends up in `package`, each with the package that wants it.
    pub(crate) fn closure<'a>(&'a self, package: &'a Package) -> BTreeMap<&'a str, &'a str> {
        let mut found = BTreeMap::new();
        let mut open = vec![package];
        while let Some(wanting) = open.pop() {
            for dependency in self.dependencies(wanting, Kind::Normal) {
                if found.insert(dependency.name.as_str(), wanting.name.as_str()).is_none() {
                    open.push(dependency);
                }
            }
        }
        found
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A workspace of `ours`, with dependencies written as `from -> to` or `from -dev> to`.
    pub(crate) fn workspace(ours: &[&str], dependencies: &[&str]) -> Workspace {
        let edges: Vec<(&str, &str, Option<&str>)> = dependencies
            .iter()
            .map(|text| match text.split_once(" -> ") {
                Some((from, to)) => (from, to, None),
                None => text.split_once(" -dev> ").map(|(from, to)| (from, to, Some("dev"))).unwrap(),
            })
            .collect();
        let names: BTreeSet<&str> =
            ours.iter().copied().chain(edges.iter().flat_map(|(from, to, _)| [*from, *to])).collect();
        let packages: Vec<_> = names
            .iter()
            .map(|name| {
                let source = if ours.contains(name) {
                    None
                } else {
                    Some("registry+https://github.com/rust-lang/crates.io-index")
                };
                serde_json::json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": source})
            })
            .collect();
        let nodes: Vec<_> = names
            .iter()
            .map(|name| {
                let deps: Vec<_> = edges
                    .iter()
                    .filter(|(from, ..)| from == name)
                    .map(|(_, to, kind)| serde_json::json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                serde_json::json!({"id": name, "deps": deps})
            })
            .collect();
        let json = serde_json::json!({"packages": packages, "workspace_members": ours, "resolve": {"nodes": nodes}})
            .to_string();
        Workspace::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_closure_follows_normal_dependencies_only() {
        let workspace = workspace(&["a"], &["a -> b", "b -> c", "a -dev> d"]);
        let package = workspace.members().next().unwrap();
        let found = workspace.closure(package);
        assert_eq!(found, BTreeMap::from([("b", "a"), ("c", "b")]));
    }
}
