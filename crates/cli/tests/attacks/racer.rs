//! The racer, and what it gets hold of.

#![allow(dead_code, reason = "several test binaries share it and none uses all of it")]

use std::fs;

use rustix::process::Pid;

use super::victim::{Victim, attacker_program};
use crate::stage::case::{Case, DIRECT_USER};
use crate::stage::job::{Job, Start};

/// An attacker that spins on the memory of every new process.
pub(super) struct Race(Job);

impl Race {
    /// A racer that also overwrites, if told where.
    pub(super) fn begin(overwrite: Option<&str>) -> Self {
        let mut words = vec![attacker_program().into_os_string(), "race".into()];
        if let Some(address) = overwrite {
            words.extend([address.into(), "changed".into()]);
        }
        let mut job = Start::new(&DIRECT_USER, words).spawn();
        assert_eq!(job.line(), "racing");
        Self(job)
    }

    /// Whether the racer can still reach the memory of `pid`.
    pub(super) fn holds(&mut self, pid: Pid, address: &str) -> bool {
        self.0.write(&format!("{} {address}\n", pid.as_raw_nonzero()));
        match self.0.line().as_str() {
            "held" => true,
            "clear" => false,
            other => panic!("{other:?}"),
        }
    }

    /// Ends it; how many files it has opened.
    pub(super) fn end(mut self) -> usize {
        self.0.close_input();
        let line = self.0.line();
        self.0.wait();
        line.trim_start_matches("opened ").parse().expect("count")
    }
}

/// In how many of the starts the racer got hold of the program.
pub(super) fn caught(starts: usize, case: &Case, what: &str) -> (usize, usize) {
    let mut race = Race::begin(None);
    let mut caught = 0;
    for _ in 0..starts {
        let victim = Victim::new(case, what);
        caught += usize::from(race.holds(victim.pid, &victim.address));
        victim.end();
    }
    (caught, race.end())
}

/// In how many of the starts the racer changed the program before it ran.
pub(super) fn changed(starts: usize, case: &Case, what: &str) -> usize {
    let address = Victim::new(case, what).address;
    let race = Race::begin(Some(&address));
    let mut changed = 0;
    for _ in 0..starts {
        let victim = Victim::new(case, what);
        changed += usize::from(!victim.intact);
        victim.end();
    }
    race.end();
    changed
}

/// In how many of the starts the racer got hold of the supervisor.
pub(super) fn supervisors_caught(starts: usize, case: &Case) -> usize {
    let mut race = Race::begin(None);
    let mut caught = 0;
    for _ in 0..starts {
        let victim = Victim::new(case, "hold");
        let supervisor = victim.job.pid();
        let maps = fs::read_to_string(format!("/proc/{}/maps", supervisor.as_raw_nonzero())).expect("maps");
        let address = maps.split('-').next().expect("address").to_owned();
        caught += usize::from(race.holds(supervisor, &address));
        victim.end();
    }
    race.end();
    caught
}
