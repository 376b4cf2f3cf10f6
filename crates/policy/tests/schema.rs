//! `docs/envward.schema.json` and the parser know the same keys and say the same of files.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests are not recognised as tests")]

use std::collections::BTreeSet;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use envward_policy::config::{File, keys};
use envward_policy::kind::KIND_NAMES;
use envward_policy::{Mechanism, Mode};
use envward_testkit::blocks;
use proptest::prelude::*;
use serde_json::Value;

const SCHEMA: &str = include_str!("../../../docs/envward.schema.json");
const PAGE: &str = include_str!("../../../docs/configuration.md");
const EXAMPLE: &str = include_str!("../../../examples/shop/envward.toml");

/// What a schema cannot see, as the parser says it.
const BEYOND: &[&str] = &[
    "both required and best effort",
    "must be ", // A default that is not of its type.
    "regular expression",
    "no such profile",
    "not in env-files",
    "the dialect of a file that is not read",
    "in a circle",
    "[secrets] and in [variables]",
    "in the profile",
    "needs the number", // fd: with more digits than a number has.
    "NUL character",
    "plain decimal number", // 0x10, which JSON does not have.
];

struct Judge {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let mut compiler = Compiler::new();
        let schema = serde_json::from_str(SCHEMA).expect("the schema is JSON");
        compiler.add_resource("envward.json", schema).expect("it can be added");
        let mut schemas = Schemas::new();
        let index = compiler.compile("envward.json", &mut schemas).unwrap_or_else(|error| panic!("{error:#}"));
        Self { schemas, index }
    }

    /// Holds one against the other.
    fn compare(&self, text: &str) -> Result<(), String> {
        let Ok(value) = toml::from_str::<Value>(text) else { return Ok(()) };
        let by_schema = self.schemas.validate(&value, self.index).map_err(|error| format!("{error:#}"));
        let by_parser = File::parse(text, Path::new(""));
        match (by_schema, by_parser) {
            (Ok(()), Ok(_)) | (Err(_), Err(_)) => Ok(()),
            (Err(error), Ok(_)) => Err(format!("only the schema refuses\n{text}\n{error}")),
            (Ok(()), Err(errors)) => {
                let is_beyond = |error: &String| BEYOND.iter().any(|part| error.contains(part));
                let mut errors = errors.iter().map(ToString::to_string);
                match errors.find(|error| !is_beyond(error)) {
                    None => Ok(()),
                    Some(error) => Err(format!("only the parser refuses\n{text}\n{error}")),
                }
            }
        }
    }
}

fn properties(of: &Value) -> BTreeSet<&str> {
    of["properties"].as_object().expect("properties").keys().map(String::as_str).collect()
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

#[test]
fn both_know_the_same_keys_and_names() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let definitions = &schema["$defs"];
    for (table, known) in [
        (&schema, keys::FILE),
        (&definitions["run"], keys::RUN),
        (&definitions["store"], keys::STORE),
        (&definitions["inherit"], keys::INHERIT),
        (&definitions["variable"], keys::VARIABLE),
        (&definitions["secret"], keys::SECRET),
        (&definitions["profile"], keys::PROFILE),
    ] {
        assert_eq!(properties(table), known.iter().copied().collect());
        assert_eq!(table["additionalProperties"], false);
        for (key, described) in table["properties"].as_object().unwrap() {
            assert!(described.get("description").is_some() || described.get("$ref").is_some(), "{key}");
        }
    }
    assert_eq!(names(&definitions["variable"]["properties"]["type"]["enum"]), KIND_NAMES.into_iter().collect());
    assert_eq!(
        names(&definitions["run"]["properties"]["mode"]["enum"]),
        Mode::ALL.iter().map(|one| one.name()).collect()
    );
    let mechanisms: BTreeSet<_> = Mechanism::ALL.iter().map(|one| one.name()).chain(["all"]).collect();
    for key in ["require", "best-effort"] {
        let ways = &definitions["run"]["properties"][key]["anyOf"];
        assert_eq!(names(&ways[0]["enum"]), mechanisms);
        assert_eq!(names(&ways[1]["items"]["enum"]), mechanisms);
    }
}

