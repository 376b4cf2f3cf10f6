//! What SECURITY.md promises, route by route.

#![allow(dead_code, reason = "several test binaries share it and none uses all of it")]

use super::victim::Verdict;
use super::victim::Verdict::{Denied, Leaked, NotFound};

/// The verdicts for the same user, another user and root.
pub(super) type Row = [Verdict; 3];

/// What is promised for a route. The victims are an ordinary user's, except for the last
/// two: those are root's, where there is no other attacker of the same user than root.
#[derive(Clone, Copy)]
pub(super) struct Promise {
    pub(super) plain: Row,
    pub(super) supervised: Row,
    pub(super) sealed: Row,
    pub(super) full: Row,
    pub(super) plain_root: [Verdict; 2],
    pub(super) full_root: [Verdict; 2],
}

/// Reading from outside: open to the own user and root where the memory is a plain one.
const READING: Promise = Promise {
    plain: [Leaked, Denied, Leaked],
    supervised: [NotFound, Denied, NotFound],
    sealed: [Denied, Denied, NotFound],
    full: [Denied, Denied, NotFound],
    plain_root: [Denied, Leaked],
    full_root: [Denied, NotFound],
};

/// Routes that only root can go.
const READING_BY_ROOT: Promise =
    Promise { plain: [Denied, Denied, Leaked], supervised: [Denied, Denied, NotFound], ..READING };

/// Code made to run in the victim reads whatever the victim reads.
const INJECTING: Promise = Promise {
    plain: [Leaked, Denied, Leaked],
    supervised: [Leaked, Denied, Leaked],
    sealed: [Denied, Denied, Leaked],
    full: [Denied, Denied, Leaked],
    plain_root: [Denied, Leaked],
    full_root: [Denied, Leaked],
};

/// Everybody may read the command line.
const SHOWN: Promise = Promise {
    plain: [Leaked; 3],
    supervised: [NotFound; 3],
    sealed: [NotFound; 3],
    full: [NotFound; 3],
    plain_root: [Leaked; 2],
    full_root: [NotFound; 2],
};

/// A plain process has its secret in no file.
const IN_FILES: Promise = Promise { plain: [NotFound, Denied, NotFound], plain_root: [Denied, NotFound], ..READING };

/// The routes that [`promise`] knows. The other two need a debugger, or leave a dead victim.
pub(super) const ROUTES: [&str; 24] = [
    "environ",
    "environ-task",
    "environ-directory",
    "environ-thread-self",
    "environ-mount",
    "environ-detached",
    "environ-uring",
    "environ-bound-file",
    "environ-bound-procfs",
    "environ-symlink",
    "environ-openat2",
    "environ-reopen",
    "environ-compat",
    "memory",
    "memory-task",
    "memory-write",
    "remote-read",
    "trace-peek",
    "trace-write",
    "descriptor-copy",
    "descriptor-reopen",
    "map-files",
    "stack-samples",
    "command-line",
];

/// What the victim has to do for `route` to be open.
pub(super) fn activity(route: &str) -> &'static str {
    match route {
        "stack-samples" => "spin",
        "command-line" => "title",
        _ => "hold",
    }
}

/// What is promised for `route`.
pub(super) fn promise(route: &str) -> Promise {
    match route {
        "environ-mount" | "environ-detached" | "environ-bound-file" | "environ-bound-procfs" => READING_BY_ROOT,
        "trace-write" | "memory-write" => INJECTING,
        "descriptor-copy" | "descriptor-reopen" => IN_FILES,
        "map-files" => Promise { plain: [Denied, Denied, NotFound], plain_root: [Denied, NotFound], ..READING_BY_ROOT },
        // From 3 on, which Debian's kernels know, ordinary users are kept out of it altogether.
        "stack-samples" if perf_event_paranoid() > 2 => {
            Promise { plain: [Denied, Denied, Leaked], supervised: [Denied, Denied, NotFound], ..READING }
        }
        "command-line" => SHOWN,
        _ => READING,
    }
}

fn perf_event_paranoid() -> i32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").expect("perf");
    text.trim().parse().expect("number")
}
