//! `envward check`, and that `envward run` starts nothing that it would find fault with.

use super::project::{Project, expect_documented};

const CONFIG: &str = r#"
[run]
env-files = ["app.env"]

[variables.PORT]
type = "port"
description = "where the server listens"

[variables.RATIO]
type = "float"
secret = false

[variables.MODE]
type = "enum"
values = ["fast", "slow"]
secret = false
default = "slow"

[variables.EXTRA]
type = "url"
required = false

[secrets.KEY]
type = "regex"
pattern = "k_[a-z]+"
source = "file:key"

[profiles.staging]
run.env-files = ["staging.env"]
"#;

const RIGHT: &[(&str, &str)] = &[
    ("envward.toml", CONFIG),
    ("app.env", "PORT=8080\nRATIO=0.5\nEXTRA=\n"),
    ("key", "k_abc\n"),
    ("staging.env", "PORT=\"http\"\n"),
];

/// The same files with another text in some of them.
fn with(changes: &[(&str, &str)]) -> Project {
    let mut files = RIGHT.to_vec();
    for (name, text) in changes {
        files.retain(|(other, _)| other != name);
        files.push((name, text));
    }
    Project::new(&files)
}

#[test]
fn what_is_right_is_ok_and_starts() {
    let project = with(&[]);
    project.run(&["check"]).expect(0, &["ok: envward.toml, 5 variables\n"]);
    let json = project.run(&["check", "--json"]).json();
    assert_eq!((json["schema"].as_str(), json["ok"].as_bool()), (Some("envward.check/1"), Some(true)));
    assert_eq!(json["variables"], serde_json::json!(["EXTRA", "KEY", "MODE", "PORT", "RATIO"]));
    assert_eq!(json["findings"], serde_json::json!([]));
    project.run(&["run", "-q", "--", "sh", "-c", "echo $PORT $RATIO $MODE ${#KEY}"]).expect(0, &["8080 0.5 slow 5\n"]);
}

/// Files, what is said of them, and the kinds in the JSON.
#[test]
fn everything_that_is_wrong_is_found_and_stops_the_start() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            &[("app.env", "PORT=hunter2\n  RATIO = 'hunter2'\nEXTRA=hunter2\nMODE=hunter2"), ("key", "hunter2")],
            &[
                "app.env:1:6: PORT: must be a port from 1 to 65535\n",
                "app.env:2:11: RATIO: must be a number\n",
                "app.env:4:6: MODE: must be one of fast, slow\n",
                "app.env:3:7: EXTRA: must be a URL, as in https://host/path\n",
                "key: KEY: must be a text that matches k_[a-z]+ as a whole\n",
                "5 findings in envward.toml, 5 variables\n",
            ],
            &["type"; 5],
        ),
        (
            &[("app.env", "RATIO=1\n")],
            &["envward.toml:5: PORT: required, and no source has it (where the server listens)\n", "hint: put PORT"],
            &["missing"],
        ),
        (
            &[("app.env", "RATIO=1\nPORT='hunter2")],
            &[
                "app.env:2:6: PORT: the value that starts here is not closed",
                "PORT: required, and no source has it, unless",
            ],
            &["source", "missing"],
        ),
        (
            &[("app.env", "RATIO=${KEY2}\nPORT=1\n")],
            &["app.env:1:7: RATIO: ${KEY2} is not defined"],
            &["source", "missing", "missing"],
        ),
        (
            &[("app.env", "TOKEN=hunter2\nRATIO=1${TOKEN}\nPORT=1\n")],
            &[
                "RATIO: must be a number",
                "RATIO: it is declared secret = false and takes in ${TOKEN}, which is secret\n",
            ],
            &["type", "secret"],
        ),
        (
            &[("envward.toml", "[run]\nenvfiles = [\"hunter2\"]\n[variables.A]\ntype = \"prot\"\n")],
            &[
                "envward.toml:2:1: unknown key `envfiles` in [run]; did you mean `env-files`?\n",
                "2 | envfiles\n",
                "  | ^^^^^^^^\n",
                "envward.toml:4:8: no such type; did you mean `port`?\n",
                "2 findings; nothing else was checked\n",
            ],
            &["config", "config"],
        ),
    ];
    for (changes, lines, kinds) in cases {
        let project = with(changes);
        project.run(&["check"]).expect(1, lines);
        let json = project.run(&["check", "--json"]).json();
        let found: Vec<_> =
            json["findings"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(found, *kinds, "{changes:?}");
        assert_eq!(json["ok"], false);
        expect_documented(&json);
        let marker = project.path("started");
        let said = project.run(&["run", "--", "touch", marker.to_str().unwrap()]);
        // The last line of `check` is a summary.
        let said_of_run = lines.iter().filter(|line| !line.contains("finding"));
        said.complains(125, &said_of_run.copied().collect::<Vec<_>>());
        assert!(!marker.exists(), "{changes:?}: something was started");
    }
}

