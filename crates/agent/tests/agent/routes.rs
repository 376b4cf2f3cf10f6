//! Every route to a protected process, by everybody.

use std::fs::{File, OpenOptions};
use std::io::Read;

use envward_guest::Guest;

use crate::stage::{Agent, Attacker, Victim, summary};

/// Routes of `envward-attack` that leak a plain process's environment, and what the agent calls
/// them.
const ROUTES: [(&str, &str); 20] = [
    ("environ", "environ"),
    ("environ-task", "environ"),
    ("environ-directory", "environ"),
    ("environ-thread-self", "environ"),
    ("environ-mount", "environ"),
    ("environ-detached", "environ"),
    ("environ-uring", "environ"),
    ("environ-bound-file", "environ"),
    ("environ-bound-procfs", "environ"),
    ("environ-symlink", "environ"),
    ("environ-openat2", "environ"),
    ("environ-reopen", "environ"),
    ("environ-compat", "environ"),
    ("memory", "mem"),
    ("memory-task", "mem"),
    ("remote-read", "vm-read"),
    ("trace-peek", "ptrace"),
    ("trace-write", "ptrace"),
    ("memory-write", "mem"),
    ("descriptor-copy", "pidfd-getfd"),
];
/// What needs no rights beyond being the same user.
const WITHOUT_MOUNTS: [&str; 9] = [
    "environ",
    "environ-task",
    "environ-directory",
    "environ-thread-self",
    "environ-uring",
    "environ-symlink",
    "environ-openat2",
    "environ-reopen",
    "environ-compat",
];
const USER: u32 = 1000;

/// Walks all routes; the victim is open to the attacker.
fn all_leak(guest: &Guest, attacker: Attacker, victim: &Victim) {
    for (route, _) in ROUTES {
        let said = attacker.walk(guest, route, victim);
        // The victim has no descriptor with the marker behind it, but may be asked for one.
        let expected = if route == "descriptor-copy" { "not found" } else { "leaked" };
        assert_eq!(said, expected, "{attacker:?} {route}");
    }
}

#[test]
fn without_the_agent_every_route_leaks() {
    let guest = Guest::here();
    all_leak(&guest, Attacker::Root, &Victim::start());
}

#[test]
fn no_route_is_open_to_root() {
    let guest = Guest::here();
    let victim = Victim::start();
    let agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    let other = Victim::start();
    for (route, name) in ROUTES {
        let said = Attacker::Root.walk(&guest, route, &victim);
        assert_eq!(said, "denied 1", "{route}");
        let event = agent.await_event(route, |event| {
            let argv = event["reader"]["argv"].as_array().unwrap();
            argv.get(1).is_some_and(|argument| argument == route) && event["target"]["pid"] == victim.pid()
        });
        let routes: Vec<_> = agent
            .events()
            .into_iter()
            .filter(|event| event["reader"]["argv"][1] == route)
            .map(|event| event["route"].as_str().unwrap().to_owned())
            .collect();
        // Some look at the maps first to know where to read.
        assert!(routes.iter().any(|found| found == name || found == "maps"), "{route}: {routes:?}");
        assert_eq!(event["verdict"], "denied", "{event}");
        assert_eq!(event["reader"]["uid"], 0);
        assert_eq!(event["reader"]["exe"]["name"], "envward-attack");
        assert_eq!(
            event["target"]["exe"]["name"],
            event["target"]["exe_path"].as_str().unwrap().rsplit('/').next().unwrap()
        );
        assert!(!event.to_string().contains(&victim.marker), "an event holds a value");
    }
    // Whom nobody protects is as open as ever.
    all_leak(&guest, Attacker::Root, &other);
    let (events, _) = agent.stop();
    assert!(events.iter().all(|event| event["target"]["pid"] != other.pid()), "{}", summary(&events));
}

/// Files of procfs that tell about a process's memory, to be opened for reading, and their routes.
const FILES: [(&str, &str); 8] = [
    ("auxv", "auxv"),
    ("maps", "maps"),
    ("numa_maps", "maps"),
    ("pagemap", "pagemap"),
    ("smaps", "maps"),
    ("smaps_rollup", "maps"),
    ("stack", "stack"),
    ("syscall", "syscall"),
];
/// The same for writing.
const KNOBS: [(&str, &str); 2] = [("clear_refs", "clear-refs"), ("coredump_filter", "coredump-filter")];

