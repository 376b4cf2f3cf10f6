//! Who opens a store.

use std::fs;
use std::process::Command;

use crate::room::{Room, feed};

/// An SSH key in the home directory.
fn ssh_key(room: &Room, kind: &str, passphrase: &str) -> String {
    let path = room.path("home").join(format!("id_{kind}"));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", passphrase, "-C", "somebody at somewhere", "-f"]).arg(&path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    assert!(command.status().expect("apt-get install openssh-client").success());
    path.to_str().unwrap().to_owned()
}

#[test]
fn ssh_keys_open_it() {
    for kind in ["ed25519", "rsa"] {
        let room = Room::empty();
        let key = ssh_key(&room, kind, "");
        room.run(&["init", "--identity", &key]).ok();
        room.set("A", "value");
        assert_eq!(room.get("A"), "value");
        assert_eq!(room.run(&["run", "-q", "--", "sh", "-c", "test \"$A\" = value"]).code, Some(0));
        assert!(!room.path("home/.config").exists(), "no other identity is made");
    }
}

#[test]
fn recipients_come_and_go() {
    let room = Room::new();
    room.set("A", "value");
    let key = ssh_key(&room, "ed25519", "");
    let with = |identity: &str| room.run(&["get", "--raw", "--identity", identity, "A"]);
    with(&key).fails(3);
    let public = format!("{key}.pub");
    let shown = room.run(&["recipients", "add", "--file", &public]).ok();
    assert!(shown.contains("somebody at somewhere") && shown.lines().count() == 2, "{shown}");
    assert_eq!(with(&key).ok(), "value");
    // Twice is once.
    assert_eq!(room.run(&["recipients", "add", "--file", &public]).ok(), shown);
    let before = fs::read_to_string(room.store()).unwrap();
    let text = fs::read_to_string(&public).unwrap();
    let done = room.run(&["recipients", "remove", text.trim()]);
    assert!(done.err.contains("older copies"), "{}", done.err);
    assert_eq!(done.ok().lines().count(), 1);
    with(&key).fails(3);
    assert_eq!(room.get("A"), "value");
    // What was written before is still open to them, as the message says.
    fs::write(room.store(), before).unwrap();
    assert_eq!(with(&key).ok(), "value");
    let last = room.run(&["recipients"]).ok();
    room.run(&["recipients", "remove", last.lines().next().unwrap(), text.trim()]).fails(7);
    room.run(&["recipients", "remove", "age1nobody"]).fails(1);
    room.run(&["recipients", "add", "ssh-dss AAAA"]).fails(7);
}

#[test]
fn rotation_changes_the_key_and_no_value() {
    let room = Room::new();
    for value in ["first", "second"] {
        room.set("A", value);
    }
    let before = fs::read_to_string(room.store()).unwrap();
    let done = room.run(&["rotate-keys"]);
    assert!(done.err.contains("git history"), "{}", done.err);
    done.ok();
    let after = fs::read_to_string(room.store()).unwrap();
    for line in before.lines().filter(|line| line.starts_with("secret")) {
        assert!(!after.contains(line));
    }
    assert_eq!(room.run(&["get", "--raw", "--version", "1", "A"]).ok(), "first");
    assert_eq!(room.get("A"), "second");
}

#[test]
fn another_identity_does_not_open_it() {
    let (room, other) = (Room::new(), Room::new());
    room.set("A", "value");
    let stranger = other.path("home/.config/envward/identity.txt");
    let stranger = stranger.to_str().unwrap();
    let before = fs::read(room.store()).unwrap();
    for arguments in
        [&["get", "A"][..], &["export"], &["rotate-keys"], &["rm", "A"], &["recipients", "add", "--file", "none"]]
    {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--identity", stranger]);
        let done = room.run(&arguments);
        assert!(matches!(done.code, Some(3 | 5 | 2)), "{arguments:?}: {:?}", done.code);
    }
    room.feed(&["set", "A", "--identity", stranger], b"v").fails(3);
    room.write("envward.toml", &format!("[store]\nidentity = \"{stranger}\"\n"));
    let said = room.run(&["run", "--", "true"]).fails(125);
    assert!(said.contains("none of the identities") && said.contains("--identity"), "{said}");
    assert!(fs::read(room.store()).unwrap() == before);
    // No identity at all, a directory, something else.
    for (text, code) in [("none", 3), (".", 3), ("envward.toml", 3)] {
        room.run(&["get", "A", "--identity", text]).fails(code);
    }
}

