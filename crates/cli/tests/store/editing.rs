//! `envward edit`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::room::{Done, Room, random};

/// `envward edit` with a script as the editor.
fn edit(room: &Room, script: &str) -> Done {
    let editor = room.script("editor", script);
    Done::of(&room.command(&["edit"]).env("EDITOR", editor).output().unwrap())
}

#[test]
fn what_is_edited_is_what_is_stored() {
    let room = Room::new();
    for (name, value) in [("A", "one"), ("B", "it's two\nlines"), ("C", "three")] {
        room.set(name, value);
    }
    let before = fs::read_to_string(room.store()).unwrap();
    assert!(edit(&room, "true").err.contains("nothing was changed"));
    assert_eq!(fs::read_to_string(room.store()).unwrap(), before);
    edit(&room, "sed -i 's/^A=one/A=1/; /^C=/d' \"$1\"; echo \"D='new one'\" >> \"$1\"").ok();
    assert_eq!(room.get("A"), "1");
    assert_eq!(room.get("B"), "it's two\nlines");
    assert_eq!(room.get("D"), "new one");
    room.run(&["get", "C"]).fails(1);
    // Only what was changed has a new version.
    assert!(room.run(&["history", "B"]).ok().lines().count() == 1);
    edit(&room, "echo A=2 > \"$1\"; exit 1").fails(1);
    assert_eq!(room.get("A"), "1");
}

/// The file is in memory that is never swapped out, is seen by nobody else, and is gone afterwards.
#[test]
fn the_file_is_nowhere_else() {
    let room = Room::new();
    let secret = random();
    room.set("A", &secret);
    let look = "echo \"$1\" > seen; stat -f -c %T \"$1\" >> seen; stat -c %a \"$1\" \"$(dirname \"$1\")\" >> seen
        nsenter -t 1 -m cat \"$1\" >> seen 2>/dev/null || cat /proc/$PPID/environ > /dev/null; cp \"$1\" \"$1~\"";
    edit(&room, look).ok();
    let seen = fs::read_to_string(room.path("seen")).unwrap();
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines[1..], ["ramfs", "600", "700"], "{}", seen.replace(&secret, "[the secret]"));
    assert!(!Path::new(lines[0]).parent().unwrap().exists());
    // As a user without privileges, in a user namespace.
    fs::copy(env!("CARGO_BIN_EXE_envward"), room.path("envward")).unwrap();
    let script = "chmod -R a+rwX . && exec setpriv --reuid 12345 --regid 12345 --clear-groups ./envward edit";
    let editor = room.script("editor", "stat -f -c %T \"$1\" > seen.user; echo B=2 >> \"$1\"");
    fs::set_permissions(room.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let done = Done::of(&room.program("sh").args(["-c", script]).env("EDITOR", editor).output().unwrap());
    done.ok();
    assert_eq!(fs::read_to_string(room.path("seen.user")).unwrap().trim(), "ramfs");
    assert_eq!(room.get("B"), "2");
}

#[test]
fn a_syntax_error_loses_nothing() {
    let room = Room::new();
    room.set("A", "old");
    let before = fs::read(room.store()).unwrap();
    let secret = random();
    let said = edit(&room, &format!("echo \"B='{secret}\" >> \"$1\"")).fails(7);
    assert!(
        said.contains(":4:") && said.contains("kept") && !said.contains(&secret),
        "{}",
        said.replace(&secret, "[the secret]")
    );
    assert!(fs::read(room.store()).unwrap() == before);
    // What was kept is encrypted, and the next edit begins with it.
    let drafts: Vec<_> = fs::read_dir(room.path("home/.local/state/envward")).unwrap().flatten().collect();
    assert_eq!(drafts.len(), 1);
    assert_eq!(drafts[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(drafts[0].path()).unwrap().contains(&secret));
    edit(&room, "sed -i \"s/^B=.*/&'/\" \"$1\"").ok();
    assert_eq!(room.get("B"), secret);
    assert!(!drafts[0].path().exists());
}

#[test]
fn what_is_no_value_is_refused_and_kept() {
    let room = Room::new();
    edit(&room, "printf 'B=\"a\\001b\"\\n' >> \"$1\"").ok();
    edit(&room, "head -c 200000 /dev/zero | tr '\\0' x | sed 's/^/LONG=/' >> \"$1\"").fails(7);
    edit(&room, "sed -i '/^LONG=/d' \"$1\"").ok();
    assert_eq!(room.get("B"), "a\u{1}b");
}

#[test]
fn two_editors_at_once_lose_nothing() {
    let room = Room::new();
    for name in ["A", "B", "C"] {
        room.set(name, "base");
    }
    let envward = env!("CARGO_BIN_EXE_envward");
    // The first is still open while the second one saves.
    let second = room.script("second", "sed -i 's/^A=.*/A=second/; s/^B=.*/B=second/' \"$1\"; echo E=second >> \"$1\"");
    let first = format!(
        "EDITOR={} {envward} edit < /dev/null || exit 1
        sed -i 's/^A=.*/A=first/; s/^C=.*/C=first/' \"$1\"; echo D=first >> \"$1\"",
        second.display()
    );
    let said = edit(&room, &first).fails(6);
    assert!(said.contains("A (yours is version 3)") && said.contains("revert"), "{said}");
    for (name, value) in [("A", "second"), ("B", "second"), ("C", "first"), ("D", "first"), ("E", "second")] {
        assert_eq!(room.get(name), value, "{name}");
    }
    room.run(&["revert", "A", "3"]).ok();
    assert_eq!(room.get("A"), "first");
}

#[test]
fn real_editors_edit_it() {
    let room = Room::new();
    room.set("A", "one");
    let editor = |command: &str, input: &[u8]| {
        let mut command_line = room.command(&["edit"]);
        command_line.env("EDITOR", command).env("TERM", "xterm");
        crate::room::feed(&mut command_line, input)
    };
    editor("ed -s", b"/^A=/s/one/two/\nw\nq\n").ok();
    assert_eq!(room.get("A"), "two");
    editor("vim.tiny -es", b":%s/^A=two/A=three/\n:wq\n").ok();
    assert_eq!(room.get("A"), "three");
    // nano wants a terminal: Ctrl-W searches, Ctrl-O writes, Ctrl-X ends.
    let script = format!(
        "import os, pty, sys, time, select
pid, fd = pty.fork()
if pid == 0:
    os.execvp({:?}, ['envward', 'edit'])
def drain(seconds):
    end = time.time() + seconds
    while time.time() < end:
        if select.select([fd], [], [], 0.05)[0]:
            try:
                if not os.read(fd, 65536): return False
            except OSError:
                return False
    return True
drain(1.5)
for keys in [b'\\x1bOF', b'\\x1b/', b'N=nano\\r', b'\\x0f', b'\\r', b'\\x18']:
    try: os.write(fd, keys)
    except OSError: break
    if not drain(0.7): break
drain(20)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
",
        env!("CARGO_BIN_EXE_envward")
    );
    let mut nano = room.program("/usr/bin/python3");
    nano.args(["-c", &script]).env("EDITOR", "nano -I").env("TERM", "xterm");
    let done = Done::of(&nano.output().unwrap());
    assert_eq!(done.code, Some(0), "(apt-get install nano) {}", done.err);
    assert_eq!(room.get("N"), "nano");
    // Nothing of it lies about.
    for name in room.files() {
        assert!(["editor", "envward.toml", "home", "secrets.envward"].contains(&name.as_str()), "{name}");
    }
    let home: Vec<_> = fs::read_dir(room.path("home")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!home.iter().any(|name| name.to_string_lossy().contains("vim")), "{home:?}");
}
