//! The format: what is written is read back, and nothing else is.

#![expect(clippy::unwrap_used, reason = "test code: a failed expectation ends the test")]

use std::path::Path;
use std::sync::OnceLock;

use envward_store::{Document, Draft, Identities, Key, Kind, Recipient, State, StoreError, draft, identity};
use proptest::prelude::*;

const TIME: &str = "2026-01-02T03:04:05Z";

/// An identity of this run: its file and its recipient.
fn person() -> (Identities, String) {
    let (text, recipient) = identity::generate(TIME);
    let mut identities = Identities::default();
    identities.add(&text, Path::new("identity"), |_| None).unwrap();
    (identities, recipient)
}

fn recipients(texts: &[&str]) -> Vec<Recipient> {
    texts.iter().map(|text| Recipient::parse(text).unwrap()).collect()
}

/// A store for one person with these versions set, in their order; `None` removes.
fn store(recipient: &str, versions: &[(&str, Option<&str>)]) -> (Key, String) {
    let key = Key::generate().unwrap();
    let mut text = draft::empty(&key, &recipients(&[recipient])).unwrap();
    for version in versions {
        text = with(&key, &text, &[*version]);
    }
    (key, text)
}

fn with(key: &Key, text: &str, versions: &[(&str, Option<&str>)]) -> String {
    let document = Document::parse(text.as_bytes()).unwrap();
    let mut draft = Draft::new(&document, key, TIME.to_owned());
    for (name, value) in versions {
        match value {
            Some(value) => draft.set(name, value.as_bytes()).unwrap(),
            None => draft.remove(name).unwrap(),
        };
    }
    draft.text()
}

/// Name, version, whether it is a removal, and the value.
type Version = (String, u32, bool, Vec<u8>);

/// All that a store says to whoever can open it: every version, or why it is refused.
fn opened(text: &[u8], identities: &Identities) -> Result<Vec<Version>, StoreError> {
    let document = Document::parse(text)?;
    let key = Key::unwrap(&document, identities)?;
    document
        .records()
        .iter()
        .map(|record| Ok((record.name.to_owned(), record.version, record.is_removal, record.open(&key)?)))
        .collect()
}

fn value(text: &str, key: &Key, name: &str) -> Vec<u8> {
    Document::parse(text.as_bytes()).unwrap().current(name).unwrap().open(key).unwrap()
}

const SOME: [(&str, Option<&str>); 5] =
    [("B", Some("first")), ("A", Some("")), ("B", Some("second")), ("C", Some("a\nb ☃")), ("C", None)];

/// A store that many tests spoil, with the one who can open it.
fn sample() -> &'static (Identities, Key, String) {
    static SAMPLE: OnceLock<(Identities, Key, String)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let (identities, recipient) = person();
        let (key, text) = store(&recipient, &SOME);
        (identities, key, text)
    })
}

#[test]
fn versions_are_read_back_and_the_newest_counts() {
    let (identities, key, text) = sample();
    let all = opened(text.as_bytes(), identities).unwrap();
    let expected = [
        ("A", 1, false, ""),
        ("B", 1, false, "first"),
        ("B", 2, false, "second"),
        ("C", 1, false, "a\nb ☃"),
        ("C", 2, true, ""),
    ];
    assert_eq!(all.len(), expected.len());
    for ((name, version, removal, value), wanted) in all.iter().zip(expected) {
        assert_eq!(
            (name.as_str(), *version, *removal, value.as_slice()),
            (wanted.0, wanted.1, wanted.2, wanted.3.as_bytes())
        );
    }
    assert_eq!(value(text, key, "B"), b"second");
    let document = Document::parse(text.as_bytes()).unwrap();
    assert!(matches!(document.current("C"), Err(StoreError::NoSecret(_))));
    assert!(matches!(document.current("D"), Err(StoreError::NoSecret(_))));
    assert_eq!(document.version("B", "1").unwrap().open(key).unwrap(), b"first");
    assert!(matches!(document.version("B", "3"), Err(StoreError::NoVersion { .. })));
    assert_eq!(document.all_current().unwrap().len(), 2);
}

