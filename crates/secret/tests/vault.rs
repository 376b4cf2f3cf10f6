//! The vault: cases, and random operations against a model.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

use std::collections::HashMap;

use envward_secret::{Backing, EntryWriter, MAX_ENTRY, NameProblem, SecretBuf, Vault, VaultError};
use proptest::prelude::*;

fn vault() -> Vault {
    Vault::new(Backing::MemfdSecret).unwrap()
}

fn image_text(vault: &Vault) -> Vec<u8> {
    let end: usize = vault.entries().map(|entry| entry.len_with_nul).sum();
    assert!(vault.image()[end..].iter().all(|byte| *byte == 0), "nothing is left behind the last entry");
    vault.image()[..end].to_vec()
}

#[test]
fn entries_lie_back_to_back() {
    let mut vault = vault();
    assert!(vault.is_empty());
    vault.insert("A", "one", b"1").unwrap();
    vault.insert("EMPTY", "two", b"").unwrap();
    vault.insert("B", "three", b"x=y").unwrap();
    assert_eq!(image_text(&vault), b"A=1\0EMPTY=\0B=x=y\0");
    assert_eq!(vault.value("EMPTY"), Some(&b""[..]));
    assert_eq!(vault.value("B"), Some(&b"x=y"[..]));
    assert_eq!(vault.value("C"), None);
    assert_eq!(vault.len(), 3);
    let entries: Vec<_> =
        vault.entries().map(|entry| (entry.name, entry.offset, entry.len_with_nul, entry.origin)).collect();
    assert_eq!(entries, [("A", 0, 4, "one"), ("EMPTY", 4, 7, "two"), ("B", 11, 6, "three")]);
}

#[test]
fn the_later_entry_wins_and_the_earlier_one_is_wiped() {
    let mut vault = vault();
    vault.insert("A", "one", b"long earlier value").unwrap();
    vault.insert("B", "two", b"2").unwrap();
    vault.insert("A", "three", b"3").unwrap();
    assert_eq!(image_text(&vault), b"B=2\0A=3\0");
    assert_eq!(vault.entries().last().unwrap().origin, "three");
}

#[test]
fn it_is_known_where_values_come_from() {
    let mut vault = vault();
    vault.insert("USER", "base.env:1", b"me").unwrap();
    vault.insert("URL", "base.env:2", b"x").unwrap();
    let mut writer = vault.writer("URL", "app.env:7").unwrap().at(7, 5);
    for name in ["USER", "USER", "NOBODY"] {
        let _ = writer.push_value_of(name).unwrap();
    }
    writer.commit().unwrap();
    // Its own earlier value brings what was in that.
    let mut writer = vault.writer("URL", "app.env:8").unwrap().at(8, 5);
    assert!(writer.push_value_of("URL").unwrap());
    writer.commit().unwrap();
    let entry = vault.entries().find(|entry| entry.name == "URL").unwrap();
    assert_eq!((entry.origin, entry.place), ("app.env:8", Some((8, 5))));
    assert_eq!(entry.takes_in, ["URL", "USER"]);
    assert_eq!(entry.overridden, ["base.env:2", "app.env:7"]);
    let user = vault.entries().find(|entry| entry.name == "USER").unwrap();
    assert_eq!((user.place, user.takes_in.len(), user.overridden.len()), (None, 0, 0));
}

#[test]
fn what_is_taken_out_is_wiped() {
    let mut vault = vault();
    vault.insert("A", "one", b"1").unwrap();
    vault.insert("B", "two", b"2").unwrap();
    assert!(vault.take_out("A") && !vault.take_out("A"));
    assert_eq!(image_text(&vault), b"B=2\0");
    assert_eq!(vault.value("A"), None);
}

