//! What a process of the same user can write to in the window at a sealed first program's exec.
//!
//! The racer of `window` shows that the window is there. Here it is held open: the supervisor
//! is stopped at every one of its system calls, and as long as the program is open something
//! in it is overwritten. The program must run as if nobody had, or not at all.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Instant;

use envward_attack::{Observer, Sighting};
use rustix::process::{Signal, kill_process};

use super::victim::{dynamic_program, program};
use crate::stage::case::SEALED;
use crate::stage::job::{Ended, Job, PATIENCE, Start, younger_descendants};

/// A process of our own making, looked at by root.
struct Target(i32);

impl Target {
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.0)).expect("file in /proc")
    }

    fn memory(&self) -> File {
        let path = format!("/proc/{}/mem", self.0);
        OpenOptions::new().read(true).write(true).open(path).expect("memory")
    }

    fn is_open(&self) -> bool {
        fs::metadata(format!("/proc/{}/mem", self.0)).is_ok_and(|metadata| Some(metadata.uid()) == SEALED.uid)
    }

    /// Whether it is held by its tracer: an exec is not half done then.
    fn is_held(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.0))
            .is_ok_and(|text| text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('t')))
    }

    /// Start of the first mapping that `is_it`, told its permissions and its name.
    fn mapping(&self, is_it: impl Fn(&str, &str) -> bool) -> u64 {
        let maps = String::from_utf8(self.read("maps")).expect("UTF-8");
        let found = maps.lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            is_it(words[1], words.get(5).copied().unwrap_or(""))
        });
        let line = found.unwrap_or_else(|| panic!("not mapped:\n{maps}"));
        u64::from_str_radix(line.split('-').next().expect("start"), 16).expect("hexadecimal")
    }

    fn own(&self, permissions: &str) -> u64 {
        let exe = fs::read_link(format!("/proc/{}/exe", self.0)).expect("exe");
        self.mapping(|found, name| found == permissions && exe.to_str() == Some(name))
    }

    /// The interpreter's.
    fn loader(&self, permissions: &str) -> u64 {
        self.mapping(|found, name| found == permissions && name.contains("ld-linux"))
    }

    /// A field of `stat`, numbered as in proc_pid_stat(5).
    fn stat(&self, field: usize) -> u64 {
        let text = String::from_utf8(self.read("stat")).expect("UTF-8");
        let (_, rest) = text.rsplit_once(") ").expect("name");
        rest.split_whitespace().nth(field - 3).and_then(|word| word.parse().ok()).expect("number")
    }

    fn stack_pointer(&self) -> u64 {
        self.stat(28)
    }

    fn auxiliary(&self, key: u64) -> u64 {
        let words: Vec<u64> =
            self.read("auxv").chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("8"))).collect();
        words.chunks_exact(2).find(|pair| pair[0] == key).expect("key")[1]
    }

    /// Where the auxiliary vector is on the stack.
    fn vector(&self) -> u64 {
        let (auxv, start) = (self.read("auxv"), self.stack_pointer());
        let mut stack = [0; 4096];
        let read = self.memory().read_at(&mut stack, start).expect("stack");
        // The first entry may have been overwritten already.
        let found = stack[..read].windows(64).position(|window| window == &auxv[16..80]);
        start + found.expect("auxiliary vector") as u64 - 16
    }
}

/// Starts `program` and overwrites 8 bytes at `place` for as long as it is open, but for the first
/// so many system calls of the supervisor; where that was.
fn overwrite(program: &Path, place: &dyn Fn(&Target) -> u64, spared: usize) -> (Job, u64) {
    let mut job = Start::new(&SEALED, [program, Path::new("hold")]).with("raise=19").spawn();
    job.wait_change();
    let mut supervisor = Observer::seize(job.pid().as_raw_nonzero().get()).expect("seize");
    kill_process(job.pid(), Signal::CONT).expect("SIGCONT");
    let begun = Instant::now();
    let mut seen: Option<(Target, u64)> = None;
    let mut looks = 0;
    loop {
        assert!(begun.elapsed() < PATIENCE, "the program was never closed");
        match supervisor.look().expect("look") {
            Sighting::Running => continue,
            Sighting::Ended => break,
            Sighting::Stopped => {}
        }
        if seen.as_ref().is_some_and(|(target, _)| !target.is_open()) {
            break;
        }
        let is_ours = |pid: &i32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        let found = younger_descendants(job.pid()).into_iter().map(|pid| pid.as_raw_nonzero().get()).find(is_ours);
        let is_ready = |target: &Target| target.is_open() && (seen.is_some() || target.is_held());
        if let Some(target) = found.map(Target).filter(is_ready) {
            let address = match &seen {
                Some((_, address)) => *address,
                None => place(&target),
            };
            if looks >= spared {
                target.memory().write_all_at(OVERWRITTEN, address).expect("write");
            }
            looks += 1;
            seen = Some((target, address));
        }
    }
    let (_, address) = seen.expect("the program was never open");
    assert!(looks > spared || spared > 0);
    (job, address)
}

