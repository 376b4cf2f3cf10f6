//! What `run --verbose` says of the protection is what the program has got.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use std::fs;
use std::process::{Command, Output};

fn run(options: &[&str], program: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let env_file = directory.path().join("app.env");
    fs::write(&env_file, "LEVEL_TOKEN=obviously-not-a-secret\n").unwrap();
    Command::new(env!("CARGO_BIN_EXE_envward"))
        .args(["run", "--no-config", "--verbose", "--env-file"])
        .arg(env_file)
        .args(options)
        .arg("--")
        .args(program)
        .output()
        .unwrap()
}

fn said(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.lines().map(|line| line.strip_prefix("envward: ").unwrap().to_owned()).collect()
}

/// Whose its `/proc` files are, how many secret mappings it has, its limit on core files.
const LOOK: [&str; 3] = ["sh", "-c", "stat -c %U /proc/$$/environ; grep -c secretmem /proc/$$/maps; ulimit -c"];

#[test]
fn the_full_mode_has_everything_that_is_ours_to_give() {
    let output = run(&["--mode", "full"], &LOOK);
    let lines = said(&output);
    for expected in ["mode full", "memfd_secret: yes", "non-dumpable: yes", "supervision: yes", "fork-away: yes"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("\n1\n"), "one secret mapping");
}

#[test]
fn the_supervised_mode_says_what_it_has_not() {
    let output = run(&["--mode", "supervised", "--no-core"], &LOOK);
    let lines = said(&output);
    for expected in ["mode supervised", "non-dumpable: no", "supervision: yes", "fork-away: no", "no-core: yes"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("\n0\n"), "the soft limit on core files is 0");
}

#[test]
fn what_is_required_and_cannot_be_had_stops_the_start() {
    for (options, reason) in [
        (["--mode", "supervised", "--require", "non-dumpable"], "non-dumpable"),
        (["--mode", "supervised", "--require", "fork-away"], "fork-away"),
        (["--mode", "sealed", "--require", "supervision"], "supervision"),
    ] {
        let output = run(&options, &["touch", "/nonexistent/started"]);
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(reason) && text.contains("hint:"), "{text}");
    }
}

/// Needs root, for file capabilities and another user.
fn privileged(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let hint = "needs root and libcap2-bin: apt-get install libcap2-bin";
    assert!(status.is_ok_and(|status| status.success()), "{program} {arguments:?} failed; {hint}");
}

#[test]
fn a_program_that_cannot_be_guarded_at_its_start_gets_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let (envward, plain, unguarded, env_file) =
        (place("envward"), place("plain"), place("unguarded"), place("app.env"));
    privileged("cp", &[env!("CARGO_BIN_EXE_envward"), &envward]);
    privileged("cp", &["/bin/true", &plain]);
    privileged("cp", &["/bin/true", &unguarded]);
    fs::write(&env_file, "LEVEL_TOKEN=obviously-not-a-secret\n").unwrap();
    privileged("chmod", &["-R", "a+rX", &directory.path().display().to_string()]);
    privileged("setcap", &["cap_sys_ptrace=ep", &envward]);
    // No capability, but a set of its own: the kernel clears the ambient set for such files.
    privileged("setcap", &["=", &unguarded]);
    let start = |program: &str, options: &[&str]| {
        Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", &envward, "run", "--no-config", "--quiet"])
            .args(options)
            .args(["--mode", "full", "--env-file", &env_file, "--", program])
            .output()
            .unwrap()
    };
    assert_eq!(start(&plain, &[]).status.code(), Some(0));
    let refused = start(&unguarded, &[]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(125), "{text}");
    assert!(text.contains("capabilities of its own") && text.contains("--best-effort fork-away"), "{text}");
    assert_eq!(start(&unguarded, &["--best-effort", "fork-away"]).status.code(), Some(0));
}
