//! What reaches into every process at once, and attacks on the agent itself.

use std::process::Command;

use envward_guest::Guest;

use crate::stage::{Agent, feed, shell};

/// A shell line that root may run, and the route under which it is reported. None changes
/// anything that outlives the line.
const LINES: [(&str, &str); 8] = [
    ("head -c 1 /proc/kcore", "kernel-memory"),
    (
        "echo p:envward_test do_exit >> /sys/kernel/tracing/kprobe_events && echo > /sys/kernel/tracing/kprobe_events",
        "probes",
    ),
    ("cat /sys/kernel/tracing/trace", "probes"),
    ("cat /proc/sys/kernel/core_pattern > /tmp/p && cat /tmp/p > /proc/sys/kernel/core_pattern", "core-pattern"),
    ("mkdir -p /tmp/r/etc && : > /tmp/r/etc/ld.so.preload && rm /tmp/r/etc/ld.so.preload", "preload"),
    (
        "mkdir -p /tmp/s/etc && : > /tmp/s/x && mv /tmp/s/x /tmp/s/etc/ld.so.preload && rm /tmp/s/etc/ld.so.preload",
        "preload",
    ),
    ("mkdir -p /tmp/t/etc && ln -s x /tmp/t/etc/ld.so.preload && rm /tmp/t/etc/ld.so.preload", "preload"),
    (
        "mkdir -p /tmp/u/etc && : > /tmp/u/x && ln /tmp/u/x /tmp/u/etc/ld.so.preload && rm /tmp/u/etc/ld.so.preload",
        "preload",
    ),
];

#[test]
fn what_root_can_do_without_the_agent() {
    let _guest = Guest::here();
    for (line, _) in LINES {
        let (worked, said) = shell(line);
        assert!(worked, "{line}: {said}");
    }
}

#[test]
fn what_reaches_into_every_process_is_closed() {
    let guest = Guest::here();
    let agent = Agent::start(&guest);
    for (line, route) in LINES {
        let (worked, said) = shell(line);
        assert!(!worked && said.contains("Operation not permitted"), "{line}: {said}");
        agent.await_event(line, |event| event["route"] == route && event["verdict"] == "denied");
    }
}

#[test]
fn modules_are_reported_and_refused_when_asked_for() {
    let guest = Guest::here();
    std::fs::write("/tmp/no-module", vec![0; 4096]).unwrap();
    let load = || feed(Command::new("busybox").args(["insmod", "/tmp/no-module"]), b"");
    let said = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let plain = said(load());
    assert!(plain.contains("invalid module format") || plain.contains("Exec format"), "{plain}");
    let agent = Agent::start(&guest);
    let reported = said(load());
    assert_eq!(reported, plain);
    agent.await_event("observed", |event| event["route"] == "module" && event["verdict"] == "observed");
    agent.stop();
    let agent = Agent::with(&guest, "actions = { module = 'deny' }", &[]);
    let refused = said(load());
    assert!(refused.contains("not permitted"), "{refused}");
    agent.await_event("denied", |event| event["route"] == "module" && event["verdict"] == "denied");
}

#[test]
fn nobody_else_loads_programs_or_counts_events() {
    let guest = Guest::here();
    let agent = Agent::start(&guest);
    // Another agent is somebody else's BPF program too.
    let output = feed(Command::new(guest.program("envward-agent")).arg("prove"), b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Operation not permitted"), "{said}");
    agent.await_event("a load", |event| event["route"] == "bpf" && event["verdict"] == "denied");
    let output = feed(Command::new(guest.program("envward-attack")).args(["stack-samples", "1"]), b"long enough");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "denied 1");
    agent.await_event("a counter", |event| event["route"] == "perf" && event["verdict"] == "denied");
}

#[test]
fn root_cannot_end_or_trace_the_agent() {
    let guest = Guest::here();
    let agent = Agent::start(&guest);
    let pid = agent.pid();
    for line in [
        format!("kill -9 {pid}"),
        format!("kill -STOP {pid}"),
        format!("kill -TERM {pid}"),
        format!("cat /proc/{pid}/environ"),
        format!("head -c 1 /proc/{pid}/mem"),
    ] {
        let (worked, said) = shell(&line);
        assert!(!worked && said.contains("not permitted"), "{line}: {said}");
    }
    let walk = |route: &str| {
        let output =
            feed(Command::new(guest.program("envward-attack")).args([route, &pid.to_string()]), b"long enough");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    for route in ["trace-peek", "trace-write", "memory-write", "descriptor-copy", "remote-read"] {
        assert_eq!(walk(route), "denied 1", "{route}");
    }
    agent.await_event("a signal", |event| event["route"] == "agent-signal" && event["detail"] == 9);
    agent.await_event("a tracer", |event| event["route"] == "ptrace" && event["target"]["pid"] == pid);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn every_recipe_is_proven() {
    let guest = Guest::here();
    for strict in [false, true] {
        let mut command = Command::new(guest.program("envward-agent"));
        command.args(["prove", "--json"]).args(strict.then_some("--strict"));
        let output = feed(&mut command, b"");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let proofs: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
        assert!(proofs.len() >= 11, "{said}");
        for proof in proofs {
            if strict {
                assert_eq!((&proof["verdict"], &proof["attack"]), (&"denied".into(), &"refusal".into()), "{proof}");
            } else {
                assert_ne!(proof["verdict"], serde_json::Value::Null, "{proof}");
            }
        }
    }
}