#[test]
fn a_passphrase_opens_its_store() {
    let room = Room::empty();
    room.write("good", "correct horse\n");
    room.write("bad", "wrong horse\n");
    room.run(&["init", "--work-factor", "10", "--passphrase", "--passphrase-file", "good"]).ok();
    assert!(!room.path("home/.config").exists());
    feed(&mut room.command(&["set", "A", "--passphrase-file", "good"]), b"value").ok();
    assert_eq!(room.run(&["get", "--raw", "A", "--passphrase-file", "good"]).ok(), "value");
    room.run(&["get", "A", "--passphrase-file", "bad"]).fails(3);
    // Nobody to ask.
    room.run(&["get", "A"]).fails(3);
    room.run(&["recipients", "add", "age1x", "--passphrase-file", "good"]).fails(7);
}

/// Types into a terminal, and says what was to be seen there.
fn at_terminal(room: &Room, command: &str, typed: &[(&str, &str)]) -> (String, bool) {
    let mut script = String::from(
        "import os, pty, sys, time\npid, fd = pty.fork()\nif pid == 0:\n    os.execvp('sh', ['sh', '-c', sys.argv[1]])\nseen = b''\n",
    );
    for (wait, text) in typed {
        script.push_str(&format!(
            "while {wait:?}.encode() not in seen:\n    seen += os.read(fd, 1000)\nseen += b'|'\nos.write(fd, bytes({:?}))\n",
            text.as_bytes()
        ));
    }
    script.push_str(
        "try:\n    while True:\n        more = os.read(fd, 1000)\n        if not more: break\n        seen += more\nexcept OSError:\n    pass\nstatus = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\nsys.stdout.buffer.write(seen)\nsys.exit(status if status >= 0 else 99)\n",
    );
    let output =
        room.program("/usr/bin/python3").args(["-c", &script, command]).output().expect("apt-get install python3");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
}

#[test]
fn values_and_passphrases_are_asked_for_and_not_shown() {
    let room = Room::new();
    let envward = env!("CARGO_BIN_EXE_envward");
    let (seen, well) = at_terminal(&room, &format!("{envward} set A"), &[("Value of A: ", "typed value\n")]);
    assert!(well && !seen.contains("typed"), "{seen}");
    assert_eq!(room.get("A"), "typed value");
    // A terminal shows values when it is asked to.
    let (seen, well) = at_terminal(&room, &format!("{envward} get A"), &[]);
    assert!(!well && seen.contains("--reveal") && !seen.contains("typed"), "{seen}");
    let (seen, well) = at_terminal(&room, &format!("{envward} get --reveal A"), &[]);
    assert!(well && seen.contains("typed value"));
    // A protected SSH key.
    let other = Room::empty();
    let key = ssh_key(&other, "ed25519", "open sesame");
    other.run(&["init", "--identity", &key]).ok();
    let (seen, well) = at_terminal(&other, &format!("echo v | {envward} set A"), &[("SSH key: ", "open sesame\n")]);
    assert!(well && !seen.contains("sesame"), "{seen}");
    let (seen, well) = at_terminal(
        &other,
        &format!("{envward} run -q -- sh -c 'test $A = v && echo \"well\"done'"),
        &[("SSH key: ", "open sesame\n")],
    );
    assert!(well && seen.contains("welldone") && !seen.contains("sesame"), "{seen}");
    let (_, well) = at_terminal(&other, &format!("{envward} get --reveal A"), &[("SSH key: ", "wrong\n")]);
    assert!(!well);
}

#[test]
fn the_terminal_echoes_again_after_an_interrupt() {
    let room = Room::new();
    let envward = env!("CARGO_BIN_EXE_envward");
    let command = format!("trap : INT; {envward} set A; stty -a; exit 0");
    let (seen, well) = at_terminal(&room, &command, &[("Value of A: ", "\u{3}")]);
    assert!(well && seen.contains(" echo ") && !seen.contains("-echo "), "{seen}");
    room.run(&["get", "A"]).fails(1);
}

#[test]
fn the_key_block_is_an_ordinary_age_file() {
    let room = Room::new();
    room.set("A", "value");
    let text = fs::read_to_string(room.store()).unwrap();
    let begin = text.find("-----BEGIN").unwrap();
    let end = text.find("-----END AGE ENCRYPTED FILE-----\n").unwrap();
    room.write("block.age", &text[begin..end + "-----END AGE ENCRYPTED FILE-----\n".len()]);
    let mut age = room.program("age");
    let output = age.args(["-d", "-i", "home/.config/envward/identity.txt", "block.age"]).output().unwrap();
    assert!(output.status.success(), "(apt-get install age) {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout.len(), 64);
}
