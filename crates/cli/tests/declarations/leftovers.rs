//! Checking a value leaves nothing of it in ordinary memory.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

use super::project::Project;

/// Random digits, which are of many types and in no other memory.
fn digits(count: usize) -> String {
    let mut bytes = vec![0; count];
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    // No zero, so that a number has this many digits.
    bytes.iter().map(|byte| char::from(b'1' + byte % 9)).collect()
}

/// Whether any readable memory of a process has the bytes.
fn memory_has(child: &Child, needle: &[u8]) -> bool {
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).unwrap();
    let memory = File::open(format!("/proc/{}/mem", child.id())).unwrap();
    let mut looked_at = 0;
    let mut found = false;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        // Secret memory and the kernel's own cannot be read, and that is the point of it.
        if rest.starts_with('r') && memory.read_exact_at(&mut bytes, start).is_ok() {
            looked_at += 1;
            found |= bytes.windows(needle.len()).any(|window| window == needle);
        }
    }
    assert!(looked_at > 5, "only {looked_at} mappings could be read");
    found
}

/// Starts a program that says when it runs and then waits for the end of its input.
fn held(mut command: Command) -> Child {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    child
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

const HOLD: [&str; 3] = ["sh", "-c", "echo up; read line; :"];

#[test]
fn checking_a_value_copies_nothing_of_it() {
    // The control: a plain process that was given the value has it.
    let value = digits(18);
    let mut plain = Command::new(HOLD[0]);
    plain.args(&HOLD[1..]).env("VALUE", &value);
    let plain = held(plain);
    assert!(memory_has(&plain, value.as_bytes()), "the search finds nothing");
    end(plain);

    let types = [
        ("string", "{}"),
        ("non-empty", "{}"),
        ("integer", "{}"),
        ("float", "-{}.5e3"),
        ("base64", "{}=="),
        ("email", "{}@example.org"),
        ("url", "postgres://user:{}%40@[::1]:5432/{}"),
        ("json", r#"{"a\"{}": ["\u00e9{}", {}.5, {"{}": null}]}"#),
        ("pem", "-----BEGIN X-----\n{}==\n-----END X-----"),
        ("regex", "{}"),
    ];
    let values: Vec<String> = types.iter().map(|_| digits(18)).collect();
    let inherited = digits(18);
    let mut config = "[run]\nenv-files = [\"app.env\"]\n[variables.INHERITED]\ntype = \"integer\"\n".to_owned();
    let mut env_file = String::new();
    for (index, ((name, around), value)) in types.iter().zip(&values).enumerate() {
        let pattern = if *name == "regex" { "pattern = \"([0-9]|[a-z])+(?i:x?)\"\n" } else { "" };
        config += &format!("[variables.V{index}]\ntype = \"{name}\"\n{pattern}");
        env_file += &format!("V{index}='{}'\n", around.replace("{}", value));
    }
    let project = Project::new(&[("envward.toml", &config), ("app.env", &env_file)]);
    let arguments = [&["run", "-q", "--"][..], &HOLD].concat();
    let child = held(project.command(&arguments, &[("INHERITED", &inherited)]));
    for (value, name) in values.iter().zip(types.map(|(name, _)| name)).chain([(&inherited, "inherited")]) {
        // A part of it is enough to be found.
        assert!(!memory_has(&child, &value.as_bytes()[..12]), "{name}: the supervisor has a copy");
    }
    end(child);
}
