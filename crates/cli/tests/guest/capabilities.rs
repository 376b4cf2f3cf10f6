//! Root with one capability and no other: which of them open a process, and that none opens what
//! envward delivers to anybody who only reads.

use std::ffi::OsString;

use envward_guest::Guest;

use super::victim::Verdict::Leaked;
use super::victim::{Victim, attack_below};
use crate::scope::Scope;
use crate::stage::case::{Case, DIRECT, DIRECT_USER, FULL, FULL_USER, SUPERVISED};

/// By the names that setpriv(1) has for them.
const CAPABILITIES: [&str; 11] = [
    "",
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
const READING: [&str; 7] =
    ["environ", "environ-uring", "memory", "remote-read", "trace-peek", "descriptor-copy", "stack-samples"];

/// Routes that make code run in the program.
const INJECTING: [&str; 2] = ["trace-write", "memory-write"];

/// The capabilities with which root gets at the secret by `route`.
fn leaking(victim: &Victim, route: &str) -> Vec<&'static str> {
    let leaks = |capability: &&&str| {
        let bounding = if capability.is_empty() { "-all".to_owned() } else { format!("-all,+{capability}") };
        let words: Vec<OsString> = ["setpriv", "--bounding-set", &bounding, "--"].map(OsString::from).into();
        attack_below(&words, route, victim.pid, &victim.secret, &victim.directory) == Leaked
    };
    CAPABILITIES.iter().filter(leaks).copied().collect()
}

fn what(route: &str) -> &'static str {
    if route == "stack-samples" { "spin" } else { "hold" }
}

#[test]
fn sys_ptrace_opens_plain_programs() {
    let guest = Guest::here();
    let _scope = Scope::set(0);
    for route in READING.iter().chain(&INJECTING) {
        let leaking = leaking(&Victim::new(&DIRECT_USER, what(route)), route);
        guest.figure(&format!("plain program of a user, {route}: root with {leaking:?}"));
        if *route == "descriptor-copy" {
            assert_eq!(leaking, [""; 0], "a plain program has its secret in no file");
        } else {
            assert!(leaking.contains(&"sys_ptrace"), "{route}: {leaking:?}");
        }
        assert!(!leaking.contains(&""), "{route}: root without a capability");
    }
}

#[test]
fn no_single_capability_reads_what_envward_delivers() {
    let _scope = Scope::set(0);
    for case in [FULL_USER, FULL, SUPERVISED] {
        for route in READING {
            assert_eq!(leaking(&Victim::new(&case, what(route)), route), [""; 0], "{}: {route}", case.name);
        }
    }
}

#[test]
fn code_needs_sys_ptrace() {
    let _scope = Scope::set(0);
    let injecting = |case: &Case, route: &str| leaking(&Victim::new(case, "hold"), route);
    for route in INJECTING {
        assert_eq!(injecting(&FULL_USER, route), ["sys_ptrace"], "{route}");
        // A program of root's has all capabilities: nobody with fewer may trace it, save by this.
        assert_eq!(injecting(&DIRECT, route), ["sys_ptrace"], "{route}");
        assert_eq!(injecting(&FULL, route), ["sys_ptrace"], "{route}");
    }
}
