//! `[variables.NAME]`, `[inherit]`, and how mistakes are shown.

use std::ffi::OsStr;

use super::*;
use crate::inherit::{NamePattern, Passage};

fn variable(text: &str) -> Variable {
    let config = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(config.variables.len(), 1, "{text}");
    config.variables[0].clone()
}

#[test]
fn a_declaration_is_read() {
    let port = variable(
        "\n[variables.PORT]\ntype = \"port\"\nsecret = false\ndefault = 8080\ndescription = \"where it listens\"\n",
    );
    assert_eq!((port.name.as_str(), port.line, &port.kind), ("PORT", 2, &Kind::Port));
    assert_eq!((port.default.as_deref(), port.required, port.secret), (Some("8080"), false, false));
    assert_eq!(port.description.as_deref(), Some("where it listens"));

    let plain = variable("[variables.A]\n");
    assert_eq!((&plain.kind, plain.required, plain.secret, plain.default), (&Kind::String, true, true, None));
    assert!(!variable("[variables.A]\nrequired = false\n").required);
    assert!(variable("[secrets.A]\nsource = \"stdin\"\n").secret);
    assert_eq!(variable("[variables.A]\nsource = \"file:x\"\n").source, Some(Reference::File("/etc/app/x".into())));
    let level = variable("[variables.A]\ntype = \"enum\"\nvalues = [\"a\", \"b\"]\n");
    assert_eq!(level.kind, Kind::Enum(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(variable("[variables.A]\npattern = \"a+\"\ntype = \"regex\"\n").kind.name(), "regex");
}

#[test]
fn defaults_are_text_or_what_toml_writes_without_quotes() {
    for (written, expected) in
        [("\"\"", ""), ("\"a b\"", "a b"), ("8080", "8080"), ("-1_000", "-1000"), ("1.5", "1.5"), ("true", "true")]
    {
        let text = format!("[variables.A]\nsecret = false\ndefault = {written}\n");
        assert_eq!(variable(&text).default.as_deref(), Some(expected), "{written}");
    }
}

#[test]
fn variables_with_sources_and_rules_come_to_the_launcher_as_secrets_do() {
    let config = parse("[variables.A]\nsource = \"fd:3\"\nonly = [\"*/a\"]\n[secrets.B]\ndeny = [\"*/b\"]\n").unwrap();
    let secrets: Vec<&str> = config.secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(secrets, ["A"]);
    let rules: Vec<String> = config.rules.iter().map(Rule::to_string).collect();
    assert_eq!(rules, ["only A=*/a", "deny B=*/b"]);
    assert!(config.variable("B").is_some() && config.variable("C").is_none());
}

#[test]
fn wrong_declarations_are_told() {
    let cases = [
        ("[variables]\nA = 1\n", "2:1: a variable is a table; write [variables.NAME]"),
        ("[variables.A]\ntype = \"int\"\n", "2:8: no such type; the types are string, non-empty, integer, "),
        ("[variables.A]\ntype = \"integr\"\n", "2:8: no such type; did you mean `integer`?"),
        ("[variables.A]\ntype = \"Port\"\n", "2:8: no such type; did you mean `port`?"),
        ("[variables.A]\ntype = \"enum\"\n", "2:8: the type `enum` needs `values` beside it"),
        ("[variables.A]\ntype = \"enum\"\nvalues = []\n", "3:10: no values; name those"),
        ("[variables.A]\ntype = \"regex\"\n", "2:8: the type `regex` needs `pattern` beside it"),
        ("[variables.A]\ntype = \"regex\"\npattern = \"(\"\n", "3:11: not a regular expression: "),
        ("[variables.A]\nvalues = [\"a\"]\n", "2:10: `values` belongs to the type `enum`"),
        ("[variables.A]\ntype = \"port\"\npattern = \"a\"\n", "3:11: `pattern` belongs to the type `regex`"),
        ("[variables.A]\ndefault = \"hunter2\"\n", "2:11: A: a default for a secret would be a secret in a file"),
        ("[variables.A]\nsecret = true\ndefault = 1\n", "3:11: A: a default for a secret"),
        ("[secrets.A]\ndefault = \"hunter2\"\n", "2:1: A: a default for a secret"),
        ("[secrets.A]\nsecret = false\n", "2:1: what stands in [secrets] is secret; move it to [variables]"),
        (
            "[variables.A]\nsecret = false\ntype = \"port\"\ndefault = \"hunter2\"\n",
            "4:11: A: the default must be a port from 1 to 65535",
        ),
        ("[variables.A]\nsecret = false\ndefault = 0x10\n", "3:11: write the default as a string or as a plain"),
        ("[variables.A]\nsecret = false\ndefault = \"\\u0000\"\n", "3:11: the default holds a NUL character"),
        ("[variables.A]\nsecret = false\ndefault = nan\n", "3:11: write the default as a string or as a plain"),
        ("[variables.A]\nsecret = false\ndefault = [1]\n", "3:11: `default` is of type array; it must be a string,"),
        (
            "[variables.A]\nsecret = false\nrequired = true\ndefault = 1\n",
            "3:12: A: a variable with a default is never missing",
        ),
        ("[variables.A]\nrequired = \"yes\"\n", "2:12: `required` is of type string; it must be true or false"),
        (
            "[variables.A]\nsecret = false\nonly = [\"*/a\"]\n",
            "3:8: A: rules keep secrets from programs, and this variable is declared secret = false",
        ),
        ("[variables.A]\n[secrets.A]\n", "2:10: A stands in [secrets] and in [variables]"),
        ("[variables.A]\nvalue = 1\n", "2:1: this file holds references, never values"),
        ("[variables.A]\nrequird = true\n", "2:1: unknown key `requird` in a variable; did you mean `required`?"),
        ("[inherit]\nallow = \"PATH\"\n", "2:9: `allow` is of type string; it must be an array of strings"),
        ("[inherit]\nallow = [\"A\", \"\"]\n", "2:15: an empty pattern"),
        ("[inherit]\ndeny = [\"A=hunter2\"]\n", "2:9: the pattern can match no name"),
        ("[inherit]\nalow = []\n", "2:1: unknown key `alow` in [inherit]; did you mean `allow`?"),
    ];
    for (text, message) in cases {
        let error = parse(text).expect_err(text);
        assert!(error.to_string().starts_with(message), "{text}: {error}");
        assert!(!format!("{error} {error:?} {}", error.excerpt()).contains(MISPLACED), "{error}");
    }
}

#[test]
fn everything_that_is_wrong_is_told() {
    let text = "[run]\nmod = 1\nmode = \"x\"\n[variables.A]\ntype = \"x\"\ndefault = 1\n[secrets]\nB = 1\n[oh]\n";
    let errors = File::parse(text, Path::new("")).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| (error.line(), error.column())).collect();
    assert_eq!(places, [(2, 1), (3, 8), (5, 8), (6, 11), (8, 1), (9, 2)]);
    let errors = File::parse("a = \n[run\nb = \"hunter2\n", Path::new("")).unwrap_err();
    assert!(errors.len() > 1 && errors.iter().all(|error| error.message().starts_with("not TOML: ")), "{errors:?}");
}

#[test]
fn the_caret_stands_below_what_is_wrong_and_no_value_above_it() {
    for (text, excerpt) in [
        ("[run]\nenvfiles = [\"hunter2\"]\n", "  |\n2 | envfiles\n  | ^^^^^^^^"),
        ("[run]\nmode = \"hunter2\"\n", "  |\n2 | mode = …\n  |        ^"),
        ("[run]\nmode=\"hunter2\"\n", "  |\n2 |      …\n  |      ^"),
        ("\n\n\n\n\n\n\n\n\n[runn]\n", "   |\n10 |  runn\n   |  ^^^^"),
        ("[secrets]\nA = { hunter2 = 1 }\n", "  |\n2 |       hunter2\n  |       ^^^^^^^"),
        ("[secrets]\nA = { x = \"hunter2\", type = 1 }\n", "  |\n2 |       x\n  |       ^"),
        ("[secrets]\nA = hunter2\n", "  |\n2 |     …\n  |     ^"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.excerpt(), excerpt, "{text}");
    }
}

#[test]
fn inherited_variables_are_listed() {
    let config = parse("[inherit]\nallow = [\"PATH\", \"LC_*\"]\ndeny = [\"LC_ALL\"]\n").unwrap();
    assert_eq!(config.inherit.passage(b"PATH", false), Passage::Passes);
    assert_eq!(config.inherit.passage(b"HOME", false), Passage::NotListed);
    let denied = NamePattern::parse(OsStr::new("LC_ALL")).unwrap();
    assert_eq!(config.inherit.passage(b"LC_ALL", false), Passage::Denied(&denied));
    assert!(parse("").unwrap().inherit.is_everything());
    assert!(!parse("[inherit]\nallow = []\n").unwrap().inherit.is_everything());
}
