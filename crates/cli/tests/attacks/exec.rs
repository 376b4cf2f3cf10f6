//! Programs that start programs: readers hammer the whole tree through more than a
//! thousand execs.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use envward_attack::{Needle, Outcome, Route};
use rustix::process::Signal;

use super::victim::NAME;
use crate::stage::case::{Case, DIRECT, DIRECT_USER, FULL, FULL_USER, SUPERVISED};
use crate::stage::job::{Ended, Start, descendants, eventually, parent};
use crate::stage::{Secrets, stage};

/// Execs in each case.
const EXECS: usize = 400;

/// What a reader saw.
#[derive(Debug, Default)]
struct Sight {
    looks: AtomicUsize,
    hits: AtomicUsize,
}

/// Looks at every new process, as root, by one route, until told to stop.
fn hammer(route: Route, needle: &Needle, root: i32, stop: &AtomicBool, sight: &Sight) {
    let mut newest = root;
    while !stop.load(Ordering::Relaxed) {
        // The newest few, and the numbers that come next.
        for pid in newest - 2..=newest + 2 {
            newest = if is_below(pid, root) { newest.max(pid) } else { continue };
            // Gone before it could be looked at: no matter.
            let Ok(outcome) = route.run(pid, needle) else {
                continue;
            };
            sight.looks.fetch_add(1, Ordering::Relaxed);
            if outcome == Outcome::Leaked {
                sight.hits.fetch_add(1, Ordering::Relaxed);
            }
        }
        newest = newest.max(last_pid());
    }
}

/// Whether a process belongs to the tree. Threads of this process and children that run in
/// its memory until they exec have numbers too, and know the secret.
fn is_below(mut pid: i32, root: i32) -> bool {
    for _ in 0..4 {
        match parent(pid) {
            Some(above) if above == root => return true,
            Some(above) => pid = above,
            None => return false,
        }
    }
    false
}

fn last_pid() -> i32 {
    let text = fs::read_to_string("/proc/loadavg").expect("/proc/loadavg");
    text.split_whitespace().last().and_then(|word| word.parse().ok()).expect("pid")
}

/// A script with many execs of programs that check for their secret, under the eyes of a
/// reader. Looks and hits.
fn watched(case: &Case, route: Route, export: bool) -> (usize, usize) {
    let secrets = Secrets::new(case.uid);
    let value = secrets.value_file(NAME);
    let needle = Needle::read_from(secrets.value(NAME).as_slice()).expect("needle");
    let probe = stage().program("probe");
    // To compare the secret the probe reads it, and then has it in its memory.
    let program = match route {
        Route::Memory => format!("'{}' exit 0", probe.display()),
        _ => format!("'{}' holds {NAME} '{}'", probe.display(), value.display()),
    };
    let script = format!(
        "{} i=0; while [ $i -lt {EXECS} ]; do {program} || exit 9; i=$((i+1)); done; exit 0",
        if export { format!("export {NAME}=\"${NAME}\";") } else { String::new() },
    );
    let start = Start::new(case, ["sh", "-c", &script]);
    let start = match case.mode {
        Some(_) => start.secrets(secrets),
        None => {
            let value = String::from_utf8(secrets.value(NAME)).expect("hexadecimal");
            start.variable(NAME, value)
        }
    };
    let (stop, sight) = (AtomicBool::new(false), Sight::default());
    let mut job = start.spawn();
    let root = job.pid().as_raw_nonzero().get();
    let ended = thread::scope(|scope| {
        scope.spawn(|| hammer(route, &needle, root, &stop, &sight));
        let ended = job.wait();
        stop.store(true, Ordering::Relaxed);
        ended
    });
    assert_eq!(ended, Ended::Exit(0), "{}: a program did not find its secret", case.name);
    (sight.looks.into_inner(), sight.hits.into_inner())
}

fn never_seen(route: Route, plain_hits: usize) {
    for case in [DIRECT, DIRECT_USER] {
        let (looks, hits) = watched(&case, route, false);
        assert!(hits >= plain_hits, "{}: {hits} hits in {looks} looks prove nothing", case.name);
    }
    for case in [FULL, FULL_USER, SUPERVISED] {
        let (looks, hits) = watched(&case, route, false);
        assert!(looks >= plain_hits, "{}: only {looks} looks", case.name);
        assert_eq!(hits, 0, "{}: in {looks} looks", case.name);
    }
}

#[test]
fn environ_never_shows_a_secret_during_execs() {
    never_seen(Route::Environ, EXECS / 10);
}

#[test]
fn memory_never_shows_a_secret_during_execs() {
    never_seen(Route::Memory, 5);
}

#[test]
fn environ_never_shows_an_exported_copy_during_execs() {
    // The shell makes an ordinary string of it, which exec would copy.
    for case in [FULL, FULL_USER, SUPERVISED] {
        let (looks, hits) = watched(&case, Route::Environ, true);
        assert!(looks > EXECS / 10, "{}: only {looks} looks", case.name);
        assert_eq!(hits, 0, "{}: in {looks} looks", case.name);
    }
}

#[test]
fn without_its_supervisor_no_program_gets_a_secret() {
    for case in [FULL, FULL_USER, SUPERVISED] {
        let directory = stage().scratch(case.uid);
        let made = Command::new("mkfifo").args(["-m", "666", "go", "end"]).current_dir(&directory).status();
        assert!(made.expect("mkfifo").success());
        let secrets = Secrets::new(case.uid);
        let value = secrets.value_file(NAME);
        let needle = Needle::read_from(secrets.value(NAME).as_slice()).expect("needle");
        let script = format!(
            "check() {{ '{}' holds {NAME} '{}'; }}; check || exit 9
             (echo ready; read line < go; check; echo $? > verdict; read line < end) & wait",
            stage().program("probe").display(),
            value.display(),
        );
        let start = Start::new(&case, ["sh", "-c", &script]).secrets(secrets).within(&directory);
        let mut job = start.spawn();
        assert_eq!(job.line(), "ready", "{}", case.name);
        let left = descendants(job.pid());
        job.signal(Signal::KILL);
        assert_eq!(job.wait(), Ended::Signal(9), "{}", case.name);
        tell(&directory.join("go"));
        let verdict = directory.join("verdict");
        eventually("verdict", || fs::read_to_string(&verdict).is_ok_and(|text| text.ends_with('\n')));
        assert_ne!(fs::read_to_string(&verdict).expect("verdict"), "0\n", "{}: it got the secret", case.name);
        for pid in left {
            // What is still there is the subshell, which goes on as it was.
            if let Ok(outcome) = Route::Environ.run(pid.as_raw_nonzero().get(), &needle) {
                assert_eq!(outcome, Outcome::NotFound, "{}", case.name);
            }
        }
        tell(&directory.join("end"));
    }
}

/// Writes a line to a FIFO, for which somebody has to be there to read.
fn tell(fifo: &Path) {
    let told = Command::new("timeout").args(["20", "sh", "-c", "echo > \"$0\""]).arg(fifo).status();
    assert!(told.expect("timeout").success(), "nobody reads {}", fifo.display());
}
