//! Mutations interrupted at every access: by a handler that mutates, and by `fork`.

use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use super::{Fixture, hook};

type Operation = fn(&Fixture);

const OPERATIONS: [(&str, Operation); 8] = [
    ("overwrite", |f| f.set("B", "outer-value").unwrap()),
    ("append", |f| f.set("NEW", "outer").unwrap()),
    ("append-same", |f| f.set("BOTH", "outer").unwrap()),
    ("remove", |f| f.remove("C").unwrap()),
    ("remove-missing", |f| f.remove("MISSING").unwrap()),
    ("clear-and-set", |f| {
        f.env.clear().unwrap();
        f.set("AFTER", "clear").unwrap();
    }),
    ("grow", |f| {
        for at in 0..13 {
            f.set(&std::format!("GROW_{at}"), "x").unwrap();
        }
    }),
    ("iterate", |f| {
        let _ = f.iterate();
    }),
];

const HANDLERS: [(&str, Operation); 5] = [
    ("overwrite", |f| f.set("B", "inner").unwrap()),
    ("overwrite-other", |f| f.set("A", "inner").unwrap()),
    ("append", |f| {
        f.set("BOTH", "inner").unwrap();
        f.set("INNER", "inner").unwrap();
    }),
    ("remove", |f| f.remove("A").unwrap()),
    ("read", |f| {
        let _ = (f.get("B"), f.look("C"), f.iterate());
    }),
];

fn start() -> Fixture {
    let fixture = Fixture::new(&["A=1", "B=2", "C=3", "P=permanent"]);
    // An array and strings of our own, so that ownership matters.
    for name in ["A", "B", "C", "P"] {
        let value = fixture.get(name).unwrap();
        fixture.set(name, &std::format!("{value}{value}")).unwrap();
    }
    fixture.set("P", "permanent").unwrap();
    fixture
}

fn sorted(mut entries: Vec<String>) -> Vec<String> {
    entries.sort();
    entries
}

/// The outcome with the handler before or after the operation, or between its parts.
fn outcomes(operation: Operation, handler: Operation) -> [Vec<String>; 2] {
    [[operation, handler], [handler, operation]].map(|order| {
        let fixture = start();
        for part in order {
            part(&fixture);
        }
        sorted(fixture.walk())
    })
}

#[test]
fn a_handler_may_mutate_at_any_point() {
    for (name, operation) in OPERATIONS {
        for (handler_name, handler) in HANDLERS {
            let expected = outcomes(operation, handler);
            let mut at = 1;
            loop {
                let fixture = Rc::new(start());
                let inner = Rc::clone(&fixture);
                let ran = hook::interrupted(at, move || handler(&inner), || operation(&fixture));
                if !ran {
                    break;
                }
                let result = sorted(fixture.walk());
                let composite = name == "clear-and-set" || name == "grow";
                assert!(
                    expected.contains(&result) || composite,
                    "{name} interrupted by {handler_name} at {at}: {result:?}"
                );
                // Whatever the order, the table goes on.
                for entry in &result {
                    let (held, value) = entry.split_once('=').unwrap();
                    assert_eq!(fixture.get(held).as_deref(), Some(value));
                    assert_eq!(fixture.look(held).as_deref(), Some(value));
                }
                assert_eq!(sorted(fixture.iterate()), result);
                if name != "clear-and-set" {
                    assert_eq!(fixture.get("P").as_deref(), Some("permanent"));
                }
                fixture.set("LATER", "x").unwrap();
                fixture.remove("B").unwrap();
                assert_eq!(fixture.get("LATER").as_deref(), Some("x"));
                assert_eq!(fixture.get("B"), None);
                // The long operation repeats itself; a prime stride visits all its parts.
                at += if name == "grow" { 7 } else { 1 };
            }
            assert!(at > 5, "{name} was hardly interrupted");
        }
    }
}

