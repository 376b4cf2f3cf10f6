//! What ordinary programs do raises no alarm, and a harvest does.

use std::fs;

use envward_guest::Guest;

use crate::stage::{Agent, Attacker, Victim, shell, summary};

#[test]
fn ordinary_tools_are_quiet() {
    let guest = Guest::here();
    let victims: Vec<Victim> = (0..12).map(|_| Victim::start()).collect();
    let agent = Agent::start(&guest);
    for line in [
        "ps aux",
        "ps -ef e",
        "pgrep -f sleep",
        "cat /proc/self/environ /proc/self/maps /proc/thread-self/environ",
        "cat /proc/*/cmdline /proc/*/status /proc/*/stat",
        "ls -l /proc/self/fd /proc/*/exe",
        "cat /proc/kallsyms /proc/cpuinfo",
        "cat /proc/sys/kernel/core_pattern",
    ] {
        let (_, said) = shell(&format!("{line} > /dev/null"));
        assert!(!said.contains("not permitted"), "{line}: {said}");
    }
    // A tracer of a process that nobody protects.
    let pid = victims[0].pid();
    assert_eq!(Attacker::Root.walk(&guest, "trace-peek", &victims[0]), "leaked");
    // One that is read by its parent is nobody's business either, unless it is protected.
    fs::read(format!("/proc/{pid}/environ")).unwrap();
    let (events, _) = agent.stop();
    assert!(events.is_empty(), "{}", summary(&events));
}

#[test]
fn a_harvest_is_reported_once_and_names_the_reader() {
    let guest = Guest::here();
    let victims: Vec<Victim> = (0..25).map(|_| Victim::start()).collect();
    let agent = Agent::start(&guest);
    let files: String = victims.iter().map(|victim| format!("/proc/{}/environ ", victim.pid())).collect();
    let (worked, said) = shell(&format!("cat {files} > /dev/null"));
    assert!(worked, "{said}");
    let event = agent.await_event("a sweep", |event| event["route"] == "sweep" && event["reader"]["comm"] == "cat");
    assert_eq!((&event["verdict"], &event["recipe"]["id"]), (&"observed".into(), &"environ_sweep".into()));
    assert_eq!(event["detail"], 10);
    let (events, _) = agent.stop();
    let sweeps = events.iter().filter(|event| event["route"] == "sweep" && event["reader"]["comm"] == "cat").count();
    assert_eq!(sweeps, 1, "{}", summary(&events));
    // Refused when that is asked for: the rest of the harvest finds nothing.
    let agent = Agent::with(&guest, "actions = { sweep = 'deny' }", &[]);
    let (worked, said) = shell(&format!("cat {files} > /dev/null"));
    assert!(!worked && said.contains("not permitted"), "{said}");
    drop(agent);
}
