use super::*;
use proptest::prelude::*;

const CASES: &str = include_str!("../../tests/types.txt");

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        out.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('s') => ' ',
                Some('\\') => '\\',
                other => panic!("\\{other:?} in {text}"),
            },
            other => other,
        });
    }
    out
}

fn kind(name: &str) -> Kind {
    match name {
        "enum" => Kind::Enum(vec!["debug".to_owned(), "two words".to_owned()]),
        "regex" => Kind::Regex(Pattern::new("sk_[a-z]*").unwrap()),
        name => Kind::simple(name).unwrap_or_else(|| panic!("no type {name}")),
    }
}

#[test]
fn values_are_of_their_types_or_not() {
    let mut seen = std::collections::BTreeMap::<&str, [usize; 2]>::new();
    for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let mut parts = line.splitn(3, ' ');
        let (Some(name), Some(verdict), value) = (parts.next(), parts.next(), parts.next()) else { panic!("{line}") };
        let is_right = match verdict {
            "yes" => true,
            "no" => false,
            _ => panic!("{line}"),
        };
        let outcome = kind(name).check(unescaped(value.unwrap_or_default()).as_bytes());
        assert_eq!(outcome.is_ok(), is_right, "{line}: {outcome:?}");
        seen.entry(name).or_default()[usize::from(is_right)] += 1;
    }
    for name in KIND_NAMES {
        let [wrong, right] = seen.get(name).copied().unwrap_or_default();
        assert!(right > 0 && (wrong > 0 || name == "string"), "{name} has no cases");
        assert_eq!(kind(name).name(), name);
    }
}

#[test]
fn mismatches_tell_what_was_expected_and_where() {
    for (name, value, message) in [
        ("integer", "x7", "must be an integer"),
        ("integer", "", "must be an integer (it is empty)"),
        ("integer", "7\n", "must be an integer (it begins or ends with a blank or a line break)"),
        ("enum", "trace", "must be one of debug, two words"),
        ("regex", "x", "must be a text that matches sk_[a-z]* as a whole"),
        ("json", "{\n  \"a\": oops}", "must be JSON (wrong at line 2, column 8 of the value)"),
        (
            "pem",
            "-----BEGIN X-----\nQUJD\n-----END Y-----",
            "must be PEM: -----BEGIN …-----, base64, -----END …----- \
             (line 3 of the value: the END has another label than the BEGIN)",
        ),
        (
            "pem",
            "-----BEGIN X-----\\nQUJD\\n-----END X-----",
            "must be PEM: -----BEGIN …-----, base64, -----END …----- \
             (it has the two characters \\n for line breaks; in an env file put it in double quotes)",
        ),
    ] {
        assert_eq!(kind(name).check(value.as_bytes()).unwrap_err().to_string(), message);
    }
}

#[test]
fn values_need_not_be_text() {
    for name in KIND_NAMES {
        let outcome = kind(name).check(b"\xff\xfe");
        assert_eq!(outcome.is_ok(), matches!(name, "string" | "non-empty"), "{name}");
    }
}

/// JSON is UTF-8, also where it is only walked over.
#[test]
fn json_is_text() {
    let of_bytes = |value: &[u8]| kind("json").check(value).map_err(|mismatch| mismatch.to_string());
    assert_eq!(of_bytes("\"é\"".as_bytes()), Ok(()));
    assert_eq!(of_bytes(b"\"\xff\""), Err("must be JSON (it is not UTF-8)".to_owned()));
}

#[test]
fn patterns_are_held_against_the_whole_value() {
    for (pattern, value, expected) in [
        ("a|ab", "ab", true),
        ("a|b", "ba", false),
        ("^a$", "a", true),
        ("(?i)abc", "ABC", true),
        ("a.c", "a\nc", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap().matches(value.as_bytes()), expected, "{pattern} {value}");
    }
    for wrong in ["(", "a)|(b", "[z-a]", "\\", "(?x)a # open", "a{2,1}"] {
        assert!(Pattern::new(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The same answer as the standard library's parsers.
    #[test]
    fn numbers_are_what_the_standard_library_says(text in "[+-]?[0-9eE.+-]{0,22}") {
        let integer = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        // The standard library knows no negative zero among the unsigned.
        prop_assert_eq!(Kind::Integer.check(text.as_bytes()).is_ok(), integer);
        prop_assert_eq!(Kind::Float.check(text.as_bytes()).is_ok(), text.parse::<f64>().is_ok());
        let port = text.parse::<u16>().is_ok_and(|port| port > 0) && !text.starts_with('+');
        prop_assert_eq!(Kind::Port.check(text.as_bytes()).is_ok(), port);
    }

    /// The same answer as decoding it.
    #[test]
    fn json_is_what_can_be_decoded(text in "[\\[\\]{}:,\"\\\\ua0-9.e\\- \\n]{0,12}") {
        let decoded = serde_json::from_str::<serde_json::Value>(&text);
        // Half a surrogate pair cannot be decoded, and is JSON by the grammar.
        prop_assume!(!text.contains("\\u"));
        // A number that is out of range cannot be decoded either.
        prop_assume!(!text.contains('e'));
        prop_assert_eq!(Kind::Json.check(text.as_bytes()).is_ok(), decoded.is_ok());
    }

    /// No value is shown, whatever it is and of whatever type it should have been.
    #[test]
    fn no_mismatch_shows_the_value(
        name in prop::sample::select(KIND_NAMES.to_vec()),
        around in prop::sample::select(vec![
            ("", ""), ("https://", "/"), ("{\"a\": ", "}"), ("[", ""), ("\"", ""), ("1", ""), ("", "@"), ("-", "="),
            ("-----BEGIN ", "-----\n"), ("-----BEGIN X-----\n", "\n-----END X-----"), ("sk_", "!"), (" ", "\n"),
        ]),
    ) {
        let value = format!("{}hunter2{}", around.0, around.1);
        if let Err(mismatch) = kind(name).check(value.as_bytes()) {
            let shown = format!("{mismatch} {mismatch:?}");
            prop_assert!(!shown.contains("hunter2"));
        }
    }

    #[test]
    fn any_bytes_are_checked(name in prop::sample::select(KIND_NAMES.to_vec()), value: Vec<u8>) {
        let _ = kind(name).check(&value);
    }
}
