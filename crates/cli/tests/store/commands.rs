//! What each command does.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::room::{Room, random};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn init_makes_what_run_needs() {
    let room = Room::empty();
    let said = json(&room.run(&["init", "--json"]).ok());
    assert_eq!(said["identity_made"], true);
    let identity = room.path("home/.config/envward/identity.txt");
    assert_eq!(fs::metadata(&identity).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(identity.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    // Nothing that exists is replaced.
    room.run(&["init"]).fails(5);
    let second = Room::empty();
    second.write("envward.toml", "[run]\nmode = \"supervised\"");
    second.run(&["init", "--identity", identity.to_str().unwrap(), "--store", "team.envward"]).ok();
    let config = fs::read_to_string(second.path("envward.toml")).unwrap();
    assert!(config.starts_with("[run]\nmode = \"supervised\"\n\n[store]\npath = \"team.envward\"\nidentity = "));
    second.set("A", "value");
    assert_eq!(second.run(&["run", "-q", "--", "sh", "-c", "test \"$A\" = value"]).code, Some(0));
}

#[test]
fn run_needs_no_flags_and_gives_the_secrets_as_any_source_does() {
    let room = Room::new();
    let secret = random();
    room.set("API_TOKEN", &secret);
    room.set("OTHER", "of the store");
    room.set("GONE", "removed");
    room.run(&["rm", "GONE"]).ok();
    let look = format!(
        "test \"$API_TOKEN\" = {secret} && test -z \"$GONE\" && test \"$OTHER\" = \"$1\" && ! grep -q {secret} /proc/$$/environ"
    );
    let script = room.script("look", &look);
    let script = script.to_str().unwrap();
    let done = room.run(&["run", "-q", "--", script, "of the store"]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    // Env files come on top.
    room.write("app.env", "OTHER='of the file'\n");
    assert_eq!(room.run(&["run", "-q", "--env-file", "app.env", "--", script, "of the file"]).code, Some(0));
    // Rules are kept for its secrets too.
    let without = room.run(&["run", "-q", "--only", "API_TOKEN=/nowhere", "--", "sh", "-c", "test -z \"$API_TOKEN\""]);
    assert_eq!(without.code, Some(0), "{}", without.err);
    // Without the configuration there is no store.
    room.run(&["run", "--no-config", "--", "true"]).fails(125);
}

#[test]
fn values_are_what_was_given() {
    let room = Room::new();
    for (given, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("one break\n", "one break"),
        ("dos\r\n", "dos"),
        ("two\n\n", "two\n"),
        (" blanks ", " blanks "),
        ("it's \"$HOME\" ${x} `y` \\ # é世", "it's \"$HOME\" ${x} `y` \\ # é世"),
    ] {
        room.set("A", given);
        assert_eq!(room.get("A"), expected);
        assert_eq!(room.run(&["get", "A"]).ok(), format!("{expected}\n"));
        assert_eq!(json(&room.run(&["get", "--json", "A"]).ok())["value"], expected);
    }
    let long = "x".repeat(100_000);
    room.set("A", &long);
    assert!(room.get("A") == long);
}

#[test]
fn a_value_is_never_an_argument() {
    let room = Room::new();
    let before = fs::read(room.store()).unwrap();
    for arguments in [
        &["set", "A=hunter2"][..],
        &["set", "A", "hunter2"],
        &["set", "A", "--", "hunter2"],
        &["set", "A", "--json", "hunter2"],
    ] {
        let said = room.run(arguments).fails(2);
        assert!(said.contains("no argument") && !said.contains("hunter2"), "{said}");
    }
    for input in [&b"a\0b"[..], b"\xff", &vec![b'x'; 200_000]] {
        room.feed(&["set", "A"], input).fails(7);
    }
    room.feed(&["set", "1A"], b"v").fails(2);
    assert!(fs::read(room.store()).unwrap() == before);
}

#[test]
fn generated_values_follow_their_rule() {
    let room = Room::new();
    for (rule, length) in [("hex:8", 16), ("uuid", 36), ("alnum:30", 30), ("chars:5:xy", 5)] {
        room.run(&["set", "A", "--generate", rule]).ok();
        assert_eq!(room.get("A").len(), length, "{rule}");
    }
    room.run(&["set", "A", "--generate", "words"]).fails(2);
    assert_eq!(json(&room.run(&["set", "A", "--generate", "hex", "--json"]).ok())["version"], 5);
}

#[test]
fn versions_are_kept_and_come_back() {
    let room = Room::new();
    for value in ["first", "second"] {
        room.set("A", value);
    }
    room.run(&["rm", "A"]).ok();
    room.run(&["get", "A"]).fails(1);
    assert_eq!(room.run(&["list"]).ok(), "");
    assert!(room.run(&["list", "--all"]).ok().contains("removed"));
    let history = json(&room.run(&["history", "A", "--json"]).ok());
    let states: Vec<_> =
        history["versions"].as_array().unwrap().iter().map(|version| version["state"].clone()).collect();
    assert_eq!(states, ["set", "set", "removed"]);
    assert_eq!(room.run(&["get", "--raw", "--version", "1", "A"]).ok(), "first");
    room.run(&["revert", "A", "2"]).ok();
    assert_eq!(room.get("A"), "second");
    room.run(&["revert", "A", "9"]).fails(1);
    room.run(&["revert", "B", "1"]).fails(1);
    room.run(&["history", "B"]).fails(1);
    room.run(&["rm", "B"]).fails(1);
}

#[test]
fn purging_takes_every_version_out() {
    let room = Room::new();
    room.set("A", "kept");
    room.set("B", "purged");
    let before = fs::read_to_string(room.store()).unwrap();
    room.run(&["rm", "--purge", "B"]).ok();
    let after = fs::read_to_string(room.store()).unwrap();
    assert!(!after.contains("secret B "));
    assert_eq!(room.get("A"), "kept");
    room.run(&["history", "B"]).fails(1);
    // The key is another one: an old line does not fit any more.
    let old = before.lines().find(|line| line.starts_with("secret B ")).unwrap();
    fs::write(room.store(), after.replace("end\n", &format!("{old}\nend\n"))).unwrap();
    room.run(&["get", "B"]).fails(4);
}

#[test]
fn listing_takes_no_identity() {
    let room = Room::new();
    room.set("A", "hidden");
    fs::remove_dir_all(room.path("home")).unwrap();
    let list = json(&room.run(&["list", "--json"]).ok());
    assert_eq!(list["secrets"][0]["name"], "A");
    assert!(room.run(&["history", "A"]).ok().contains("set"));
    room.run(&["get", "A"]).fails(3);
}

#[test]
fn an_export_is_imported_as_it_was() {
    let room = Room::new();
    let values = [("A", "x"), ("B", "two\nlines"), ("C", "it's \\ \"$x\"\n"), ("D", ""), ("E", "a\r\nb")];
    for (name, value) in values {
        room.feed(&["set", name, "--stdin"], format!("{value}\n").as_bytes()).ok();
    }
    room.run(&["export", "--output", "all.env"]).ok();
    assert_eq!(fs::metadata(room.path("all.env")).unwrap().permissions().mode() & 0o777, 0o600);
    room.run(&["export", "--output", "all.env"]).fails(5);
    assert_eq!(room.run(&["export"]).ok(), fs::read_to_string(room.path("all.env")).unwrap());
    let object = json(&room.run(&["export", "--json"]).ok());
    let other = Room::new();
    let said = json(&other.run(&["import", "--json", room.path("all.env").to_str().unwrap()]).ok());
    assert_eq!(said["set"].as_array().unwrap().len(), values.len());
    for (name, value) in values {
        assert_eq!(other.get(name), value, "{name}");
        assert_eq!(object[name], value, "{name}");
    }
    // The same again changes nothing.
    let before = fs::read(other.store()).unwrap();
    let text = fs::read(room.path("all.env")).unwrap();
    other.feed(&["import", "-"], &text).ok();
    assert!(fs::read(other.store()).unwrap() == before);
}

#[test]
fn a_file_is_imported_in_its_dialect() {
    let room = Room::new();
    room.write("app.env", "A='it'\\''s'\nB=${A}#1\n");
    room.run(&["import", "app.env"]).fails(7);
    room.run(&["import", "--dialect", "shell", "app.env"]).ok();
    assert_eq!((room.get("A"), room.get("B")), ("it's".to_owned(), "it's#1".to_owned()));
    room.feed(&["import", "--dialect", "dotenv", "-"], b"A='it\\'s'\nB=${A}#1\n").ok();
    assert_eq!((room.get("A"), room.get("B")), ("it\\'s".to_owned(), "${A}".to_owned()));
    let said = room.run(&["import", "--dialect", "bash", "app.env"]).fails(2);
    assert!(said.contains("--dialect") && said.contains("dotenv-expand"), "{said}");
    // Nothing is run.
    room.write("command.env", "A=$(id)\n");
    room.run(&["import", "--dialect", "ruby", "command.env"]).fails(7);
    assert_eq!(room.get("A"), "it\\'s");
}

#[test]
fn a_file_that_is_no_env_file_is_not_imported() {
    let room = Room::new();
    room.write("bad.env", "A=1\nB='hidden\n");
    let before = fs::read(room.store()).unwrap();
    let said = room.run(&["import", "bad.env"]).fails(7);
    assert!(said.contains("bad.env:2:") && !said.contains("hidden"), "{said}");
    room.run(&["import", "none.env"]).fails(5);
    assert!(fs::read(room.store()).unwrap() == before);
}

#[test]
fn branches_that_set_the_same_secret_are_told_apart() {
    let room = Room::new();
    room.set("A", "base");
    let base = fs::read_to_string(room.store()).unwrap();
    room.set("A", "one");
    let one = fs::read_to_string(room.store()).unwrap();
    fs::write(room.store(), &base).unwrap();
    room.set("A", "other");
    let other = fs::read_to_string(room.store()).unwrap();
    let added = one.lines().find(|line| line.starts_with("secret A 2")).unwrap();
    fs::write(room.store(), other.replace("end\n", &format!("{added}\nend\n"))).unwrap();
    let said = room.run(&["run", "--", "true"]).fails(125);
    assert!(said.contains("two newest versions") && said.contains("revert"), "{said}");
    room.run(&["get", "A"]).fails(1);
    let history = json(&room.run(&["history", "A", "--json"]).ok());
    let label = history["versions"][2]["label"].as_str().unwrap().to_owned();
    let value = room.run(&["get", "--raw", "--version", &label, "A"]).ok();
    assert!(["one", "other"].contains(&value.as_str()));
    room.run(&["revert", "A", &label]).ok();
    assert_eq!(room.get("A"), value);
}
