//! Yama's restrictions of ptrace: what they close, and what they do to envward itself.

use envward_guest::Guest;

use super::racer;
use super::victim::Attacker::{OtherUser, Root, SameUser};
use super::victim::Verdict::{Denied, Leaked, NotFound};
use super::victim::{Verdict, Victim};
use crate::scope::{Compared, Scope};
use crate::stage::case::{ALL, DIRECT_USER, FULL, FULL_USER, SEALED, SUPERVISED};

/// Routes that ask for leave to trace, and what they find in a supervised program without Yama.
const TRACING: [&str; 6] = ["memory", "remote-read", "trace-peek", "descriptor-copy", "trace-write", "memory-write"];
const WITHOUT_YAMA: [Verdict; 6] = [NotFound, NotFound, NotFound, NotFound, Leaked, Leaked];

/// Starts in which a racer has its chance.
const STARTS: usize = 12;

#[test]
fn scopes_0_and_1_leave_every_mode_to_its_work() {
    for value in [0, 1] {
        let _scope = Scope::set(value);
        for case in ALL {
            Compared::new(&case, &[]).expect_delivery(&case);
        }
    }
}

#[test]
fn scope_1_closes_the_supervised_mode_to_its_own_user() {
    for (value, own) in [(0, WITHOUT_YAMA), (1, [Denied; 6])] {
        let _scope = Scope::set(value);
        for victim in [Victim::new(&SUPERVISED, "hold"), Victim::second(&SUPERVISED, "hold")] {
            assert_eq!(victim.attacked_by_each(&TRACING, SameUser), own, "scope {value}");
            assert_eq!(victim.attacked_by_each(&TRACING, OtherUser), [Denied; 6], "scope {value}");
            // Root is not kept out by Yama.
            assert_eq!(victim.attacked_by_each(&TRACING, Root), WITHOUT_YAMA, "scope {value}: by root");
        }
    }
}

#[test]
fn scope_1_does_not_close_environ() {
    // Yama restricts attaching, not reading: without envward the block stays open.
    let _scope = Scope::set(1);
    let plain = Victim::new(&DIRECT_USER, "hold");
    assert_eq!(plain.attacked("environ", SameUser), Leaked);
    assert_eq!(plain.attacked("memory", SameUser), Denied);
    let protected = Victim::new(&SUPERVISED, "hold");
    assert_eq!(protected.attacked("environ", SameUser), NotFound);
}

#[test]
fn scope_1_closes_the_window_at_exec() {
    let guest = Guest::here();
    {
        let _scope = Scope::set(0);
        let (caught, opened) = racer::caught(STARTS, &DIRECT_USER, "hold");
        guest.figure(&format!("scope 0: racer caught {caught} of {STARTS} plain programs, {opened} opens"));
        assert!(caught > 0, "the racer catches nothing without Yama either");
    }
    let _scope = Scope::set(1);
    for case in [DIRECT_USER, SUPERVISED] {
        // What it does open is its own memory.
        let (caught, _) = racer::caught(STARTS, &case, "hold");
        guest.figure(&format!("scope 1: racer caught {caught} of {STARTS}: {}", case.name));
        assert_eq!(caught, 0, "{}", case.name);
    }
}

#[test]
fn scope_1_closes_the_window_of_later_programs_and_the_supervisor() {
    let _scope = Scope::set(1);
    let mut race = racer::Race::begin(None);
    for case in [SUPERVISED, FULL_USER] {
        for _ in 0..STARTS {
            let victim = Victim::second(&case, "hold");
            assert!(!race.holds(victim.pid, &victim.address), "{}: a later program was caught", case.name);
            victim.end();
        }
    }
    race.end();
    for case in [SUPERVISED, SEALED] {
        assert_eq!(racer::supervisors_caught(STARTS, &case), 0, "{}: of its supervisors", case.name);
    }
}

#[test]
fn scope_1_keeps_a_sealed_first_program_unchanged() {
    let _scope = Scope::set(1);
    assert_eq!(racer::changed(STARTS, &SEALED, "hold"), 0, "of {STARTS}");
}

#[test]
fn scope_2_needs_the_capability() {
    let _scope = Scope::set(2);
    for case in [FULL, FULL_USER] {
        Compared::new(&case, &[]).expect_delivery(&case);
    }
    for case in [SUPERVISED, SEALED] {
        let compared = Compared::new(&case, &[]);
        compared.expect_refusal(&case, &["cannot be traced", "CAP_SYS_PTRACE", "kernel.yama.ptrace_scope=2"]);
    }
    let victim = Victim::new(&FULL_USER, "hold");
    assert_eq!(victim.attacked_by_each(&["environ", "memory"], SameUser), [Denied, Denied]);
    assert_eq!(victim.attacked_by_each(&["environ", "memory"], Root), [NotFound, NotFound]);
}
