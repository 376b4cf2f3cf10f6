//! `envward env parse` and `convert`, and dialects on `envward run`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

const DIALECTS: [&str; 9] =
    ["dotenvy", "dotenv", "dotenv-expand", "dotenvx", "node", "ruby", "python", "compose", "shell"];

/// Stands for a value; no message may hold it.
const MARK: &str = "obviously-not-a-secret";

struct Room {
    directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn envward(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_envward")).args(arguments).current_dir(self.directory.path()).output().unwrap()
    }

    /// What `env parse` shows as JSON.
    fn parsed(&self, dialect: &str, file: &str) -> Value {
        let output = self.envward(&["env", "parse", "--json", "--reveal", "--dialect", dialect, file]);
        assert!(output.status.success(), "{dialect}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn error(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_dialect_shows_one_json_object_in_the_order_of_the_file() {
    let room = Room::new();
    room.file("a.env", "Z=1\nA=\"two words\"\nM='x'\nZ=last\n");
    for dialect in DIALECTS {
        let output = room.envward(&["env", "parse", "--dialect", dialect, "--json", "--reveal", "a.env"]);
        assert_eq!(output.status.code(), Some(0), "{dialect}: {}", error(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "{\"Z\":\"last\",\"A\":\"two words\",\"M\":\"x\"}\n", "{dialect}");
    }
}

#[test]
fn values_are_shown_only_when_asked_for() {
    let room = Room::new();
    room.file("a.env", &format!("A={MARK}\nB=\"{MARK}\"\n"));
    let json = room.envward(&["env", "parse", "--json", "a.env"]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap(), json!({"A": null, "B": null}));
    let table = room.envward(&["env", "parse", "a.env"]);
    assert_eq!(String::from_utf8(table.stdout).unwrap(), "A  a.env:1\nB  a.env:2\n");
    let revealed = room.envward(&["env", "parse", "--reveal", "a.env"]);
    assert_eq!(String::from_utf8(revealed.stdout).unwrap(), format!("A  \"{MARK}\"\nB  \"{MARK}\"\n"));
}

#[test]
fn any_text_is_right_in_json() {
    let room = Room::new();
    room.file("a.env", "A=\"\\\"\\\\\\n\\r\\t\\b\\u001f\\u007f\\u00e9\\u4e16\u{1f642}/\"\n");
    assert_eq!(room.parsed("dotenvy", "a.env"), json!({"A": "\"\\\n\r\t\u{8}\u{1f}\u{7f}é世🙂/"}));
    room.file("p.env", "A\nB=1\n");
    assert_eq!(room.parsed("python", "p.env"), json!({"A": null, "B": "1"}));
}

#[test]
fn what_a_dialect_rejects_is_shown_with_a_caret_and_without_a_value() {
    let room = Room::new();
    for (dialect, text, place) in [
        ("dotenvy", format!("A=1\nKEY={MARK}'{MARK}\n"), "2:27: KEY: "),
        ("ruby", format!("A={MARK}\nexport B\n"), "2:1: "),
        ("compose", format!("A={MARK}\nKEY=\"{MARK}\n"), "2:5: KEY: "),
        ("compose", format!("KEY={MARK}${{X:?{MARK}}}\n"), "1:5: KEY: "),
        ("shell", format!("KEY={MARK} {MARK}\n"), "1:28: "),
        ("dotenvx", "KEY=$(touch ran)\n".to_owned(), "1:5: KEY: "),
    ] {
        room.file("bad.env", &text);
        let output = room.envward(&["env", "parse", "--json", "--reveal", "--dialect", dialect, "bad.env"]);
        let said = error(&output);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{dialect}: {said}");
        assert!(said.starts_with(&format!("envward: bad.env:{place}")), "{dialect}: {said}");
        assert!(said.trim_end().ends_with('^') && said.contains(';'), "{dialect}: {said}");
        assert!(!said.contains(MARK), "{dialect}: a value is shown");
    }
    assert!(!room.directory.path().join("ran").exists(), "nothing has run");
}

#[test]
fn the_caret_is_below_the_place() {
    let room = Room::new();
    room.file("bad.env", "A=1\n  KEY = secret'secret\n");
    let output = room.envward(&["env", "parse", "bad.env"]);
    let said = error(&output);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(&lines[1..], ["  2 |   KEY = ······…", "    |               ^"], "{said}");
}

#[test]
fn what_else_goes_wrong_has_its_own_status() {
    let room = Room::new();
    room.file("a.env", "A=1\n");
    for (arguments, status) in [
        (&["env", "parse", "missing.env"][..], 1),
        (&["env", "parse", "--dialect", "fish", "a.env"][..], 2),
        (&["env", "convert", "--from", "node", "--to", "shell", "a.env"][..], 2),
        (&["env", "parse"][..], 2),
    ] {
        let output = room.envward(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", error(&output));
    }
}

#[test]
fn commands_run_only_when_asked_for_and_without_a_shell() {
    let room = Room::new();
    let marker = room.directory.path().join("ran");
    for dialect in ["dotenvy", "dotenvx", "ruby", "shell"] {
        room.file("a.env", "A=\"<$(printf %s-%s x 'y;z')>\"\nB=\"$(touch ran)\"\n");
        let off = room.envward(&["env", "parse", "--reveal", "--json", "--dialect", dialect, "a.env"]);
        assert_eq!(off.status.code(), Some(3), "{dialect}");
        assert!(!marker.exists(), "{dialect}: nothing has run");
        let on =
            room.envward(&["env", "parse", "--reveal", "--json", "--allow-commands", "--dialect", dialect, "a.env"]);
        let values: Value = serde_json::from_slice(&on.stdout).unwrap_or_else(|_| panic!("{dialect}: {}", error(&on)));
        assert_eq!(values, json!({"A": "<x-y;z>", "B": ""}), "{dialect}");
        assert!(marker.exists(), "{dialect}");
        fs::remove_file(&marker).unwrap();
        room.file("a.env", "A=\"$(true > ran)\"\n");
        let piped = room.envward(&["env", "parse", "--allow-commands", "--dialect", dialect, "a.env"]);
        assert_eq!(piped.status.code(), Some(3), "{dialect}: no shell");
        assert!(!marker.exists(), "{dialect}: no shell");
    }
    for dialect in ["dotenv", "dotenv-expand", "node", "python", "compose"] {
        room.file("a.env", "A='$(touch ran)'\n");
        assert_eq!(room.parsed(dialect, "a.env"), json!({"A": "$(touch ran)"}), "{dialect}");
        assert!(!marker.exists(), "{dialect}: nothing has run");
    }
}

#[test]
fn a_converted_file_means_the_same() {
    let room = Room::new();
    room.file("from.env", "PLAIN=x\nSPACES=' a b '\nQUOTE='say \"hi\"'\nHASH='a#b'\nLINES='a\nb'\nEMPTY=\n");
    let values = room.parsed("dotenvy", "from.env");
    for to in DIALECTS {
        let target = format!("to-{to}.env");
        let output = room.envward(&["env", "convert", "--from", "dotenvy", "--to", to, "-o", &target, "from.env"]);
        assert_eq!(output.status.code(), Some(0), "{to}: {}", error(&output));
        assert!(output.stdout.is_empty(), "{to}: nothing is shown");
        let mode = fs::metadata(room.directory.path().join(&target)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{to}");
        assert_eq!(room.parsed(to, &target), values, "{to}");
        let again = room.envward(&["env", "convert", "--from", "dotenvy", "--to", to, "-o", &target, "from.env"]);
        assert_eq!(again.status.code(), Some(1), "{to}: an existing file stays");
        let shown = room.envward(&["env", "convert", "--from", to, "--to", "dotenvy", "--reveal", &target]);
        room.file("back.env", std::str::from_utf8(&shown.stdout).unwrap());
        assert_eq!(room.parsed("dotenvy", "back.env"), values, "{to} and back");
    }
}

#[test]
fn what_a_dialect_cannot_express_is_refused_by_name() {
    let room = Room::new();
    room.file("from.env", "FINE=1\nHARD='${X}'\n");
    let output = room.envward(&["env", "convert", "--from", "dotenvy", "--to", "python", "--reveal", "from.env"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    let said = error(&output);
    assert!(said.contains("HARD") && said.contains("python") && !said.contains("${X}"), "{said}");
    room.file("names.env", "my.key=1\n");
    let output = room.envward(&["env", "convert", "--from", "dotenv", "--to", "shell", "--reveal", "names.env"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(error(&output).contains("my.key"));
}

#[test]
fn run_reads_env_files_in_their_dialects() {
    let room = Room::new();
    room.file("one.env", "A=x#y\nB=\"${A:-z}\"\n");
    room.file("two.env", "C=${A:-d}${E:-f}\n");
    room.file("envward.toml", "[run]\nenv-files = [\"one.env\", \"two.env\"]\ndialect = \"dotenv\"\ndialects = { \"two.env\" = \"compose\" }\n");
    let show = ["sh", "-c", "printf '%s|%s|%s|%s' \"$A\" \"$B\" \"$C\" \"$D\""];
    let run = |options: &[&str]| {
        let output = room.envward(&[&["run", "--quiet"], options, &["--"], &show].concat());
        assert!(output.status.success(), "{}", error(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run(&[]), "x|${A:-z}|xf|");
    room.file("three.env", "D=a\\ b # c\n");
    assert_eq!(run(&["--dialect", "shell", "--env-file", "three.env"]), "x|${A:-z}|xf|a b");
    room.file("four.env", "D=$(printf ran)\n");
    assert_eq!(run(&["--dialect", "ruby", "--allow-commands", "--env-file", "four.env"]), "x|${A:-z}|xf|ran");
    let off = room.envward(&[&["run", "--dialect", "ruby", "--env-file", "four.env", "--"], &show[..]].concat());
    assert_eq!(off.status.code(), Some(125), "{}", error(&off));
}
