//! The supervisor: what its own memory, environment and processes give away.

use rustix::process::Pid;

use super::victim::{Attacker, NAME, Verdict, Victim, attack};
use crate::stage::case::{ALL, Case, DIRECT_USER, FULL_USER, SEALED, SUPERVISED};
use crate::stage::job::{Start, descendants, eventually};
use crate::stage::{Secrets, stage};

/// Every way in which a secret can be given to envward, as options and input.
fn given(case: &Case, source: &str) -> Victim {
    Victim::launch(case, &[], "hold", |start| {
        let secrets = start.given().expect("secrets");
        let file = secrets.value_file(NAME);
        let value = String::from_utf8(secrets.value(NAME)).expect("hexadecimal");
        match source {
            "env-file" => start,
            "file" => start.no_env_file().option("--secret").option(format!("{NAME}=file:{}", file.display())),
            "fd" => start
                .no_env_file()
                .with(format!("open=9:{}", file.display()))
                .option("--secret")
                .option(format!("{NAME}=fd:9")),
            "from-env" => start
                .no_env_file()
                .with(format!("env={NAME}={value}"))
                .with("env=PATH=/usr/bin:/bin")
                .option("--from-env")
                .option(NAME),
            other => panic!("{other}"),
        }
    })
}

const SOURCES: [&str; 4] = ["env-file", "file", "fd", "from-env"];

/// What `attacker` finds in the supervisor of a victim.
fn supervisor(victim: &Victim, route: &str, attacker: Attacker) -> Verdict {
    attack(route, victim.job.pid(), attacker, &victim.secret, &victim.directory)
}

#[test]
fn supervisor_memory_holds_no_copy() {
    // The same search finds the secret of a plain process.
    assert_eq!(Victim::new(&DIRECT_USER, "hold").attacked("memory", Attacker::Root), Verdict::Leaked);
    for case in ALL {
        for source in SOURCES {
            let victim = given(&case, source);
            for route in ["memory", "remote-read"] {
                let seen = supervisor(&victim, route, Attacker::Root);
                assert_eq!(seen, Verdict::NotFound, "{}, {source}, {route}", case.name);
            }
        }
        let victim = Victim::new(&case, "hold");
        assert_eq!(supervisor(&victim, "core-debugger", Attacker::Root), Verdict::NotFound, "{}", case.name);
    }
}

#[test]
fn supervisor_memory_holds_no_copy_after_many_execs() {
    for case in [FULL_USER, SUPERVISED] {
        let script = "i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done; export API_TOKEN;
            sh -c 'sh -c :; :'; exec \"$@\"";
        let victim = Victim::launch(&case, &["sh", "-c", script, "sh"], "hold", |start| start);
        assert_eq!(supervisor(&victim, "memory", Attacker::Root), Verdict::NotFound, "{}", case.name);
    }
}

#[test]
fn no_process_of_the_launch_holds_a_copy() {
    // Whatever else lives below the supervisor while the program runs.
    for case in ALL {
        let victim = Victim::new(&case, "hold");
        // What fork-away has left behind may be dying yet.
        eventually("only the program is left", || descendants(victim.job.pid()).len() == 1);
        for pid in descendants(victim.job.pid()) {
            let seen = attack("memory", pid, Attacker::Root, &victim.secret, &victim.directory);
            assert_eq!(seen, Verdict::NotFound, "{}, process {pid:?}", case.name);
        }
    }
}

#[test]
fn supervisor_environment_holds_no_secret() {
    for case in ALL {
        for source in SOURCES {
            let victim = given(&case, source);
            for route in ["environ", "environ-task"] {
                let seen = supervisor(&victim, route, Attacker::Root);
                assert_eq!(seen, Verdict::NotFound, "{}, {source}, {route}", case.name);
            }
        }
    }
}

#[test]
fn a_value_from_the_environment_is_wiped_there() {
    // The control is the same start without --from-env: envward's own environment has it.
    for case in ALL {
        let secrets = Secrets::new(case.uid);
        let needle = secrets.value(NAME);
        let value = String::from_utf8(needle.clone()).expect("hexadecimal");
        let directory = stage().scratch(case.uid);
        let start = |from_env: bool| {
            let mut start = Start::probe(&case, ["wait"])
                .no_secrets()
                .with(format!("env={NAME}={value}"))
                .with("env=PATH=/usr/bin:/bin");
            // Without any secret there is nothing to do for envward, so it gets another one.
            start = start.option("--env-file").option(stage().other_env_file(case.uid));
            if from_env {
                start = start.option("--from-env").option(NAME);
            }
            let mut job = start.spawn();
            let program = job.up();
            (job, program)
        };
        let look = |pid: Pid, route: &str| attack(route, pid, Attacker::Root, &needle, &directory);
        let (job, program) = start(false);
        assert_eq!(look(job.pid(), "environ"), Verdict::Leaked, "{}: control", case.name);
        assert_eq!(look(program, "environ"), Verdict::Leaked, "{}: control", case.name);
        drop(job);
        let (job, program) = start(true);
        for route in ["environ", "memory"] {
            assert_eq!(look(job.pid(), route), Verdict::NotFound, "{}: envward, {route}", case.name);
            assert_eq!(look(program, route), Verdict::NotFound, "{}: program, {route}", case.name);
        }
        drop(job);
    }
}

#[test]
fn supervisor_is_closed_to_its_own_user() {
    for case in [FULL_USER, SUPERVISED, SEALED] {
        let victim = Victim::new(&case, "hold");
        for route in ["environ", "memory", "remote-read", "trace-peek", "trace-write", "descriptor-copy"] {
            for attacker in [Attacker::SameUser, Attacker::OtherUser] {
                let seen = supervisor(&victim, route, attacker);
                assert_eq!(seen, Verdict::Denied, "{}, {route}, {attacker:?}", case.name);
            }
        }
    }
}

#[test]
fn supervisor_is_open_to_code_injected_by_root() {
    for case in ALL {
        let victim = Victim::new(&case, "hold");
        let seen = supervisor(&victim, "trace-write", Attacker::Root);
        assert_eq!(seen, Verdict::Leaked, "{}", case.name);
        victim.end();
    }
}

#[test]
fn supervisor_has_no_descriptor_of_secret_memory() {
    for case in ALL {
        for source in SOURCES {
            let victim = given(&case, source);
            let seen = supervisor(&victim, "descriptor-copy", Attacker::Root);
            assert_eq!(seen, Verdict::NotFound, "{}, {source}", case.name);
        }
    }
}
