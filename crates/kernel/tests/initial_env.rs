//! Wiping a variable out of a real process's initial stack.
//!
//! Without a harness, because the process must have a single thread: the test
//! starts itself again with a known environment and looks at its own
//! `/proc/self/environ`.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a test without the harness")]

use std::process::{Command, ExitCode};

use envward_kernel::initial_env::{AcquireError, InitialEnv};

/// What the second run finds in its environment under `VALUE_NAME`, twice.
const VALUE_NAME: &[u8] = b"ENVWARD_TEST_WIPED";
const VALUE: &str = "not-a-secret-but-looked-for";
const CHILD: &str = "--wipe";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == CHILD) {
        return child();
    }
    let status = Command::new("/proc/self/exe")
        .arg(CHILD)
        .env_clear()
        .env("FIRST", "1")
        .env("ENVWARD_TEST_WIPED", VALUE)
        .env("ENVWARD_TEST_WIPED_NOT", VALUE.to_uppercase())
        .env("LAST", "")
        .status()
        .expect("the test runs itself");
    assert!(status.success(), "the second run failed: {status}");
    println!("test initial_env ... ok");
    ExitCode::SUCCESS
}

fn child() -> ExitCode {
    assert!(environ_holds(VALUE.as_bytes()), "the value is there to begin with");
    let mut env = InitialEnv::acquire().expect("one thread");
    assert!(matches!(InitialEnv::acquire(), Err(AcquireError::Held)));

    let value = env.value(VALUE_NAME).expect("given by the first run");
    assert_eq!(value.to_bytes(), VALUE.as_bytes());
    assert!(env.value(b"ENVWARD_TEST").is_none());
    assert!(env.value(b"").is_none());
    assert_eq!(env.iter().count(), 4);

    assert_eq!(env.wipe(b"ABSENT").expect("one thread"), 0);
    assert_eq!(env.iter().count(), 4);
    assert_eq!(env.wipe(VALUE_NAME).expect("one thread"), 1);

    assert!(!environ_holds(VALUE.as_bytes()), "the value is gone from procfs");
    assert!(!environ_holds(b"ENVWARD_TEST_WIPED="), "the name is gone too");
    assert!(env.value(VALUE_NAME).is_none());
    let left: Vec<&[u8]> = env.iter().map(|string| string.to_bytes()).collect();
    assert_eq!(left.len(), 3);
    assert!(left.contains(&&b"FIRST=1"[..]) && left.contains(&&b"LAST="[..]));
    assert!(environ_holds(VALUE.to_uppercase().as_bytes()), "others stay");
    drop(env);
    assert!(std::env::var_os("ENVWARD_TEST_WIPED").is_none(), "libc agrees");

    let mut env = InitialEnv::acquire().expect("the first one was dropped");
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let worker = std::thread::spawn(move || wait.recv());
    assert!(matches!(env.wipe(b"LAST"), Err(AcquireError::Threads)));
    drop(go);
    let _ = worker.join();
    assert!(env.value(b"LAST").is_some(), "nothing was changed");
    ExitCode::SUCCESS
}

fn environ_holds(needle: &[u8]) -> bool {
    let environ = std::fs::read("/proc/self/environ").expect("/proc is mounted");
    environ.windows(needle.len()).any(|window| window == needle)
}
