//! Machines that are made up.

use super::*;

fn launch(worked: bool) -> Launch {
    Launch { worked, forked_away: worked, complaint: if worked { String::new() } else { "it failed".to_owned() } }
}

fn machine() -> Machine {
    Machine {
        release: "6.12.1-test".to_owned(),
        yama: Some(1),
        perf: Some(3),
        memlock: Some(Limits { soft: 8 << 20, hard: 8 << 20 }),
        uid: 1000,
        parent: 77,
        executable: Some(Executable {
            path: "/opt/env ward/envward".into(),
            owner: 0,
            mode: 0o755,
            has_capabilities: false,
            ignored_on: None,
        }),
        ..Machine::default()
    }
}

fn trials() -> Trials {
    Trials {
        memfd_secret: Trial::Worked,
        locked_memory: Trial::Worked,
        no_core: Trial::Worked,
        trace_willing: Trial::Worked,
        trace_unwilling: Trial::Worked,
        listener: Trial::Worked,
        sampling: Trial::Failed(EACCES),
        full: launch(false),
        supervised: launch(true),
        sealed: launch(true),
        preload: launch(true),
    }
}

fn check(checks: &[Check], name: &str) -> (State, String) {
    let check = checks.iter().find(|check| check.name == name).unwrap();
    let remedies = check.remedies.iter().map(|remedy| match remedy {
        Remedy::Command { command, .. } => command.clone(),
        Remedy::Setting { setting, .. } => setting.clone(),
    });
    (check.state, remedies.collect::<Vec<_>>().join("; "))
}

#[test]
fn every_name_stands_once() {
    let checks = judge(&machine(), &trials());
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    for name in &names {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
    }
}

#[test]
fn the_full_mode_is_one_command_away_for_a_user() {
    let checks = judge(&machine(), &trials());
    let quoted = "'/opt/env ward/envward'";
    let command = format!("chown root:root {quoted} && chmod 0711 {quoted} && setcap cap_sys_ptrace=ep {quoted}");
    assert_eq!(check(&checks, "full"), (State::Missing, command));
    let (state, remedy) = check(&checks, "executable");
    assert_eq!((state, remedy.contains("chmod 0711")), (State::Open, true));
}

#[test]
fn what_makes_the_kernel_ignore_the_capability_is_named() {
    let mut worse = machine();
    worse.no_new_privs = true;
    let executable = worse.executable.as_mut().unwrap();
    executable.has_capabilities = true;
    executable.ignored_on = Some("/opt".to_owned());
    let (_, remedy) = check(&judge(&worse, &trials()), "full");
    assert!(remedy.contains("NoNewPrivileges=no") && remedy.contains("remount,suid /opt"), "{remedy}");
}

#[test]
fn each_kernel_gets_the_remedy_for_its_memory() {
    for (release, error, expected) in [
        ("5.10.0", ENOSYS, "Linux 5.14"),
        ("6.1.0-18-amd64", ENOSYS, "secretmem.enable=1"),
        ("6.12.1", EPERM, "SystemCallFilter=memfd_secret"),
        ("6.12.1", EAGAIN, "ulimit -l 8192"),
    ] {
        let (mut machine, mut trials) = (machine(), trials());
        machine.release = release.to_owned();
        trials.memfd_secret = Trial::Failed(error);
        trials.supervised = launch(false);
        for name in ["memfd_secret", "supervised"] {
            let (state, remedy) = check(&judge(&machine, &trials), name);
            assert!(state == State::Missing && remedy.contains(expected), "{release} {name}: {remedy}");
        }
    }
    let (mut machine, mut trials) = (machine(), trials());
    machine.memlock = Some(Limits { soft: 0, hard: 0 });
    trials.memfd_secret = Trial::Failed(EAGAIN);
    let (_, remedy) = check(&judge(&machine, &trials), "memfd_secret");
    assert!(remedy.starts_with("prlimit --pid 77 --memlock=8388608:8388608"), "{remedy}");
}

#[test]
fn refused_system_calls_are_named() {
    let mut refused = trials();
    refused.trace_willing = Trial::Failed(EPERM);
    refused.supervised = launch(false);
    let checks = judge(&machine(), &refused);
    for name in ["ptrace", "supervised"] {
        let (state, remedy) = check(&checks, name);
        let named = remedy.contains("SystemCallFilter=ptrace") && remedy.contains("--tier preload");
        assert!(state == State::Missing && named, "{remedy}");
    }
    let mut killed = trials();
    killed.listener = Trial::Killed(31);
    assert!(check(&judge(&machine(), &killed), "seccomp-notifier").1.contains("SystemCallFilter=seccomp"));
    let mut nested = trials();
    nested.listener = Trial::Failed(EBUSY);
    assert!(check(&judge(&machine(), &nested), "seccomp-notifier").1.contains("outside of the other supervisor"));
}

#[test]
fn settings_of_the_machine_are_named() {
    let mut worse = machine();
    (worse.yama, worse.perf) = (Some(0), Some(2));
    let mut open = trials();
    open.sampling = Trial::Worked;
    let checks = judge(&worse, &open);
    assert!(check(&checks, "yama").1.starts_with("sysctl -w kernel.yama.ptrace_scope=1"));
    assert!(check(&checks, "perf-paranoid").1.starts_with("sysctl -w kernel.perf_event_paranoid=3"));
    worse.perf = Some(3);
    let (state, remedy) = check(&judge(&worse, &open), "perf-paranoid");
    assert!(state == State::Missing && remedy.contains("a kernel that knows level 3"), "{remedy}");
    worse.security_modules = Some("lockdown,yama".to_owned());
    assert!(check(&judge(&worse, &open), "bpf-lsm").1.contains("lsm=lockdown,yama,bpf"));
}

#[test]
fn a_user_namespace_weakens_the_full_mode() {
    let mut inside = machine();
    inside.namespace_owner = Some(1000);
    let mut works = trials();
    works.full = launch(true);
    assert_eq!(check(&judge(&inside, &works), "full").0, State::Open);
    assert_eq!(check(&judge(&inside, &works), "user-namespace").0, State::Open);
}