#[test]
fn setting_a_value_adds_one_line() {
    let (_, key, text) = sample();
    let changed = with(key, text, &[("A", Some("new"))]);
    let before: Vec<_> = text.lines().collect();
    let after: Vec<_> = changed.lines().collect();
    assert_eq!(after.len(), before.len() + 1);
    let added: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(added.len(), 1);
    assert!(added[0].starts_with("secret A 2 "));
}

#[test]
fn the_length_of_a_value_shows_in_steps_only() {
    let (_, key, text) = sample();
    let line = |value: &str| {
        with(key, text, &[("Z", Some(value))]).lines().find(|line| line.starts_with("secret Z")).map(str::len)
    };
    assert_eq!(line(""), line(&"x".repeat(31)));
    assert_ne!(line(""), line(&"x".repeat(32)));
}

/// Every byte in turn is given another value, in three ways: nothing of it is ever accepted.
#[test]
fn a_flip_anywhere_is_refused() {
    let (identities, _, text) = sample();
    for at in 0..text.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut spoilt = text.clone().into_bytes();
            spoilt[at] ^= flip;
            let error = opened(&spoilt, identities).expect_err(&format!("byte {at} ^ {flip:#x} was accepted"));
            assert_damaged(&error, at);
        }
    }
}

/// What a broken store may be called: the identity line of the key block can be what is broken.
fn assert_damaged(error: &StoreError, at: usize) {
    assert!(matches!(error.kind(), Kind::Damaged | Kind::Locked), "byte {at}: {error}");
    assert!(!error.to_string().contains("second"), "byte {at}: a value in a message");
}

#[test]
fn a_cut_anywhere_is_refused() {
    let (identities, _, text) = sample();
    for end in 0..text.len() {
        let error = opened(&text.as_bytes()[..end], identities).expect_err(&format!("cut at {end} was accepted"));
        assert_eq!(error.kind(), Kind::Damaged, "cut at {end}: {error}");
    }
    for start in 1..text.len() {
        let error =
            opened(&text.as_bytes()[start..], identities).expect_err(&format!("cut before {start} was accepted"));
        assert_eq!(error.kind(), Kind::Damaged, "cut before {start}: {error}");
    }
}

