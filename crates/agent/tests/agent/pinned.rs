//! What is kept in bpffs goes on refusing without an agent, and the next agent takes over
//! without a gap.

use std::fs::{self, File};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use envward_guest::Guest;

use crate::stage::{Agent, Attacker, Victim, feed, shell, until};

/// Removes what is kept, also when the test fails: the tests after it are in the same guest.
struct Kept<'a>(&'a Guest);

impl Kept<'_> {
    fn unload(&self) -> Output {
        feed(Command::new(self.0.program("envward-agent")).arg("unload"), b"")
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        self.unload();
    }
}

#[test]
fn protection_outlives_the_agent_and_is_taken_over_without_a_gap() {
    let guest = Guest::here();
    let victim = Victim::start();
    // Another one is protected by a rule: by what it runs.
    let room = tempfile::tempdir().unwrap();
    let program = room.path().join("sleep");
    fs::copy("/usr/bin/sleep", &program).unwrap();
    let ruled = Victim::running(program.to_str().unwrap(), None);
    let rule = format!("[protect]\nexecutables = ['{}']", program.display());
    let paths = [&victim, &ruled].map(|victim| format!("/proc/{}/environ", victim.pid()));
    let kept = Kept(&guest);
    let first = Agent::with(&guest, &rule, &["--pin", "--protect", &victim.pid().to_string()]);
    let stop = AtomicBool::new(false);
    let (tries, hits) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for path in &paths {
                    tries.fetch_add(1, Ordering::Relaxed);
                    hits.fetch_add(u64::from(File::open(path).is_ok()), Ordering::Relaxed);
                }
                thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        // Killed in the middle of it, as by the out-of-memory killer.
        drop(first);
        assert_eq!(Attacker::Root.walk(&guest, "environ", &victim), "denied 1");
        let second = Agent::with(&guest, &rule, &["--pin"]);
        second.await_event("after the take-over", |event| event["target"]["pid"] == victim.pid());
        second.stop();
        assert_eq!(Attacker::Root.walk(&guest, "memory", &victim), "denied 1");
        stop.store(true, Ordering::Relaxed);
    });
    let tries = tries.into_inner();
    guest.figure(&format!("from one agent to the next: {tries} opens tried"));
    assert!(tries > 200, "{tries}");
    assert_eq!(hits.into_inner(), 0, "there was a gap");
    // Root does not get rid of it.
    for line in [
        "rm -r /sys/fs/bpf/envward",
        "rm /sys/fs/bpf/envward/1/links/file_open",
        "mv /sys/fs/bpf/envward /sys/fs/bpf/other",
        "mv /sys/fs/bpf/envward/1/links/file_open /sys/fs/bpf/x",
        "busybox umount /sys/fs/bpf",
        "busybox umount -l /sys/fs/bpf",
    ] {
        let (worked, said) = shell(line);
        assert!(!worked && said.contains("not permitted"), "{line}: {said}");
    }
    assert_eq!(Attacker::Root.walk(&guest, "environ", &victim), "denied 1");
    let output = kept.unload();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Some kernels let go of a program a moment after its last name is gone.
    until(|| Attacker::Root.walk(&guest, "environ", &victim) == "leaked");
    assert!(!fs::exists("/sys/fs/bpf/envward").unwrap());
}

#[test]
fn a_tampered_configuration_changes_nothing_when_it_is_read_again() {
    let guest = Guest::here();
    let victim = Victim::start();
    let agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    let good = agent.configuration();
    agent.reconfigure("actions = { environ = 'no' }", "stays in force");
    assert_eq!(Attacker::Root.walk(&guest, "environ", &victim), "denied 1");
    agent.reconfigure(&format!("actions = {{ environ = 'report' }}\n{good}"), "read again");
    assert_eq!(Attacker::Root.walk(&guest, "environ", &victim), "leaked");
    agent.await_event("a report", |event| event["verdict"] == "observed" && event["target"]["pid"] == victim.pid());
    assert_eq!(Attacker::Root.walk(&guest, "memory", &victim), "denied 1");
}
