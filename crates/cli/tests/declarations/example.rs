//! `examples/shop/envward.toml`, as it stands.

use std::process::Command;

use super::project::repository;

fn envward(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_envward"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .current_dir(repository().join("examples/shop"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_example_is_right_in_every_profile() {
    for profile in ["", "staging"] {
        let (code, text) = envward(&["check", "--profile", profile]);
        assert_eq!(code, 0, "{profile}: {text}");
    }
    // Its secrets are not in the repository.
    let (code, text) = envward(&["check", "--profile", "production"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("not-in-this-repository"), "{text}");
}

#[test]
fn the_example_runs() {
    let script =
        "test $PORT = 8080 && test $LOG_LEVEL = debug && test -n \"$DATABASE_URL\" && test -z \"$AWS_PROFILE\"";
    let (code, text) = envward(&["run", "-q", "--", "sh", "-c", script]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = envward(&["run", "-q", "--profile", "staging", "--", "sh", "-c", "test $LOG_LEVEL = info"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = envward(&["env", "explain", "DATABASE_URL"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("value from shop.env:3:14") && text.contains("${DATABASE_USER}"), "{text}");
}