#[test]
fn what_is_added_is_refused() {
    let (identities, _, text) = sample();
    for (at, _) in text.match_indices('\n') {
        for more in ["\n", " ", "x", "\r", "end\n", "secret\n", "recipient age1\n", "\0", "é"] {
            let mut spoilt = text.clone();
            spoilt.insert_str(at, more);
            assert!(opened(spoilt.as_bytes(), identities).is_err(), "{more:?} at {at}");
            let mut spoilt = text.clone();
            spoilt.insert_str(at + 1, more);
            assert!(opened(spoilt.as_bytes(), identities).is_err(), "{more:?} behind {at}");
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

#[test]
fn a_line_that_others_refer_to_cannot_be_dropped() {
    let (identities, _, text) = sample();
    let all = lines(text);
    let records: Vec<usize> =
        (0..all.len()).filter(|&at| all[at].starts_with("secret") || all[at].starts_with("removed")).collect();
    assert_eq!(records.len(), SOME.len());
    let newest = all.iter().position(|line| line.starts_with("removed C")).unwrap();
    for at in records {
        let rest: String = all.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, line)| *line).collect();
        // The newest line of all is what nothing refers to: without it, this is the store before it.
        assert_eq!(opened(rest.as_bytes(), identities).is_ok(), at == newest, "{at}");
    }
}

#[test]
fn a_value_cannot_be_moved() {
    let (identities, _, text) = sample();
    let sealed = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap().rsplit(' ').next().unwrap();
    // To another name, and to another version of its own name.
    for (from, to) in [("secret B 2", "secret A 1"), ("secret B 1", "secret B 2"), ("removed C", "secret C 1")] {
        let moved = text.replace(sealed(to), sealed(from));
        assert!(opened(moved.as_bytes(), identities).is_err(), "{from} to {to}");
    }
    for (old, new) in [
        ("secret B 2", "secret B 3"),
        ("secret A", "secret D"),
        ("removed C 2", "secret C 2"),
        (TIME, "2027-01-02T03:04:05Z"),
    ] {
        assert!(opened(text.replace(old, new).as_bytes(), identities).is_err(), "{old} as {new}");
    }
}

#[test]
fn a_line_of_another_store_is_refused() {
    let (identities, recipient) = person();
    let (_, one) = store(&recipient, &[("A", Some("1"))]);
    let (_, other) = store(&recipient, &[("A", Some("2"))]);
    let foreign = other.lines().find(|line| line.starts_with("secret A")).unwrap();
    let own = one.lines().find(|line| line.starts_with("secret A")).unwrap();
    let error = opened(one.replace(own, foreign).as_bytes(), &identities).unwrap_err();
    assert!(matches!(error, StoreError::Forged { .. }));
}

#[test]
fn recipients_cannot_be_added_or_removed_without_the_key() {
    let (identities, recipient) = person();
    let (_, stranger) = person();
    let (key, _) = store(&recipient, &[]);
    let both = draft::empty(&key, &recipients(&[&recipient, &stranger])).unwrap();
    assert!(opened(both.as_bytes(), &identities).is_ok());
    let dropped = both.replace(&format!("recipient {stranger}\n"), "");
    assert!(matches!(opened(dropped.as_bytes(), &identities), Err(StoreError::Recipients)));
    let one = draft::empty(&key, &recipients(&[&recipient])).unwrap();
    let added = one.replace("-----BEGIN", &format!("recipient {stranger}\n-----BEGIN"));
    assert!(matches!(opened(added.as_bytes(), &identities), Err(StoreError::Recipients)));
}

#[test]
fn everybody_who_was_added_opens_it_and_nobody_else() {
    let ((first, one), (second, two), (third, _)) = (person(), person(), person());
    let (key, text) = store(&one, &SOME);
    assert!(matches!(opened(text.as_bytes(), &second), Err(StoreError::NoIdentity)));
    let document = Document::parse(text.as_bytes()).unwrap();
    let shared = Draft::new(&document, &key, TIME.to_owned())
        .text_for(&recipients(&[&one, &format!("{two} the second")]))
        .unwrap();
    assert_eq!(opened(shared.as_bytes(), &first).unwrap(), opened(text.as_bytes(), &first).unwrap());
    assert_eq!(opened(shared.as_bytes(), &second).unwrap().len(), SOME.len());
    assert!(matches!(opened(shared.as_bytes(), &third), Err(StoreError::NoIdentity)));
    // Only the first lines have changed.
    let records = |text: &str| text.split_once("-----END").unwrap().1.to_owned();
    assert_eq!(records(&shared), records(&text));
}

#[test]
fn resealing_keeps_versions_and_values_and_changes_every_line() {
    let (identities, key, text) = sample();
    let document = Document::parse(text.as_bytes()).unwrap();
    let own = recipients(document.recipients());
    let new = Key::generate().unwrap();
    let rotated = draft::reseal(&document, key, &new, &own, |_| true).unwrap();
    assert_eq!(opened(rotated.as_bytes(), identities).unwrap(), opened(text.as_bytes(), identities).unwrap());
    for line in text.lines().filter(|line| line.starts_with("secret")) {
        assert!(!rotated.contains(line));
    }
    let purged = draft::reseal(&document, key, &new, &own, |record| record.name != "B").unwrap();
    let names: Vec<_> = opened(purged.as_bytes(), identities).unwrap().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["A", "C", "C"]);
}

/// What git makes of two branches: the union of their lines.
fn merged(one: &str, other: &str) -> String {
    let (head, rest) = one.split_at(one.find("secret").unwrap());
    let mut lines: Vec<&str> = rest.lines().chain(other[head.len()..].lines()).filter(|line| *line != "end").collect();
    lines.reverse();
    format!("{head}{}\nend\n", lines.join("\n"))
}

