//! `kernel.yama.ptrace_scope=3`.

use std::fs;

use envward_guest::Guest;

use crate::scope::{Compared, Scope};
use crate::stage::case::ALL;
use crate::stage::{Secrets, envward, stage};

#[test]
fn scope_3_starts_nothing_in_any_mode() {
    let _scope = Scope::set(3);
    for case in ALL {
        let compared = Compared::new(&case, &[]);
        compared.expect_refusal(&case, &["cannot be traced", "kernel.yama.ptrace_scope=3", "rebooted"]);
    }
}

#[test]
fn scope_3_leaves_the_preload_tier() {
    let _scope = Scope::set(3);
    let directory = stage().scratch(None);
    let binary = directory.join("envward");
    fs::copy(envward(), &binary).expect("copy of envward");
    fs::copy(Guest::here().program("libenvward.so"), directory.join("libenvward.so")).expect("copy of the library");
    let secrets = Secrets::new(None);
    let script = r#"read -r expected < "$1"; [ "$API_TOKEN" = "$expected" ] || exit 41
        case $(cat /proc/$$/environ | tr '\0' '\n') in *"$expected"*) exit 42 ;; esac"#;
    let output = std::process::Command::new(binary)
        .args(["run", "--no-config", "--tier", "preload", "--env-file"])
        .arg(&secrets.file)
        .args(["--", "sh", "-c", script, "sh"])
        .arg(secrets.value_file("API_TOKEN"))
        .output()
        .expect("envward");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
