//! Who decides about the execs of a process: whoever holds the other end of its seccomp
//! filter. A child is started by its supervisor, so that is an ancestor; only for a process
//! that has outlived the program it may be another.

use super::facts::{Fact, Seccomp, Supervisor};
use super::process::{self, Process};
use super::text::is_notifier;

const CAP_SYS_PTRACE: u32 = 19;

/// The supervisor of `target`, if it has one.
pub(crate) fn find(target: &Process) -> Fact<Option<Supervisor>> {
    match target.status().seccomp() {
        // Without a filter nobody is asked.
        Some(Seccomp::None) => return Fact::Value(None),
        Some(Seccomp::Strict | Seccomp::Filter) => {}
        None => return Fact::unknown("this kernel does not tell"),
    }
    let mut hidden = Vec::new();
    let mut seen = vec![target.pid];
    let mut parent = target.status().parent();
    while let Some(pid) = parent.filter(|pid| *pid > 0 && !seen.contains(pid)) {
        seen.push(pid);
        let Ok(ancestor) = Process::open(pid) else { break };
        match ancestor.descriptors(is_notifier) {
            Fact::Value(found) if !found.is_empty() => return Fact::Value(Some(describe(&ancestor))),
            Fact::Value(_) => {}
            Fact::Unknown(_) => hidden.push(called(&ancestor)),
        }
        parent = ancestor.status().parent();
    }
    if !hidden.is_empty() {
        return Fact::unknown(format!("ancestors that may not be looked into: {}: run as root", hidden.join(", ")));
    }
    match elsewhere(&seen) {
        Some(others) if others.is_empty() => Fact::Value(None),
        Some(others) => Fact::unknown(format!(
            "no ancestor supervises it; it may be one of those that supervise something: {}",
            others.join(", ")
        )),
        None => Fact::unknown("no ancestor supervises it, and not all other processes may be looked into: run as root"),
    }
}

fn describe(process: &Process) -> Supervisor {
    Supervisor {
        pid: process.pid,
        name: process.name(),
        uid: process.uid(),
        has_cap_sys_ptrace: process.status().effective().is_some_and(|set| set >> CAP_SYS_PTRACE & 1 == 1),
    }
}

fn called(process: &Process) -> String {
    format!("{} ({})", process.pid, process.name().escape_debug())
}

/// All other processes that hold the supervising end of a filter; nothing when some cannot be
/// looked into.
fn elsewhere(seen: &[i32]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for pid in process::all().ok()?.into_iter().filter(|pid| !seen.contains(pid)) {
        // What has ended supervises nothing.
        let Ok(other) = Process::open(pid) else { continue };
        match other.descriptors(is_notifier) {
            Fact::Value(numbers) if numbers.is_empty() => {}
            Fact::Value(_) => found.push(called(&other)),
            Fact::Unknown(_) if Process::open(pid).is_err() || other.status().has_ended() => {}
            Fact::Unknown(_) => return None,
        }
    }
    Some(found)
}
