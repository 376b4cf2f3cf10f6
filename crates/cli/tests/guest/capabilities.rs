//! Root with one capability and no other: which of them open a process, and that none opens what
//! envward delivers to somebody who only reads.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use envward_guest::Guest;

use super::victim::Verdict::{Leaked, NotFound};
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
/// has. An attack that may miss is made up to `tries` times more.
fn leaking(victim: &Victim, routes: &[&'static str], tries: u32) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut leaking: BTreeMap<&str, Vec<&str>> = routes.iter().map(|route| (*route, Vec::new())).collect();
    for capability in CAPABILITIES {
        let bounding = if capability == "none" { "-all".to_owned() } else { format!("-all,+{capability}") };
        let words: Vec<OsString> = ["setpriv", "--bounding-set", &bounding, "--"].map(OsString::from).into();
        for (route, mut verdict) in routes.iter().zip(victim.attacked_below(&words, routes)) {
            // A sample ends at the first page of the stack that is not there at that moment.
            let mut tries = if *route == "stack-samples" { tries } else { 0 };
            while verdict == NotFound && tries > 0 {
                tries -= 1;
                verdict = victim.attacked_below(&words, &[route])[0];
            }
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
    let victim = Victim::new(&DIRECT, "spin");
    // Debian's default, and the strictest that other kernels have.
    let stacks: [(u32, &[&str]); 2] = [(3, &["sys_admin"]), (2, &["sys_ptrace", "perfmon", "sys_admin"])];
    for (value, expected) in stacks {
        let _paranoid = Paranoid::set(value);
        let leaking = leaking(&victim, &["stack-samples"], 6);
        guest.figure(&format!("stacks of a plain program of root's, perf_event_paranoid={value}: {leaking:?}"));
        assert_eq!(leaking["stack-samples"], expected, "perf_event_paranoid={value}");
    }
    let others: Vec<&str> =
        READING.iter().chain(&INJECTING).copied().filter(|route| *route != "stack-samples").collect();
    let leaking = leaking(&victim, &others, 0);
    for route in others {
        // It has its secret in no file.
        let expected: &[&str] = if route == "descriptor-copy" { &[] } else { &["sys_ptrace"] };
        assert_eq!(leaking[route], expected, "{route}");
    }
}

/// `kernel.perf_event_paranoid`, until it is dropped.
struct Paranoid(String);

impl Paranoid {
    const SETTING: &str = "/proc/sys/kernel/perf_event_paranoid";

    fn set(value: u32) -> Self {
        let before = fs::read_to_string(Self::SETTING).expect("perf");
        fs::write(Self::SETTING, value.to_string()).expect("perf takes the value");
        Self(before)
    }
}

impl Drop for Paranoid {
    fn drop(&mut self) {
        let _ = fs::write(Self::SETTING, &self.0);
    }
}

#[test]
fn no_single_capability_reads_what_envward_delivers() {
    let _guest = Guest::here();
    let _scope = Scope::set(0);
    // The more open setting.
    let _paranoid = Paranoid::set(2);
    for victim in [Victim::new(&FULL, "spin"), Victim::second(&FULL, "spin")] {
        let leaking = leaking(&victim, &[&READING[..], &INJECTING].concat(), 0);
        for route in READING {
            assert_eq!(leaking[route], [""; 0], "{route}");
        }
        // Who may make code run in a program is in it: a residual risk.
        for route in INJECTING {
            assert_eq!(leaking[route], ["sys_ptrace"], "{route}");
        }
    }
}