#[test]
fn values_of_earlier_variables_are_copied_in() {
    let mut vault = vault();
    vault.insert("USER", "one", b"me").unwrap();
    let mut writer = vault.writer("URL", "two").unwrap();
    writer.push(b"db://").unwrap();
    assert!(writer.push_value_of("USER").unwrap());
    assert!(!writer.push_value_of("NOBODY").unwrap());
    assert!(!writer.push_value_of("URL").unwrap(), "not set before");
    writer.push(b"@host").unwrap();
    writer.commit().unwrap();
    let mut writer = vault.writer("URL", "three").unwrap();
    assert!(writer.push_value_of("URL").unwrap(), "its earlier value");
    writer.push(b"/x").unwrap();
    writer.commit().unwrap();
    assert_eq!(image_text(&vault), b"USER=me\0URL=db://me@host/x\0");
}

#[test]
fn an_entry_that_is_not_committed_leaves_nothing() {
    let mut vault = vault();
    vault.insert("A", "one", b"1").unwrap();
    let mut writer = vault.writer("A", "two").unwrap();
    writer.push(b"abandoned").unwrap();
    drop(writer);
    assert_eq!(image_text(&vault), b"A=1\0");
}

#[test]
fn growing_keeps_everything() {
    let mut vault = vault();
    let value = vec![b'v'; 3000];
    for number in 0..20 {
        vault.insert(&format!("V{number}"), "test", &value).unwrap();
    }
    assert!(vault.image().len() >= 60_000);
    assert_eq!(vault.image().len() % 4096, 0);
    for number in 0..20 {
        assert!(vault.value(&format!("V{number}")) == Some(&value));
    }
}

#[test]
fn the_limit_of_an_entry_is_that_of_execve() {
    let mut vault = vault();
    let longest = vec![b'v'; MAX_ENTRY - 3];
    vault.insert("A", "test", &longest).unwrap();
    let mut longer = longest;
    longer.push(b'v');
    let error = vault.insert("A", "test", &longer).unwrap_err();
    assert!(matches!(error, VaultError::TooLong { .. }));
    assert_eq!(error.to_string(), "the value of A (test) is too long: name and value may have 131070 bytes");
    assert_eq!(vault.value("A").map(<[u8]>::len), Some(MAX_ENTRY - 3));
}

#[test]
fn wrong_names_are_refused_without_showing_what_follows() {
    let mut vault = vault();
    for (name, expected, message) in [
        ("", NameProblem::Empty, "`` is not a name of a variable: it is empty"),
        ("A=hidden", NameProblem::EqualsSign, "`A` is not a name of a variable: it is followed by `=`"),
        ("A\0hidden", NameProblem::Nul, "`A` is not a name of a variable: it is followed by a NUL character"),
    ] {
        let error = vault.insert(name, "test", b"hidden").unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(!format!("{error:?}").contains("hidden"));
        assert!(matches!(error, VaultError::InvalidName { problem, .. } if problem == expected));
    }
    assert!(vault.is_empty());
    assert_eq!(image_text(&vault), b"");
}

#[test]
fn no_error_and_no_debug_output_shows_a_value() {
    let mut vault = vault();
    vault.insert("A", "app.env:1", b"hidden").unwrap();
    let error = vault.insert("A", "app.env:2", b"hidden\0").unwrap_err();
    assert_eq!(error.to_string(), "the value of A (app.env:2) contains a NUL byte, which no variable can hold");
    assert!(!format!("{error:?}").contains("hidden"));
    let mut writer = vault.writer("A", "app.env:3").unwrap();
    writer.push(b"hidden").unwrap();
    assert!(!format!("{writer:?}").contains("hidden"));
    drop(writer);
    assert!(!format!("{vault:?} {:?}", vault.entries()).contains("hidden"));
}

#[derive(Debug, Clone)]
enum Operation {
    Insert(u8, Vec<u8>),
    Abandon(u8, Vec<u8>),
    Interpolate(u8, u8, Vec<u8>),
    Nul(u8),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let value = prop_oneof![prop::collection::vec(1..=255u8, 0..40), prop::collection::vec(1..=255u8, 3000..5000),];
    let operation = (0..6u8, 0..6u8, value, 0..8u8).prop_map(|(name, other, value, kind)| match kind {
        0 => Operation::Abandon(name, value),
        1 => Operation::Nul(name),
        2 | 3 => Operation::Interpolate(name, other, value),
        _ => Operation::Insert(name, value),
    });
    prop::collection::vec(operation, 0..40)
}