#[test]
fn branches_merge_by_union() {
    let (identities, key, text) = sample();
    let one = with(key, text, &[("A", Some("one")), ("D", Some("one"))]);
    let other = with(key, text, &[("B", Some("other")), ("E", Some("other"))]);
    let both = merged(&one, &other);
    assert_eq!(value(&both, key, "A"), b"one");
    assert_eq!(value(&both, key, "B"), b"other");
    assert_eq!(opened(both.as_bytes(), identities).unwrap().len(), SOME.len() + 4);
    // What is written next refers to both, so that neither can be dropped.
    let next = with(key, &both, &[("F", Some("next"))]);
    for name in ["secret D 1", "secret E 1"] {
        let dropped: String = lines(&next).into_iter().filter(|line| !line.starts_with(name)).collect();
        assert!(matches!(opened(dropped.as_bytes(), identities), Err(StoreError::Missing { .. })), "{name}");
    }
}

#[test]
fn a_secret_that_two_branches_set_is_in_conflict_until_somebody_decides() {
    let (_, key, text) = sample();
    let both = merged(&with(key, text, &[("B", Some("one"))]), &with(key, text, &[("B", Some("other"))]));
    let document = Document::parse(both.as_bytes()).unwrap();
    assert!(matches!(document.states()["B"], State::Conflict(..)));
    assert!(matches!(document.all_current(), Err(StoreError::Conflict { .. })));
    let Err(StoreError::Conflict { first, second, .. }) = document.current("B") else { panic!("no conflict") };
    let mut values = [first, second].map(|label| document.version("B", &label).unwrap().open(key).unwrap());
    values.sort();
    assert_eq!(values, [b"one".to_vec(), b"other".to_vec()]);
    assert_eq!(value(&with(key, &both, &[("B", Some("both"))]), key, "B"), b"both");
}

#[test]
fn a_passphrase_opens_its_store() {
    let key = Key::generate().unwrap();
    let text = draft::empty(&key, &[Recipient::passphrase("correct".to_owned(), 10)]).unwrap();
    let text = with(&key, &text, &[("A", Some("1"))]);
    assert_eq!(opened(text.as_bytes(), &Identities::passphrase("correct".to_owned())).unwrap().len(), 1);
    let wrong = opened(text.as_bytes(), &Identities::passphrase("wrong".to_owned())).unwrap_err();
    assert!(matches!(wrong, StoreError::WrongPassphrase));
    assert!(matches!(opened(text.as_bytes(), &person().0), Err(StoreError::NoPassphrase)));
}

#[test]
fn what_cannot_be_stored_is_refused_without_its_text() {
    let (_, key, text) = sample();
    let document = Document::parse(text.as_bytes()).unwrap();
    let mut draft = Draft::new(&document, key, TIME.to_owned());
    for (name, value) in
        [("", "v"), ("1A", "v"), ("A-B", "v"), ("A B", "v"), ("Ä", "v"), ("A", "hidden\0"), ("A=hidden", "v")]
    {
        let error = draft.set(name, value.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), Kind::Input);
        assert!(!format!("{error} {error:?}").contains("hidden"));
    }
    assert!(draft.set("A", b"hidden\xff").is_err());
    assert!(draft.set("A", &vec![b'x'; 128 * 1024]).is_err());
    assert!(draft.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_back(values in proptest::collection::vec(("[A-C]", "[^\0]{0,200}"), 0..12)) {
        let (_, key, empty) = sample();
        let versions: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
        let text = with(key, empty, &versions);
        for (name, last) in values.iter().map(|(name, last)| (name, last)).collect::<std::collections::BTreeMap<_, _>>() {
            prop_assert!(value(&text, key, name) == last.as_bytes());
        }
    }

    /// What the fuzz target does: the parser takes anything, and what it takes is consistent.
    #[test]
    fn the_parser_never_panics(text in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..2000, kind in 0u8..3) {
        let (_, key, sample) = sample();
        let mut spoilt = sample.clone().into_bytes();
        let at = at % spoilt.len();
        match kind {
            0 => spoilt = text,
            1 => { spoilt.splice(at..at, text); }
            _ => { let end = (at + text.len()).min(spoilt.len()); spoilt.splice(at..end, text); }
        }
        if let Ok(document) = Document::parse(&spoilt) {
            for record in document.records() {
                let _ = record.open(key);
            }
            let _ = document.states();
        }
    }
}
