//! Input that is wrong, and a machine that is not as it should be: a clear error, a documented
//! status, and what is in force stays in force.

use std::fs;
use std::process::{Command, Output};

use envward_guest::Guest;

use crate::stage::{Agent, Attacker, Victim, feed};

fn run(guest: &Guest, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = feed(Command::new(guest.program("envward-agent")).args(arguments), b"");
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

#[test]
fn a_second_agent_is_refused_and_the_first_goes_on() {
    let guest = Guest::here();
    let victim = Victim::start();
    let _agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    for (arguments, why) in [
        (&["run"][..], "another agent runs"),
        (&["run", "--pin"], "another agent runs"),
        (&["run", "--socket", "/run/other/agent.sock"], "Operation not permitted"),
    ] {
        let (status, said) = run(&guest, arguments);
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert_eq!(Attacker::Root.walk(&guest, "environ", &victim), "denied 1");
}

#[test]
fn wrong_configuration_is_named_and_loads_nothing() {
    let guest = Guest::here();
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("agent.toml");
    for (text, expected) in [
        ("actions = { mem = 'no' }", "actions: there is no `no`; there are off, report, deny"),
        ("protekt = 1", "unknown field `protekt`"),
        ("recipes = '/nowhere'", "/nowhere: No such file"),
    ] {
        fs::write(&file, text).unwrap();
        let (status, said) = run(&guest, &["run", "--config", file.to_str().unwrap()]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    fs::write(&file, "[protect]\nexecutables = ['/nowhere']").unwrap();
    let (status, said) = run(&guest, &["run", "--config", file.to_str().unwrap()]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("/nowhere: No such file"), "{said}");
    let (status, said) = run(&guest, &["run", "--protect", "999999"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("process 999999"), "{said}");
}

#[test]
fn without_capabilities_it_says_what_it_needs() {
    let guest = Guest::here();
    let output = feed(
        Command::new("setpriv")
            .args(["--reuid=1000", "--regid=1000", "--clear-groups"])
            .arg(guest.program("envward-agent"))
            .arg("prove"),
        b"",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("run the agent as root: it needs CAP_BPF"), "{said}");
}