const OVERWRITTEN: &[u8; 8] = b"XXXXXXXX";

/// What became of a program.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It runs, and nothing is to be seen of what was written.
    Restored,
    /// envward has not started it, for this reason.
    Refused(String),
}

fn fate(what: &str, program: &Path, place: &dyn Fn(&Target) -> u64) -> Fate {
    fate_of_late_change(what, program, place, 0)
}

fn fate_of_late_change(what: &str, program: &Path, place: &dyn Fn(&Target) -> u64, spared: usize) -> Fate {
    let (mut job, address) = overwrite(program, place, spared);
    let Some(ready) = job.try_line(PATIENCE) else {
        let errors = job.errors().join("\n");
        assert_eq!(job.wait(), Ended::Exit(125), "{what}: {errors}");
        assert!(errors.contains("could not be put into the program"), "{what}: {errors}");
        return Fate::Refused(errors);
    };
    let pid = ready.split(' ').nth(1).and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("{what}: {ready:?}"));
    assert!(ready.ends_with(" intact"), "{what}: {ready:?}");
    let mut found = [0; OVERWRITTEN.len()];
    Target(pid).memory().read_exact_at(&mut found, address).expect("memory");
    assert_ne!(&found, OVERWRITTEN, "{what}");
    job.write("q");
    assert_eq!(job.wait(), Ended::Exit(0), "{what}");
    Fate::Restored
}

#[test]
fn sealed_first_program_runs_as_if_nobody_had_changed_it() {
    for program in [program(), dynamic_program()] {
        let restored = |what, place: &dyn Fn(&Target) -> u64| {
            assert_eq!(fate(what, &program, place), Fate::Restored, "{what}");
        };
        restored("code", &|target| target.own("r-xp") + 0x200);
        restored("constants", &|target| target.own("r--p") + 0x200);
        restored("data", &|target| target.own("rw-p") + 0x10);
        restored("the kernel's code", &|target| target.mapping(|_, name| name == "[vdso]") + 0x10);
        restored("path", &|target| target.auxiliary(31));
        restored("platform", &|target| target.auxiliary(15));
        restored("random bytes", &|target| target.auxiliary(25));
        restored("argument", &|target| target.stat(48));
        restored("below the stack pointer", &|target| target.stack_pointer() - 2048);
        restored("between vectors and strings", &|target| target.stat(48) - 8);
    }
    let program = dynamic_program();
    for permissions in ["r-xp", "r--p", "rw-p"] {
        let fate = fate("loader", &program, &|target| target.loader(permissions) + 0x200);
        assert_eq!(fate, Fate::Restored, "{permissions}");
    }
}

#[test]
fn sealed_first_program_is_refused_where_its_vectors_were_changed() {
    for program in [program(), dynamic_program()] {
        let refused = |what, place: &dyn Fn(&Target) -> u64| {
            assert_ne!(fate(what, &program, place), Fate::Restored, "{what}");
        };
        refused("argument pointer", &|target| target.stack_pointer() + 8);
        refused("auxiliary vector", &|target| target.vector() + 8);
    }
}

#[test]
fn sealed_first_program_is_refused_where_calls_are_faked() {
    // Another instruction stands in the place of the one that enters the kernel, from when the
    // supervisor has found it there.
    let entry = |target: &Target| {
        let start = target.mapping(|_, name| name == "[vdso]");
        let mut code = vec![0; 4096];
        target.memory().read_exact_at(&mut code, start).expect("vDSO");
        start + code.windows(2).position(|window| window == [0x0f, 0x05]).expect("syscall") as u64
    };
    let fates = [24, 32, 48, 64, 80, 96].map(|spared| fate_of_late_change("kernel entry", &program(), &entry, spared));
    let faked = |fate: &Fate| matches!(fate, Fate::Refused(why) if why.contains("does not call the kernel"));
    assert!(fates.iter().any(faked), "{fates:?}");
}
