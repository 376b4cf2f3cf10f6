//! Root with one capability and no other: which of them open a process, and that none opens what
//! envward delivers to somebody who only reads.

use std::collections::BTreeMap;
use std::ffi::OsString;

use envward_guest::Guest;

use super::victim::Verdict::Leaked;
use super::victim::Victim;
use crate::scope::Scope;
use crate::stage::case::{DIRECT, FULL};

/// By the names that setpriv(1) has for them.
const CAPABILITIES: [&str; 11] = [
    "none",
    "sys_ptrace",
    "perfmon",
    "bpf",
    "sys_admin",
    "sys_rawio",
    "sys_nice",
    "dac_override",
    "dac_read_search",
    "checkpoint_restore",
    "syslog",
];

/// Routes that only read.
const READING: [&str; 8] = [
    "environ",
    "environ-task",
    "environ-uring",
    "memory",
    "remote-read",
    "trace-peek",
    "descriptor-copy",
    "stack-samples",
];

/// Routes that make code run in the program.
const INJECTING: [&str; 2] = ["trace-write", "memory-write"];

/// For each route the capabilities with which root gets at a secret of root's own program, which
/// has all of them: so file permissions are not in the way, and whatever opens it, the capability
/// has.
fn leaking(victim: &Victim) -> BTreeMap<&'static str, Vec<&'static str>> {
    let routes = [&READING[..], &INJECTING].concat();
    let mut leaking: BTreeMap<&str, Vec<&str>> = routes.iter().map(|route| (*route, Vec::new())).collect();
    for capability in CAPABILITIES {
        let bounding = if capability == "none" { "-all".to_owned() } else { format!("-all,+{capability}") };
        let words: Vec<OsString> = ["setpriv", "--bounding-set", &bounding, "--"].map(OsString::from).into();
        for (route, verdict) in routes.iter().zip(victim.attacked_below(&words, &routes)) {
            if verdict == Leaked {
                leaking.entry(*route).or_default().push(capability);
            }
        }
    }
    leaking
}

#[test]
fn sys_ptrace_opens_plain_programs_and_perfmon_their_stacks() {
    let guest = Guest::here();
    let _scope = Scope::set(0);
    let leaking = leaking(&Victim::new(&DIRECT, "spin"));
    for (route, capabilities) in &leaking {
        guest.figure(&format!("plain program of root's, {route}: open with {}", capabilities.join(", ")));
    }
    for route in READING.iter().chain(&INJECTING) {
        let expected: &[&str] = match *route {
            // It has its secret in no file.
            "descriptor-copy" => &[],
            "stack-samples" => &["sys_ptrace", "perfmon", "sys_admin"],
            _ => &["sys_ptrace"],
        };
        assert_eq!(leaking[route], expected, "{route}");
    }
}

#[test]
fn no_single_capability_reads_what_envward_delivers() {
    let _guest = Guest::here();
    let _scope = Scope::set(0);
    for victim in [Victim::new(&FULL, "spin"), Victim::second(&FULL, "spin")] {
        let leaking = leaking(&victim);
        for route in READING {
            assert_eq!(leaking[route], [""; 0], "{route}");
        }
        // Who may make code run in a program is in it: a residual risk.
        for route in INJECTING {
            assert_eq!(leaking[route], ["sys_ptrace"], "{route}");
        }
    }
}
