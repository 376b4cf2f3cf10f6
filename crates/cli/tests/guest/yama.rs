//! Yama's restrictions of ptrace: what they close, and what they do to envward itself.

use envward_guest::Guest;

use super::racer;
use super::victim::Attacker::{OtherUser, Root, SameUser};
use super::victim::Verdict::{Denied, Leaked, NotFound};
use super::victim::Victim;
use crate::scope::{Compared, Scope};
use crate::stage::case::{ALL, Case, DIRECT_USER, FULL, FULL_USER, SEALED, SUPERVISED};

/// Routes that ask for leave to trace, and what they find in a supervised program without Yama.
const TRACING: [(&str, super::victim::Verdict); 6] = [
    ("memory", NotFound),
    ("remote-read", NotFound),
    ("trace-peek", NotFound),
    ("descriptor-copy", NotFound),
    ("trace-write", Leaked),
    ("memory-write", Leaked),
];

/// Starts in which a racer has its chance.
const STARTS: usize = 40;

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
    for (value, is_open) in [(0, true), (1, false)] {
        let _scope = Scope::set(value);
        for victim in [Victim::new(&SUPERVISED, "hold"), Victim::second(&SUPERVISED, "hold")] {
            for (route, without_yama) in TRACING {
                let own = if is_open { without_yama } else { Denied };
                assert_eq!(victim.attacked(route, SameUser), own, "scope {value}: {route}");
                assert_eq!(victim.attacked(route, OtherUser), Denied, "scope {value}: {route}");
                // Root is not kept out by Yama.
                assert_eq!(victim.attacked(route, Root), without_yama, "scope {value}: {route} by root");
            }
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
    for case in [DIRECT_USER, SUPERVISED, SEALED, FULL_USER] {
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
        for _ in 0..STARTS / 2 {
            let victim = Victim::second(&case, "hold");
            assert!(!race.holds(victim.pid, &victim.address), "{}: a later program was caught", case.name);
            victim.end();
        }
    }
    race.end();
    for case in [SUPERVISED, SEALED] {
        assert_eq!(racer::supervisors_caught(STARTS / 2, &case), 0, "{}: of its supervisors", case.name);
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
    let verdicts = |case: &Case, route| (case.name, victim.attacked(route, SameUser), victim.attacked(route, Root));
    assert_eq!(verdicts(&FULL_USER, "environ"), (FULL_USER.name, Denied, NotFound));
    assert_eq!(verdicts(&FULL_USER, "memory"), (FULL_USER.name, Denied, NotFound));
}
