//! A store that anybody may have written is read or refused: never a panic, never a record that
//! opens with a key that it was not sealed with.
#![no_main]

use std::sync::OnceLock;

use envward_store::{Document, Key};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    static KEY: OnceLock<Key> = OnceLock::new();
    let key = KEY.get_or_init(|| Key::generate().expect("random numbers"));
    let Ok(document) = Document::parse(text) else { return };
    for record in document.records() {
        assert!(record.open(key).is_err());
        assert!(document.versions(record.name).any(|version| version.id == record.id));
    }
    let states = document.states();
    assert!(document.records().iter().all(|record| states.contains_key(record.name)));
    let _ = document.all_current();
});