#[test]
fn no_file_of_procfs_tells_about_memory() {
    let guest = Guest::here();
    let victim = Victim::start();
    let pid = victim.pid();
    let open = |name: &str, writes: bool| {
        let result = OpenOptions::new().read(!writes).write(writes).open(format!("/proc/{pid}/{name}"));
        result.map(drop).map_err(|error| error.raw_os_error())
    };
    let all = || {
        let (read, write) = (FILES.iter().map(|file| (file, false)), KNOBS.iter().map(|file| (file, true)));
        read.chain(write).flat_map(|((name, route), writes)| {
            [(name.to_string(), *route, writes), (format!("task/{pid}/{name}"), *route, writes)]
        })
    };
    // A thread has no file to write to by these names.
    let exists = |name: &str| std::path::Path::new(&format!("/proc/{pid}/{name}")).exists();
    assert!(all().filter(|(name, ..)| exists(name)).count() >= 18);
    for (name, _, writes) in all().filter(|(name, ..)| exists(name)) {
        assert_eq!(open(&name, writes), Ok(()), "{name} without the agent");
    }
    let map_files = format!("/proc/{pid}/map_files");
    assert!(std::fs::read_dir(&map_files).unwrap().count() > 0);
    let agent = Agent::with(&guest, "", &["--protect", &pid.to_string()]);
    for (name, route, writes) in all().filter(|(name, ..)| exists(name)) {
        assert_eq!(open(&name, writes), Err(Some(1)), "{name}");
        agent.await_event(&name, |event| event["route"] == route && event["verdict"] == "denied");
    }
    let listed = std::fs::read_dir(&map_files).and_then(|mut entries| entries.next().transpose());
    assert!(listed.is_err(), "map_files");
}

#[test]
fn no_route_is_open_to_the_same_user() {
    let guest = Guest::here();
    let victim = Victim::of(Some(USER));
    for route in WITHOUT_MOUNTS.iter().chain(&["memory", "remote-read", "trace-peek", "trace-write", "memory-write"]) {
        assert_eq!(Attacker::User(USER).walk(&guest, route, &victim), "leaked", "{route}");
    }
    let agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    for route in WITHOUT_MOUNTS.iter().chain(&["memory", "remote-read", "trace-peek", "trace-write", "memory-write"]) {
        assert_eq!(Attacker::User(USER).walk(&guest, route, &victim), "denied 1", "{route}");
    }
    agent.await_event("by the user", |event| event["reader"]["uid"] == USER && event["verdict"] == "denied");
}

#[test]
fn another_user_is_kept_out_with_and_without_the_agent() {
    let guest = Guest::here();
    let victim = Victim::of(Some(USER));
    let other = Attacker::User(USER + 1);
    for with_agent in [false, true] {
        let agent = with_agent.then(|| Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]));
        for route in WITHOUT_MOUNTS.iter().chain(&["memory", "remote-read", "trace-peek"]) {
            let said = other.walk(&guest, route, &victim);
            assert!(said.starts_with("denied"), "{route} {said}");
        }
        drop(agent);
    }
}

#[test]
fn no_single_capability_opens_a_route() {
    let guest = Guest::here();
    let victim = Victim::of(Some(USER));
    const CAPABILITIES: [&str; 5] = ["sys_ptrace", "perfmon", "sys_admin", "dac_override", "dac_read_search"];
    // Without the agent, the one that is meant for it opens everything.
    let ptrace = Attacker::RootWith("sys_ptrace,+dac_override");
    assert_eq!(ptrace.walk(&guest, "environ", &victim), "leaked");
    assert_eq!(ptrace.walk(&guest, "memory", &victim), "leaked");
    let _agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    for attacker in CAPABILITIES.map(Attacker::RootWith).into_iter().chain([ptrace]) {
        for route in WITHOUT_MOUNTS.iter().chain(&["memory", "remote-read", "trace-peek"]) {
            let said = attacker.walk(&guest, route, &victim);
            assert!(said.starts_with("denied"), "{attacker:?} {route}: {said}");
        }
    }
}

#[test]
fn descriptors_opened_before_are_worth_nothing() {
    let guest = Guest::here();
    let victim = Victim::start();
    let open = |name: &str| File::open(format!("/proc/{}/{name}", victim.pid())).unwrap();
    let mut kept = [open("environ"), open("maps"), open("auxv")];
    let mut control = open("environ");
    let mut byte = [0; 1];
    control.read_exact(&mut byte).unwrap();
    let agent = Agent::with(&guest, "", &["--protect", &victim.pid().to_string()]);
    for file in &mut kept {
        let error = file.read(&mut byte).expect_err("a descriptor that was opened before could be read");
        assert_eq!(error.raw_os_error(), Some(1));
    }
    // Passed to a child, which never opened anything.
    let child = std::process::Command::new("head")
        .args(["-c", "1"])
        .stdin(control.try_clone().unwrap())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(child.stdout.is_empty());
    let event = agent.await_event("a read", |event| event["reader"]["comm"] == "head");
    assert_eq!((&event["hook"], &event["verdict"]), (&"file-permission".into(), &"denied".into()));
}
