//! Which of our packages may use which: the arrows of ARCHITECTURE.md. A package that is not
//! in the table may use none, so that a new room is thought about once.

use crate::Finding;
use crate::metadata::{Kind, Workspace};

/// A package, what it may use of ours, and whether it is one that holds unsafe code, which
/// uses nothing foreign but `libc`.
struct Room {
    name: &'static str,
    uses: &'static [&'static str],
    is_unsafe: bool,
}

const ROOMS: &[Room] = &[
    Room { name: "envward-kernel", uses: &[], is_unsafe: true },
    Room { name: "envward-secret", uses: &["envward-kernel"], is_unsafe: true },
    Room { name: "envward-launch", uses: &["envward-kernel", "envward-secret"], is_unsafe: false },
    Room { name: "envward-redact", uses: &["envward-secret"], is_unsafe: false },
    Room { name: "envward-policy", uses: &[], is_unsafe: false },
    Room { name: "envward-source", uses: &["envward-kernel", "envward-secret", "envward-policy"], is_unsafe: false },
    Room { name: "envward-detect", uses: &[], is_unsafe: false },
    Room { name: "envward-store", uses: &["envward-kernel"], is_unsafe: false },
    Room { name: "envward-table", uses: &[], is_unsafe: true },
    Room { name: "envward-environ", uses: &["envward-kernel", "envward-table"], is_unsafe: true },
    Room { name: "envward-preload", uses: &["envward-environ", "envward-table"], is_unsafe: true },
    Room { name: "envward-attack", uses: &["envward-kernel"], is_unsafe: false },
    Room { name: "envward-agent", uses: &["envward-attack", "envward-kernel"], is_unsafe: false },
    Room { name: "envward-testkit", uses: &[], is_unsafe: false },
    Room {
        name: "envward",
        uses: &[
            "envward-kernel",
            "envward-secret",
            "envward-launch",
            "envward-policy",
            "envward-source",
            "envward-redact",
            "envward-store",
            "envward-attack",
            "envward-detect",
        ],
        is_unsafe: false,
    },
    Room { name: "envward-guest", uses: &["envward-kernel"], is_unsafe: false },
    Room { name: "xtask", uses: &["envward-guest"], is_unsafe: false },
];

/// What only tests may use.
const FOR_TESTS: &[&str] = &["envward-testkit", "envward-attack", "envward-guest"];

/// Dependencies that stand in no arrow.
pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in workspace.members() {
        let name = package.name.as_str();
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            findings.push(format!("{name}: not in the table of xtask/src/arrows.rs"));
            continue;
        };
        for dependency in workspace.dependencies(package, Kind::Normal) {
            let used = dependency.name.as_str();
            if workspace.is_member(dependency) {
                if !room.uses.contains(&used) {
                    findings.push(format!("{name} must not use {used}"));
                }
            } else if room.is_unsafe && used != "libc" {
                findings.push(format!("{name} holds unsafe code and must use libc only, not {used}"));
            }
        }
        for dependency in workspace.dependencies(package, Kind::Development) {
            let used = dependency.name.as_str();
            if workspace.is_member(dependency) && !room.uses.contains(&used) && !FOR_TESTS.contains(&used) {
                findings.push(format!("the tests of {name} must not use {used}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::workspace;

    const OURS: &[&str] = &["envward-kernel", "envward-secret", "envward-launch", "envward", "envward-testkit"];

    #[test]
    fn arrows_of_the_table_pass() {
        let good = workspace(
            OURS,
            &[
                "envward-kernel -> libc",
                "envward-secret -> envward-kernel",
                "envward-launch -> envward-secret",
                "envward-launch -> thiserror",
                "envward -> envward-launch",
                "envward -dev> envward-testkit",
                "envward-secret -dev> proptest",
            ],
        );
        assert_eq!(check(&good), [""; 0]);
    }

    #[test]
    fn every_other_arrow_is_found() {
        for (arrow, finding) in [
            ("envward-kernel -> envward-secret", "envward-kernel must not use envward-secret"),
            ("envward-launch -> envward", "envward-launch must not use envward"),
            ("envward-launch -> envward-testkit", "envward-launch must not use envward-testkit"),
            ("envward-secret -dev> envward", "the tests of envward-secret must not use envward"),
            ("envward-secret -> thiserror", "envward-secret holds unsafe code and must use libc only, not thiserror"),
        ] {
            assert_eq!(check(&workspace(OURS, &[arrow])), [finding]);
        }
        assert_eq!(check(&workspace(&["new"], &[])), ["new: not in the table of xtask/src/arrows.rs"]);
    }
}
