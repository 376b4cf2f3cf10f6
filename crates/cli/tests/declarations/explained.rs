//! `envward env explain`: where a value comes from, without the value.

use super::project::{Project, expect_documented};

const CONFIG: &str = r#"
[run]
env-files = ["base.env", "app.env"]

[inherit]
deny = ["AWS_*"]

[variables.URL]
type = "url"
description = "the database"
only = ["*/psql", "/usr/bin/pg_dump"]
deny = ["*/curl"]

[variables.LEVEL]
secret = false
default = "info"

[variables.TOKEN]
required = false

[profiles.base]
[profiles.staging]
extends = "base"
"#;

fn project() -> Project {
    Project::new(&[
        ("envward.toml", CONFIG),
        ("base.env", "USER=hunter2\nURL=http://hunter2\n"),
        ("app.env", "\nURL=\"postgres://${USER}@host/${USER}\"\n"),
        ("bad.env", "URL=hunter2 hunter2\n"),
    ])
}

/// Options, environment, exit status, lines.
#[test]
fn every_way_to_a_value_is_told() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        (
            &["URL", "--profile", "staging"],
            &[("URL", "hunter2")],
            0,
            &[
                "URL\n",
                "  state      a secret: programs get it in protected memory\n",
                "  value from app.env:2:5\n",
                "  instead of environment, base.env:2\n",
                "  takes in   ${USER}\n",
                "  declared   envward.toml:8, required\n",
                "  for        the database\n",
                "  type       url: the value is one\n",
                "  seen by    */psql, /usr/bin/pg_dump, but not */curl\n",
                "  profile    staging, which extends base\n",
            ],
        ),
        (
            &["URL", "--env-file", "bad.env"],
            &[],
            0,
            &[
                "value from bad.env:1:5\n",
                "instead of base.env:2, app.env:2\n",
                "type       url: the value is NOT one\n",
                "bad.env:1:5: URL: must be a URL",
            ],
        ),
        (&["USER"], &[], 0, &["state      a secret", "value from base.env:1:6\n", "seen by    every program\n"]),
        (
            &["LEVEL"],
            &[],
            0,
            &["state      plain", "value from default\n", "declared   envward.toml:14, with a default\n"],
        ),
        (&["LEVEL"], &[("LEVEL", "x")], 0, &["state      plain", "value from environment\n", "instead of default\n"]),
        (&["TOKEN"], &[], 1, &["state      no value\n", "declared   envward.toml:18, optional\n"]),
        // A declared secret is taken out of the environment.
        (&["TOKEN"], &[("TOKEN", "hunter2")], 0, &["state      a secret", "value from environment\n"]),
        (&["HOME"], &[("HOME", "hunter2")], 0, &["state      plain", "value from environment\n"]),
        (
            &["AWS_REGION"],
            &[("AWS_REGION", "hunter2")],
            1,
            &["state      withheld", "because    it is in the environment, and the list `deny` has AWS_*\n"],
        ),
        (
            &["HOME", "--pristine"],
            &[("HOME", "hunter2")],
            1,
            &["state      withheld", "no list of what is inherited has it\n"],
        ),
        (&["HOME", "--inherit", "HO*"], &[("HOME", "hunter2")], 0, &["state      plain"]),
        (&["NOTHING"], &[], 1, &["NOTHING\n  state      no value\n"]),
    ];
    let project = project();
    for (arguments, environment, code, lines) in cases {
        let arguments = [&["env", "explain"], *arguments].concat();
        project.run_with(&arguments, environment).expect(*code, lines);
        expect_documented(&project.run_with(&[&arguments[..], &["--json"]].concat(), environment).json());
    }
}

#[test]
fn the_same_as_json() {
    let said = project().run_with(&["env", "explain", "--json", "URL", "--profile", "staging"], &[("URL", "hunter2")]);
    assert_eq!(said.code, 0, "{}", said.err);
    let expected = serde_json::json!({
        "schema": "envward.explain/1",
        "name": "URL",
        "state": "protected",
        "origin": "app.env:2:5",
        "file": "app.env",
        "line": 2,
        "column": 5,
        "overrides": ["environment", "base.env:2"],
        "takes_in": ["USER"],
        "secret": true,
        "declared": {
            "line": 8, "type": "url", "required": true, "has_default": false, "description": "the database", "fits": true,
        },
        "only": ["*/psql", "/usr/bin/pg_dump"],
        "deny": ["*/curl"],
        "config": "envward.toml",
        "profiles": ["staging", "base"],
        "findings": [],
    });
    assert_eq!(said.json(), expected);
}

#[test]
fn a_source_that_fails_is_told_beside_it() {
    let project = project();
    project
        .run(&["env", "explain", "USER", "--env-file", "gone.env"])
        .expect(0, &["base.env:1:6", "cannot open gone.env"]);
    project.run(&["env", "explain", "USER", "--config", "gone.toml"]).complains(1, &["cannot read gone.toml"]);
    project.run(&["env", "explain"]).complains(2, &["NAME"]);
}