fn name_of(number: u8) -> String {
    format!("NAME{}", "_".repeat(usize::from(number)))
}

fn interpolate(mut writer: EntryWriter<'_>, before: &[u8], other: &str) -> bool {
    writer.push(before).unwrap();
    let found = writer.push_value_of(other).unwrap();
    writer.commit().unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_map_in_order_of_setting(operations in operations()) {
        let mut vault = vault();
        let mut model: HashMap<String, Vec<u8>> = HashMap::new();
        let mut order: Vec<String> = Vec::new();
        for operation in operations {
            let (name, value) = match operation {
                Operation::Insert(name, value) => {
                    vault.insert(&name_of(name), "test", &value).unwrap();
                    (name_of(name), value)
                }
                Operation::Abandon(name, value) => {
                    let name = name_of(name);
                    vault.writer(&name, "test").unwrap().push(&value).unwrap();
                    continue;
                }
                Operation::Nul(name) => {
                    prop_assert!(vault.insert(&name_of(name), "test", b"a\0b").is_err());
                    continue;
                }
                Operation::Interpolate(name, other, mut value) => {
                    let own = name_of(name);
                    let writer = vault.writer(&own, "test").unwrap();
                    let found = interpolate(writer, &value, &name_of(other));
                    let earlier = model.get(&name_of(other));
                    prop_assert_eq!(found, earlier.is_some());
                    value.extend(earlier.into_iter().flatten());
                    (name_of(name), value)
                }
            };
            order.retain(|earlier| *earlier != name);
            order.push(name.clone());
            model.insert(name, value);
        }

        let names: Vec<String> = vault.entries().map(|entry| entry.name.to_owned()).collect();
        prop_assert_eq!(&names, &order);
        let mut expected = Vec::new();
        for name in &order {
            prop_assert!(vault.value(name) == model.get(name).map(Vec::as_slice));
            expected.extend_from_slice(name.as_bytes());
            expected.push(b'=');
            expected.extend_from_slice(&model[name]);
            expected.push(0);
        }
        prop_assert!(image_text(&vault) == expected);
        let mut offset = 0;
        for entry in vault.entries() {
            prop_assert_eq!(entry.offset, offset);
            offset += entry.len_with_nul;
        }
    }
}

#[test]
fn a_packed_vault_is_the_same_vault() {
    let mut vault = Vault::new(Backing::MemfdSecret).unwrap();
    vault.insert("FIRST", "a.env:1", b"one").unwrap();
    vault.insert("SECOND", "a.env:2", b"").unwrap();
    let mut copy = vault.pack().unwrap().unpack().unwrap();
    drop(vault);
    assert!(copy.value("FIRST") == Some(b"one") && copy.value("SECOND") == Some(b""));
    copy.insert("FIRST", "b.env:1", &[b'x'; 10_000]).unwrap();
    assert_eq!(copy.entries().map(|entry| entry.name).collect::<Vec<_>>(), ["SECOND", "FIRST"]);
    assert_eq!(copy.value("FIRST").map(<[u8]>::len), Some(10_000));
}

#[test]
fn room_is_made_of_what_a_buffer_was_made_of() {
    let mut vault = Vault::new(Backing::MemfdSecret).unwrap();
    let mut buffer = SecretBuf::with_room(Backing::MemfdSecret, 10_000, 1 << 20).unwrap();
    buffer.push(&[7; 10_000]).unwrap();
    vault.make_room_of(buffer, 9000).unwrap();
    assert_eq!(vault.image().len(), 12_288);
    assert!(vault.image().iter().all(|byte| *byte == 0), "nothing of the buffer is left");
    vault.insert("A", "test", b"first").unwrap();
    let buffer = SecretBuf::with_room(Backing::MemfdSecret, 100_000, 1 << 20).unwrap();
    vault.make_room_of(buffer, 50_000).unwrap();
    assert_eq!(vault.value("A"), Some(&b"first"[..]), "what is in the vault stays");
    assert!(vault.image().len() >= 50_000 + envward_secret::ROOM_BEHIND);
}
