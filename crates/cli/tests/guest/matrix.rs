//! The whole table of SECURITY.md on this kernel: every route, by everybody, on a plain program
//! and in each mode, on the first program and on one that it has started.

use envward_attack::Route;
use envward_guest::Guest;

use super::promise::{ROUTES, Row, activity, promise};
use super::victim::{Attacker, Verdict, Victim};
use crate::scope::Scope;
use crate::stage::case::{Case, DIRECT, DIRECT_USER, FULL, FULL_USER, SEALED, SUPERVISED};

/// What is wrong with what attackers find out in `victim`, and how many verdicts there were.
fn compare(case: &Case, victim: &Victim, routes: &[&str], row: fn(&str) -> Vec<Verdict>) -> (Vec<String>, usize) {
    let (mut wrong, mut count) = (Vec::new(), 0);
    // Without the same user, a row has two: those of another user and of root.
    let attackers = &Attacker::ALL[Attacker::ALL.len() - row(routes[0]).len()..];
    for (at, attacker) in attackers.iter().enumerate() {
        for (route, mut seen) in routes.iter().zip(victim.attacked_by_each(routes, *attacker)) {
            count += 1;
            let expected = row(route)[at];
            // A sample ends at the first page of the stack that is not there at that moment.
            let mut tries = if *route == "stack-samples" && expected == Verdict::Leaked { 4 } else { 0 };
            while seen == Verdict::NotFound && tries > 0 {
                tries -= 1;
                seen = victim.attacked(route, *attacker);
            }
            if seen != expected {
                wrong.push(format!("{}: {route} by {attacker:?}: {seen:?}, not {expected:?}", case.name));
            }
        }
    }
    (wrong, count)
}

fn three(row: Row) -> Vec<Verdict> {
    row.to_vec()
}

/// A case, and which column of the table is its own.
type Column = (Case, fn(&str) -> Vec<Verdict>);

const FIRST: [Column; 6] = [
    (DIRECT_USER, |route| three(promise(route).plain)),
    (SUPERVISED, |route| three(promise(route).supervised)),
    (SEALED, |route| three(promise(route).sealed)),
    (FULL_USER, |route| three(promise(route).full)),
    (DIRECT, |route| promise(route).plain_root.to_vec()),
    (FULL, |route| promise(route).full_root.to_vec()),
];

const LATER: [Column; 3] = [
    (DIRECT_USER, |route| three(promise(route).plain)),
    (SUPERVISED, |route| three(promise(route).supervised)),
    (FULL_USER, |route| three(promise(route).full)),
];

fn judge(name: &str, columns: &[Column], start: fn(&Case, &str) -> Victim) {
    let guest = Guest::here();
    let _scope = Scope::set(0);
    // A program that computes is open to whatever one that waits is open to.
    let (titled, others): (Vec<&str>, Vec<&str>) = ROUTES.into_iter().partition(|route| activity(route) == "title");
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (case, row) in columns {
        for (routes, what) in [(&others, "spin"), (&titled, "title")] {
            let (found, verdicts) = compare(case, &start(case, what), routes, *row);
            wrong.extend(found);
            count += verdicts;
        }
    }
    guest.figure(&format!("{name}: {count} verdicts, {} other than promised", wrong.len()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn first_programs_are_open_to_nobody_but_whom_the_table_names() {
    judge("first programs", &FIRST, Victim::new);
}

#[test]
fn later_programs_are_open_to_nobody_but_whom_the_table_names() {
    judge("later programs", &LATER, Victim::second);
}

#[test]
fn every_route_is_walked_but_two() {
    let _guest = Guest::here();
    let left_out: Vec<&str> =
        Route::ALL.iter().map(|route| route.name()).filter(|name| !ROUTES.contains(name)).collect();
    // gdb is not packed: with its Python it is larger than the rest of a guest.
    assert_eq!(left_out, ["core-signal", "core-debugger"]);
}

#[test]
fn core_files_hold_no_secret() {
    let _guest = Guest::here();
    for (case, expected) in [
        (DIRECT_USER, Verdict::Leaked),
        (SUPERVISED, Verdict::NotFound),
        (SEALED, Verdict::NotFound),
        (FULL_USER, Verdict::NotFound),
    ] {
        // The victim dies of it.
        assert_eq!(Victim::new(&case, "hold").attacked("core-signal", Attacker::Root), expected, "{}", case.name);
    }
}
