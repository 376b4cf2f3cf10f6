//! Small programs of two and three threads under every schedule with at most two preemptions
//! (and random ones with more), scheduled at every access to shared memory by shuttle.

use std::borrow::ToOwned;
use std::collections::BTreeSet;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use super::{Fixture, hook};

/// Every choice of at most two points at which the running thread is preempted.
struct Bounded {
    first: usize,
    second: usize,
    step: usize,
    preemptions: usize,
    started: bool,
    done: bool,
}

impl Bounded {
    fn new() -> Self {
        Self { first: 0, second: 1, step: 0, preemptions: 0, started: false, done: false }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.started {
            if self.step <= self.first {
                // Even the first preemption came after the end: all were tried.
                self.done = true;
            } else if self.step <= self.second {
                self.first += 1;
                self.second = self.first + 1;
            } else {
                self.second += 1;
            }
        }
        self.started = true;
        self.step = 0;
        self.preemptions = 0;
        (!self.done).then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, _is_yielding: bool) -> Option<TaskId> {
        let blocked = hook::take_waiting();
        let held = current.and_then(|id| runnable.iter().position(|task| task.id() == id));
        let Some(at) = held else {
            return runnable.first().map(|task| task.id());
        };
        if runnable.len() < 2 {
            return Some(runnable[at].id());
        }
        self.step += 1;
        let preempted = self.step - 1 == self.first || self.step - 1 == self.second;
        if preempted {
            self.preemptions += 1;
        }
        let next = if preempted || blocked { (at + 1) % runnable.len() } else { at };
        Some(runnable[next].id())
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

type Part = fn(&Fixture);

fn program(parts: &'static [Part], check: fn(&Fixture)) -> impl Fn() + Send + Sync + 'static {
    move || {
        let fixture = Arc::new(start());
        let threads: Vec<_> = parts
            .iter()
            .map(|part| {
                let fixture = Arc::clone(&fixture);
                shuttle::thread::spawn(move || part(&fixture))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        check(&fixture);
    }
}

fn explore(parts: &'static [Part], check: fn(&Fixture)) {
    hook::scheduled(|| {
        let mut config = shuttle::Config::default();
        config.stack_size = 256 << 10;
        config.max_steps = shuttle::MaxSteps::FailAfter(100_000);
        let runs = shuttle::Runner::new(Bounded::new(), config.clone()).run(program(parts, check));
        assert!(runs > 100, "only {runs} schedules");
        let random = shuttle::scheduler::PctScheduler::new(4, 300);
        shuttle::Runner::new(random, config).run(program(parts, check));
    });
}

fn start() -> Fixture {
    let fixture = Fixture::new(&[]);
    fixture.set("P", "permanent").unwrap();
    fixture.set("V", "old").unwrap();
    fixture
}

/// Reads in every way; what is permanent is always there, nothing stands twice.
fn observe(fixture: &Fixture) {
    assert_eq!(fixture.get("P").as_deref(), Some("permanent"));
    assert_eq!(fixture.look("P").as_deref(), Some("permanent"));
    let all = fixture.walk();
    assert!(all.contains(&String::from("P=permanent")), "{all:?}");
    let names: BTreeSet<_> = all.iter().map(|e| e.split_once('=').unwrap().0).collect();
    assert_eq!(names.len(), all.len(), "{all:?}");
}

#[test]
fn readers_never_miss_while_a_variable_changes() {
    explore(
        &[
            |f| {
                f.set("V", "new").unwrap();
                f.set("W", "fresh").unwrap();
            },
            |f| {
                observe(f);
                let value = f.look("V").unwrap();
                assert!(value == "old" || value == "new");
                if f.get("W").is_some() {
                    assert_eq!(f.get("V").as_deref(), Some("new"));
                }
            },
        ],
        |f| assert_eq!(f.walk(), ["P=permanent", "V=new", "W=fresh"]),
    );
}

#[test]
fn readers_never_miss_while_a_variable_goes() {
    explore(
        &[
            |f| {
                f.remove("V").unwrap();
                f.set("V", "again").unwrap();
            },
            |f| {
                observe(f);
                let value = f.look("V");
                assert!(matches!(value.as_deref(), None | Some("old" | "again")));
            },
        ],
        |f| assert_eq!(f.walk(), ["P=permanent", "V=again"]),
    );
}

#[test]
fn writers_lose_nothing() {
    explore(
        &[
            |f| f.set("X", "1").unwrap(),
            |f| {
                f.set("Y", "2").unwrap();
                f.remove("V").unwrap();
            },
        ],
        |f| {
            let mut all = f.walk();
            all.sort();
            assert_eq!(all, ["P=permanent", "X=1", "Y=2"]);
            assert_eq!(f.get("X").as_deref(), Some("1"));
            assert_eq!(f.get("Y").as_deref(), Some("2"));
        },
    );
}

#[test]
fn a_snapshot_is_one_instant() {
    explore(
        &[
            |f| {
                f.set("S1", "x").unwrap();
                f.set("S2", "x").unwrap();
                f.remove("S1").unwrap();
            },
            |f| {
                let all = f.iterate();
                let has = |name: &str| all.iter().any(|e| e.starts_with(name));
                // The states are: none, S1, S1 and S2, S2.
                assert!(has("P="), "{all:?}");
                assert!(all.len() <= 4, "{all:?}");
            },
        ],
        |f| assert_eq!(f.get("S2").as_deref(), Some("x")),
    );
}

#[test]
fn replacing_all_is_atomic() {
    explore(
        &[
            |f| {
                let fresh = [c"P=permanent".as_ptr(), c"R=1".as_ptr(), c"T=1".as_ptr()];
                // SAFETY: strings, which the environment copies.
                unsafe { f.env.replace_all(fresh.as_ptr(), 3, |_| ()).unwrap() };
            },
            |f| {
                let all = f.walk();
                let old = all == ["P=permanent", "V=old"];
                let new = all == ["P=permanent", "R=1", "T=1"];
                assert!(old || new, "{all:?}");
                let all = f.iterate();
                let old = all == ["P=permanent", "V=old"];
                let new = all == ["P=permanent", "R=1", "T=1"];
                assert!(old || new, "{all:?}");
                observe(f);
            },
        ],
        |f| assert_eq!(f.walk().len(), 3),
    );
}

#[test]
fn a_held_string_stays() {
    explore(
        &[
            |f| {
                f.set("V", "new").unwrap();
                f.set("V", "newer").unwrap();
            },
            // SAFETY: strings; held while they are read.
            |f| unsafe {
                let entry = f.env.lookup(c"V".as_ptr());
                let first = core::ffi::CStr::from_ptr(entry).to_owned();
                let iter = f.env.iterate();
                let second = f.env.next_entry(iter);
                let third = f.env.next_entry(iter);
                f.env.close(iter);
                assert_eq!(core::ffi::CStr::from_ptr(entry), first.as_c_str());
                for held in [second, third] {
                    assert!(core::ffi::CStr::from_ptr(held).to_str().unwrap().contains('='));
                    f.env.release(held);
                }
                f.env.release(entry);
            },
        ],
        |f| assert_eq!(f.get("V").as_deref(), Some("newer")),
    );
}

#[test]
fn three_threads() {
    explore(
        &[
            |f| f.set("V", "a").unwrap(),
            |f| f.remove("V").unwrap(),
            |f| {
                let _ = f.look("V");
                assert_eq!(f.get("P").as_deref(), Some("permanent"));
            },
        ],
        |f| assert_eq!(f.get("P").as_deref(), Some("permanent")),
    );
}