/// Runs `check` in a child forked at every access of an operation; the child must end well
/// within the alarm.
#[test]
fn a_child_forked_at_any_point_may_mutate() {
    for (name, operation) in &OPERATIONS[..6] {
        let mut at = 1;
        loop {
            let fixture = Rc::new(start());
            let inner = Rc::clone(&fixture);
            let ran = hook::interrupted(
                at,
                move || {
                    // SAFETY: the child calls this crate and system calls only.
                    let child = unsafe { libc::fork() };
                    if child == 0 {
                        // SAFETY: no precondition; the alarm ends a child that hangs.
                        unsafe { libc::alarm(10) };
                        let well = child_mutates(&inner);
                        // SAFETY: ends the child without running the parent's handlers.
                        unsafe { libc::_exit(if well { 0 } else { 1 }) };
                    }
                    let mut status = 0;
                    // SAFETY: our own child.
                    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                    assert_eq!(status, 0, "the forked child failed");
                },
                || operation(&fixture),
            );
            assert_eq!(fixture.get("LATE"), None, "the child wrote to its parent");
            if !ran {
                break;
            }
            at += 1;
        }
        assert!(at > 5, "{name} was hardly interrupted");
    }
}

/// A handler forks, changes something in the child and returns there: the interrupted mutation
/// goes on in the child as well.
#[test]
fn a_child_forked_by_a_handler_may_return_from_it() {
    for (name, operation) in &OPERATIONS[..6] {
        let mut at = 1;
        loop {
            let fixture = Rc::new(start());
            let inner = Rc::clone(&fixture);
            let parent = std::process::id();
            let ran = hook::interrupted(
                at,
                move || {
                    // SAFETY: the child calls this crate and system calls only.
                    let child = unsafe { libc::fork() };
                    if child == 0 {
                        // SAFETY: no precondition; the alarm ends a child that hangs.
                        unsafe { libc::alarm(60) };
                        for round in 0..3 {
                            inner.set(&std::format!("CHILD_{round}"), "x").unwrap();
                            inner.set("A", &std::format!("{round}")).unwrap();
                        }
                        return;
                    }
                    let mut status = 0;
                    // SAFETY: our own child.
                    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                    assert_eq!(status, 0, "the forked child failed: {name} at {at}");
                },
                || operation(&fixture),
            );
            if std::process::id() != parent {
                let well = child_went_on(&fixture, name);
                // SAFETY: ends the child without running the parent's handlers.
                unsafe { libc::_exit(if well { 0 } else { 1 }) };
            }
            if !ran {
                break;
            }
            at += 1;
        }
        assert!(at > 5, "{name} was hardly interrupted");
    }
}

fn child_went_on(fixture: &Fixture, name: &str) -> bool {
    let all = fixture.walk();
    let names: std::collections::BTreeSet<_> = all.iter().map(|entry| entry.split_once('=').unwrap().0).collect();
    // `clear` may come after all that the handler did.
    let kept = name == "clear-and-set"
        || fixture.get("P").as_deref() == Some("permanent")
            && fixture.get("A").as_deref() == Some("2")
            && (0..3).all(|round| fixture.look(&std::format!("CHILD_{round}")).as_deref() == Some("x"));
    let done = match name {
        "overwrite" => fixture.get("B").as_deref() == Some("outer-value"),
        "append" => fixture.get("NEW").as_deref() == Some("outer"),
        "append-same" => fixture.get("BOTH").as_deref() == Some("outer"),
        "remove" => fixture.get("C").is_none(),
        "clear-and-set" => fixture.get("AFTER").as_deref() == Some("clear"),
        _ => true,
    };
    // The lists of free memory are whole: nothing is given out twice.
    for round in 0..20 {
        fixture.set(&std::format!("LATE_{round}"), "late").unwrap();
    }
    let late = (0..20).all(|round| fixture.get(&std::format!("LATE_{round}")).as_deref() == Some("late"));
    names.len() == all.len() && kept && done && late
}

fn child_mutates(fixture: &Fixture) -> bool {
    let permanent = fixture.get("P");
    let cleared = permanent.is_none();
    for round in 0..50 {
        fixture.set("LATE", &std::format!("{round}")).unwrap();
        fixture.set(&std::format!("GROWN_{round}"), "x").unwrap();
        fixture.remove("B").unwrap();
    }
    fixture.get("LATE").as_deref() == Some("49")
        && fixture.look("GROWN_7").as_deref() == Some("x")
        && fixture.get("B").is_none()
        && (cleared || fixture.get("P").as_deref() == Some("permanent"))
}
