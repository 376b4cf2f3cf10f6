//! Whatever the bytes, the detectors end, stay inside of them, and say the same again.

use envward_detect::{arguments, is_plain_name, text, variable};
use proptest::prelude::*;

/// Bytes with much in them that the detectors look for.
fn rich() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::sample::select(vec![
            "ghp_",
            "AKIA",
            "://",
            "u:p@",
            "=",
            "PASSWORD",
            "TOKEN",
            "-----BEGIN ",
            "PRIVATE KEY-----",
            "eyJ",
            ".",
            ":",
            "\"",
            "'",
            " ",
            "--",
            "-u",
            "AGE-SECRET-KEY-1",
            "\n",
            "=>",
            "Authorization: Bearer ",
            "pass:",
            "\0",
            "$2b$",
            "Q~",
            "hvs.",
            "1",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        "[A-Za-z0-9_-]{0,60}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_variable_is_looked_at_within_its_bounds(string in rich()) {
        let found = variable::detect(&string);
        prop_assert_eq!(&found, &variable::detect(&string));
        if let Some(found) = found {
            prop_assert!(found.range.start < found.range.end && found.range.end <= string.len());
        }
        let _ = is_plain_name(&string);
    }

    #[test]
    fn arguments_are_looked_at_within_their_bounds(line in prop::collection::vec(rich(), 0..6)) {
        let line: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
        for found in arguments::detect(&line) {
            let argument = line[found.index];
            prop_assert!(found.detection.range.start <= found.detection.range.end);
            prop_assert!(found.detection.range.end <= argument.len());
            if let Some((index, name)) = found.name {
                prop_assert!(index <= found.index && name.end <= line[index].len());
                prop_assert!(is_plain_name(&line[index][name]));
            }
        }
    }

    #[test]
    fn lines_are_looked_at_within_their_bounds(line in rich()) {
        for syntax in [text::Syntax::Data, text::Syntax::Code] {
            let mut last = 0;
            for found in text::detect(&line, syntax) {
                prop_assert!(found.detection.range.start >= last && found.detection.range.end <= line.len());
                last = found.detection.range.start;
            }
        }
    }
}
