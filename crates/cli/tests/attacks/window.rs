//! The window at exec: dumpable again, and not yet protected.
//!
//! A process of the same user spins on `/proc/PID/mem` of every new process. A file that it
//! opens in the window would stay open; what it writes in the window would stay written.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use envward_attack::{Observer, Sighting};
use rustix::process::{Signal, kill_process};

use super::racer::{self, Race};
use super::victim::Victim;
use crate::stage::USER;
use crate::stage::case::{Case, DIRECT_USER, FULL_USER, SEALED, SUPERVISED};
use crate::stage::job::{PATIENCE, Start, younger_descendants};

/// Starts in which the racer has its chance.
const STARTS: usize = 80;

#[test]
fn racer_catches_plain_programs() {
    // Most dumpable ones, and of those that close themselves at once a part: the window
    // exists, and the racer is fast enough for it.
    let (open, opened) = racer::caught(STARTS, &DIRECT_USER, "hold");
    assert!(open >= STARTS / 4, "{open} of {STARTS}");
    assert!(opened >= STARTS, "{opened}");
    let (sealing, _) = racer::caught(STARTS, &DIRECT_USER, "seal");
    assert!(sealing > 0, "none of {STARTS} programs that close themselves was caught");
    let (supervised, _) = racer::caught(STARTS, &SUPERVISED, "hold");
    assert!(supervised >= STARTS / 4, "{supervised} of {STARTS}");
}

#[test]
fn racer_never_holds_a_first_program() {
    for case in [FULL_USER, SEALED] {
        let (caught, _) = racer::caught(STARTS, &case, "hold");
        assert_eq!(caught, 0, "{}: of {STARTS}", case.name);
    }
}

#[test]
fn racer_changes_plain_programs_before_they_run() {
    let changed = racer::changed(STARTS, &DIRECT_USER, "seal");
    assert!(changed > 0, "none of {STARTS}");
}

#[test]
fn racer_never_changes_a_first_program() {
    for case in [FULL_USER, SEALED] {
        let changed = racer::changed(STARTS, &case, "hold");
        assert_eq!(changed, 0, "{}: of {STARTS} programs were changed before they ran", case.name);
    }
}

#[test]
fn racer_never_holds_a_supervisor_with_the_capability() {
    // The kernel makes a process that gains privileges at exec non-dumpable from the start.
    assert_eq!(racer::supervisors_caught(STARTS, &FULL_USER), 0, "of {STARTS}");
}

#[test]
fn racer_never_holds_a_supervisor_that_is_not_readable() {
    // So it does when the user may not read the executable: mode 0711, owned by root.
    for case in [SUPERVISED, SEALED] {
        let case = Case { binary: "envward-unreadable", ..case };
        assert_eq!(racer::supervisors_caught(STARTS, &case), 0, "{}: of {STARTS}", case.name);
    }
}

#[test]
fn racer_catches_a_supervisor_that_is_readable() {
    for case in [SUPERVISED, SEALED] {
        assert!(
            racer::supervisors_caught(STARTS, &case) > 0,
            "{}: the table in SECURITY.md can be improved",
            case.name
        );
    }
}

#[test]
fn racer_catches_later_programs() {
    // Fork-away is for the first program only; later ones have a window at their exec.
    let mut race = Race::begin(None);
    let limit = Instant::now() + Duration::from_secs(90);
    let caught = std::iter::repeat(()).take_while(|()| Instant::now() < limit).any(|()| {
        let victim = Victim::second(&FULL_USER, "hold");
        let caught = race.holds(victim.pid, &victim.address);
        victim.end();
        caught
    });
    assert!(caught, "in 90 seconds: the table in SECURITY.md can be improved");
}

/// Whether a process of the unprivileged user is dumpable, from the owner of its files.
fn dumpable(pid: i32) -> Option<bool> {
    fs::metadata(format!("/proc/{pid}/mem")).ok().map(|metadata| metadata.uid() == USER)
}

/// Whether a process has secret memory, mapped or as a descriptor.
fn has_secret_memory(pid: i32) -> bool {
    let mapped = fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("secretmem"));
    mapped
        || fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|mut entries| {
            entries.any(|entry| {
                entry
                    .and_then(|entry| fs::read_link(entry.path()))
                    .is_ok_and(|target| target.to_string_lossy().contains("secretmem"))
            })
        })
}

#[test]
fn non_dumpable_before_the_first_secret() {
    // The supervisor is stopped at every one of its system calls, and its tree looked at:
    // nothing in it may have secret memory and be dumpable at the same time.
    for case in [FULL_USER, SEALED] {
        let mut job = Start::probe(&case, ["wait"]).with("raise=19").spawn();
        job.wait_change();
        let id = job.pid().as_raw_nonzero().get();
        let mut supervisor = Observer::seize(id).expect("seize");
        kill_process(job.pid(), Signal::CONT).expect("SIGCONT");
        let begun = Instant::now();
        let (mut looks, mut with_secrets) = (0, 0);
        // Once the program is up the supervisor waits, and makes no system call.
        while job.try_line(Duration::ZERO).is_none() {
            assert!(begun.elapsed() < PATIENCE, "{}: never up", case.name);
            match supervisor.look().expect("look") {
                Sighting::Running => continue,
                Sighting::Ended => panic!("{}: ended", case.name),
                Sighting::Stopped => {}
            }
            for pid in younger_descendants(job.pid()).into_iter().chain([job.pid()]) {
                let pid = pid.as_raw_nonzero().get();
                // In this order: what is closed stays closed.
                let open = dumpable(pid);
                if has_secret_memory(pid) {
                    with_secrets += 1;
                    assert_ne!(open, Some(true), "{}: {pid} has secret memory and is open", case.name);
                }
                looks += 1;
            }
        }
        assert!(looks > 100, "{}: {looks} looks", case.name);
        assert!(with_secrets > 0, "{}: no secret memory was ever seen", case.name);
        job.signal(Signal::KILL);
    }
}

#[test]
fn control_of_the_look_at_secret_memory() {
    let careless = Victim::new(&DIRECT_USER, "memfd");
    let pid = careless.pid.as_raw_nonzero().get();
    assert!(has_secret_memory(pid) && dumpable(pid) == Some(true));
    let open = Victim::new(&DIRECT_USER, "hold");
    assert!(!has_secret_memory(open.pid.as_raw_nonzero().get()));
}