#[test]
fn both_say_the_same_of_every_file_in_the_documentation() {
    let judge = Judge::new();
    let blocks = blocks(PAGE);
    let files = blocks.iter().filter(|block| block.language == "toml").map(|block| block.text.as_str());
    for text in files.chain([EXAMPLE]) {
        judge.compare(text).unwrap_or_else(|error| panic!("{error}"));
    }
    // And it does refuse something.
    let wrong: Value = serde_json::json!({"run": {"mod": "full"}});
    assert!(judge.schemas.validate(&wrong, judge.index).is_err());
}

/// Every key, with what may and what may not stand behind it.
#[test]
fn both_say_the_same_of_every_key() {
    let judge = Judge::new();
    let values = [
        "true",
        "false",
        "1",
        "1.5",
        "\"\"",
        "\"x\"",
        "\"all\"",
        "\"yama\"",
        "\"full\"",
        "\"node\"",
        "\"port\"",
        "\"enum\"",
        "\"regex\"",
        "\"file:x\"",
        "\"file:\"",
        "\"fd:3\"",
        "\"fd:x\"",
        "\"env\"",
        "\"node\"",
        "{ a = \"node\" }",
        "{ a = \"x\" }",
        "[]",
        "[\"\"]",
        "[\"*/x\"]",
        "[\"x\"]",
        "[\"A=B\"]",
        "[\"a[b]\"]",
        "[\"/a\\\\\"]",
        "[\"/a\\\\b\"]",
        "[\"yama\"]",
        "[1]",
        "{}",
        "{ x = {} }",
        "{ x = \"node\" }",
        "1979-05-27",
    ];
    let mut accepted = BTreeSet::new();
    for (table, known) in [
        ("", keys::FILE),
        ("[run]", keys::RUN),
        ("[store]", keys::STORE),
        ("[profiles.p.store]", keys::STORE),
        ("[inherit]", keys::INHERIT),
        ("[variables.A]", keys::VARIABLE),
        ("[variables.A]\nsecret = false", keys::VARIABLE),
        ("[variables.A]\ntype = \"enum\"", keys::VARIABLE),
        ("[variables.A]\ntype = \"regex\"", keys::VARIABLE),
        ("[secrets.A]", keys::SECRET),
        ("[secrets.A]\ntype = \"enum\"", keys::SECRET),
        ("[secrets.A]\ntype = \"regex\"", keys::SECRET),
        ("[profiles.p]", keys::PROFILE),
        ("[profiles.p.variables.A]", keys::VARIABLE),
        ("[profiles.p.secrets.A]", keys::SECRET),
        ("[profiles.p.run]", keys::RUN),
        ("[profiles.\"p p\"]", keys::PROFILE),
    ] {
        for key in known.iter().chain(&["unknown", "value"]) {
            for value in values {
                let text = format!("{table}\n{key} = {value}\n");
                judge.compare(&text).unwrap_or_else(|error| panic!("{error}"));
                if File::parse(&text, Path::new("")).is_ok() {
                    accepted.insert((known.as_ptr(), *key));
                }
            }
        }
    }
    // Every known key was right at least once, so that the comparison says something.
    for known in [keys::FILE, keys::RUN, keys::STORE, keys::INHERIT, keys::VARIABLE, keys::SECRET] {
        for key in known {
            assert!(accepted.contains(&(known.as_ptr(), *key)), "{key} was never right");
        }
    }
}

/// A line of a file.
fn line() -> impl Strategy<Value = String> {
    let table = prop::sample::select(vec![
        "[run]",
        "[inherit]",
        "[variables.A]",
        "[variables.B]",
        "[secrets.A]",
        "[profiles.p]",
        "[profiles.q.variables.A]",
        "[profiles.p.run]",
        "[profiles.q.inherit]",
    ]);
    let keys: Vec<&str> = [keys::RUN, keys::INHERIT, keys::VARIABLE, &["extends", "x"]].concat();
    let value = prop::sample::select(vec![
        "true",
        "false",
        "1",
        "\"p\"",
        "\"q\"",
        "\"port\"",
        "\"enum\"",
        "\"regex\"",
        "[\"*/x\"]",
        "[\"yama\"]",
        "\"file:x\"",
        "[]",
        "\"full\"",
        "\"a\"",
    ]);
    prop_oneof![
        1 => table.prop_map(str::to_owned),
        3 => (prop::sample::select(keys), value).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn both_say_the_same_of_random_files(lines in prop::collection::vec(line(), 0..8)) {
        thread_local!(static JUDGE: Judge = Judge::new());
        let outcome = JUDGE.with(|judge| judge.compare(&lines.join("\n")));
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}