#[test]
fn mistakes_in_files_have_a_place_in_the_json() {
    let project = with(&[
        ("app.env", "RATIO=1\nPORT='hunter2"),
        ("envward.toml", &CONFIG.replace("\"file:key\"", "\"file:gone\"")),
    ]);
    let json = project.run(&["check", "--json"]).json();
    let places: Vec<String> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}:{}:{}", one["kind"], one["name"], one["file"], one["line"], one["column"]))
        .collect();
    let expected = [
        "\"source\" \"PORT\" \"app.env\":2:6",
        "\"source\" null null:null:null",
        "\"missing\" \"PORT\" \"envward.toml\":5:null",
        "\"missing\" \"KEY\" \"gone\":null:null",
    ];
    assert_eq!(places, expected);
}

/// A secret in what is declared to be none is found in every dialect that takes values in.
#[test]
fn secrets_that_are_taken_in_are_found_in_every_dialect() {
    let config = "[run]\nenv-files = [\"app.env\"]\n[variables.OPEN]\nsecret = false\n";
    let file = "TOKEN=hunter2\nOPEN=a${TOKEN}b\n";
    let in_dialect = |dialect: &str| {
        let config = config.replace("[run]", &format!("[run]\ndialect = \"{dialect}\""));
        Project::new(&[("envward.toml", &config), ("app.env", file)]).run(&["check"])
    };
    for dialect in ["dotenvy", "dotenv-expand", "dotenvx", "ruby", "python", "compose", "shell"] {
        let told = "app.env:2:6: OPEN: it is declared secret = false and takes in ${TOKEN}, which is secret\n";
        in_dialect(dialect).expect(1, &[told]);
    }
    // The two without variables take nothing in.
    for dialect in ["dotenv", "node"] {
        in_dialect(dialect).expect(0, &["ok: envward.toml, 2 variables"]);
    }
}

#[test]
fn profiles_are_checked_by_themselves() {
    let project = with(&[]);
    let wrong = "staging.env:1:6: PORT: must be a port from 1 to 65535\n";
    project.run(&["check", "--profile", "staging"]).expect(1, &[wrong, "1 finding in envward.toml, profile staging"]);
    project.run_with(&["check"], &[("ENVWARD_PROFILE", "staging")]).expect(1, &[wrong]);
    // The option wins, and an empty name is none.
    project.run_with(&["check", "--profile", ""], &[("ENVWARD_PROFILE", "staging")]).expect(0, &["ok"]);
    project.run_with(&["run", "--", "true"], &[("ENVWARD_PROFILE", "staging")]).complains(125, &[wrong]);
    let unknown = "no profile `stagin` (--profile): the file has no such profile; did you mean `staging`?\n";
    project.run(&["check", "--profile", "stagin"]).expect(1, &[unknown]);
    project.run(&["run", "--profile", "stagin", "--", "true"]).complains(125, &[unknown]);
    let empty = Project::new(&[]);
    empty
        .run_with(&["run", "--from-env", "A", "--", "true"], &[("ENVWARD_PROFILE", "x"), ("A", "1")])
        .complains(125, &["no profile `x` (ENVWARD_PROFILE): there is no envward.toml"]);
    let ignored = empty.run_with(
        &["run", "-q", "--no-config", "--from-env", "A", "--", "true"],
        &[("ENVWARD_PROFILE", "x"), ("A", "1")],
    );
    assert_eq!(ignored.code, 0, "{}", ignored.err);
}

#[test]
fn sources_of_the_command_line_are_checked_too() {
    let project = with(&[("other.env", "PORT=hunter2\n")]);
    project.run(&["check", "--env-file", "other.env"]).expect(1, &["other.env:1:6: PORT: must be a port"]);
    project.run(&["check", "--env-file", "gone.env"]).expect(1, &["cannot open gone.env"]);
    project.run(&["check", "--secret", "PORT=file:key"]).expect(1, &["key: PORT: must be a port"]);
    project
        .run_with(&["check", "--from-env", "PORT"], &[("PORT", "hunter2")])
        .expect(1, &["must be a port from 1 to 65535 (environment)"]);
    project.run(&["check", "--secret", "PORT"]).complains(2, &["--secret: no `=`"]);
    project.run(&["check", "--nonsense"]).complains(2, &["--nonsense"]);
    Project::new(&[]).run(&["check"]).complains(2, &["there are no secrets"]);
}

#[test]
fn large_values_are_checked() {
    let body = "QUJD".repeat(16) + "\n";
    let pem = format!("-----BEGIN KEY-----\n{}-----END KEY-----\n", body.repeat(100));
    let json = format!("[{}\"end\"]", "{\"a\": [1, 2, \"\\u00e9\"]}, ".repeat(1000));
    let config =
        "[variables]\nP = { type = \"pem\", source = \"file:p\" }\nJ = { type = \"json\", source = \"file:j\" }\n";
    let project = Project::new(&[("envward.toml", config), ("p", &pem), ("j", &json)]);
    project.run(&["check"]).expect(0, &["ok: envward.toml, 2 variables"]);
    let project = Project::new(&[("envward.toml", config), ("p", &pem[..pem.len() - 8]), ("j", &json[1..])]);
    project.run(&["check"]).expect(
        1,
        &[
            "p: P: must be PEM",
            "(line 1 of the value: the block is not closed by an END)",
            "j: J: must be JSON (wrong at line 1, column",
        ],
    );
}
