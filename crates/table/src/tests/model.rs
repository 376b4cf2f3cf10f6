//! Random operations against a list of strings.

use std::ffi::CString;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::Fixture;
use crate::Error;

/// What the environment should be: entries in order, first one counts.
#[derive(Clone, Debug, Default)]
struct Model(Vec<String>);

impl Model {
    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|entry| entry.split_once('=').is_some_and(|(held, _)| held == name))
    }
    fn get(&self, name: &str) -> Option<String> {
        self.position(name).map(|at| self.0[at][name.len() + 1..].to_string())
    }
    fn set(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        match self.position(name) {
            Some(at) => self.0[at] = entry,
            None => self.0.push(entry),
        }
    }
    fn remove(&mut self, name: &str) {
        while let Some(at) = self.position(name) {
            self.0.remove(at);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(String, String),
    SetIf(String, String),
    Remove(String),
    Put(String),
    PutBare(String),
    Clear,
    Get(String),
    Look(String),
    Iterate,
    /// `environ = copy of the array`, entries and all.
    Assign,
    AssignNull,
    /// `environ[0] = NULL`.
    Truncate,
    /// Look a string up, change the variable, `putenv` the string.
    PutBack(String, String),
    /// Edit a `putenv` buffer in place.
    Edit(String),
    ReplaceAll(Vec<String>),
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-E]",
        2 => "SERVICE_VARIABLE_WITH_A_LONG_PREFIX_[A-D]",
        1 => "[A-Z_]{1,40}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z=]{0,12}", "[ -~]{0,300}"]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (name(), value()).prop_map(|(n, v)| Step::Set(n, v)),
        2 => (name(), value()).prop_map(|(n, v)| Step::SetIf(n, v)),
        5 => name().prop_map(Step::Remove),
        2 => (name(), value()).prop_map(|(n, v)| Step::Put(format!("{n}={v}"))),
        1 => name().prop_map(Step::PutBare),
        1 => Just(Step::Clear),
        6 => name().prop_map(Step::Get),
        6 => name().prop_map(Step::Look),
        2 => Just(Step::Iterate),
        1 => Just(Step::Assign),
        1 => Just(Step::AssignNull),
        1 => Just(Step::Truncate),
        2 => (name(), value()).prop_map(|(n, v)| Step::PutBack(n, v)),
        1 => name().prop_map(Step::Edit),
        1 => prop::collection::vec((name(), value()).prop_map(|(n, v)| format!("{n}={v}")), 0..40)
            .prop_map(Step::ReplaceAll),
    ]
}

/// What a test handed to the environment and must keep.
#[derive(Default)]
struct Kept {
    buffers: Vec<CString>,
    arrays: Vec<Vec<*mut std::ffi::c_char>>,
    held: Vec<(*const std::ffi::c_char, String)>,
}

fn run(fixture: &Fixture, model: &mut Model, kept: &mut Kept, step: &Step) {
    match step {
        Step::Set(name, value) => {
            fixture.set(name, value).unwrap();
            model.set(name, value);
        }
        Step::SetIf(name, value) => {
            fixture.set_if(name, value, false).unwrap();
            if model.position(name).is_none() {
                model.set(name, value);
            }
        }
        Step::Remove(name) => {
            fixture.remove(name).unwrap();
            model.remove(name);
        }
        Step::Put(entry) => {
            let buffer = CString::new(entry.as_str()).unwrap();
            fixture.put(buffer.as_ptr().cast_mut()).unwrap();
            let (name, value) = entry.split_once('=').unwrap();
            let c_name = CString::new(name).unwrap();
            // SAFETY: a string. `putenv` means that this very buffer is in the environment.
            let got = unsafe { fixture.env.get(c_name.as_ptr()) };
            assert!(core::ptr::eq(got, buffer.as_ptr().wrapping_add(name.len() + 1)));
            kept.buffers.push(buffer);
            model.set(name, value);
        }
        Step::PutBare(name) => {
            let buffer = CString::new(name.as_str()).unwrap();
            fixture.put(buffer.as_ptr().cast_mut()).unwrap();
            model.remove(name);
        }
        Step::Clear => {
            fixture.env.clear().unwrap();
            model.0.clear();
            assert!(fixture.array().is_null());
        }
        Step::Get(name) => {
            assert_eq!(fixture.get(name), model.get(name));
        }
        Step::Look(name) => {
            assert_eq!(fixture.look(name), model.get(name));
            let c_name = CString::new(name.as_str()).unwrap();
            // SAFETY: a string; released at the end of the run, when it must be unchanged.
            let entry = unsafe { fixture.env.lookup(c_name.as_ptr()) };
            if !entry.is_null() {
                kept.held.push((entry, format!("{name}={}", model.get(name).unwrap())));
            }
        }
        Step::Iterate => {
            let expected: Vec<String> = model.0.iter().filter(|e| e.contains('=')).cloned().collect();
            assert_eq!(fixture.iterate(), expected);
        }
        Step::Assign => {
            let mut array: Vec<_> = Vec::new();
            let mut at = fixture.array();
            // SAFETY: what the cell points to is a null-terminated array.
            unsafe {
                while !at.is_null() && !(*at).is_null() {
                    array.push(*at);
                    at = at.add(1);
                }
            }
            array.push(core::ptr::null_mut());
            fixture.assign(array.as_mut_ptr());
            kept.arrays.push(array);
        }
        Step::AssignNull => {
            fixture.assign(core::ptr::null_mut());
            model.0.clear();
        }
        Step::Truncate => {
            let array = fixture.array();
            if !array.is_null() {
                // SAFETY: at least the terminator is there.
                unsafe { *array = core::ptr::null_mut() };
            }
            model.0.clear();
        }
        Step::PutBack(name, value) => {
            let c_name = CString::new(name.as_str()).unwrap();
            // SAFETY: a string; the reference is handed back by `put`.
            unsafe {
                let entry = fixture.env.lookup(c_name.as_ptr());
                let before = model.get(name);
                fixture.set(name, value).unwrap();
                model.set(name, value);
                if !entry.is_null() {
                    fixture.put(entry.cast_mut()).unwrap();
                    model.set(name, &before.unwrap());
                }
            }
        }
        Step::Edit(name) => edit(fixture, model, kept, name),
        Step::ReplaceAll(entries) => {
            let strings: Vec<CString> = entries.iter().map(|entry| CString::new(entry.as_str()).unwrap()).collect();
            let pointers: Vec<_> = strings.iter().map(|entry| entry.as_ptr()).collect();
            // SAFETY: strings, which the environment copies.
            unsafe {
                fixture.env.replace_all(pointers.as_ptr(), pointers.len(), |_| ()).unwrap();
            }
            model.0 = entries.clone();
        }
    }
    assert_eq!(fixture.walk(), model.0, "after {step:?}");
    for (entry, text) in &kept.held {
        // SAFETY: held since it was looked up.
        let now = unsafe { std::ffi::CStr::from_ptr(*entry) };
        assert_eq!(now.to_str().unwrap(), text, "a held string changed");
    }
}

/// Renames a variable by writing into the buffer that `putenv` was given.
fn edit(fixture: &Fixture, model: &mut Model, kept: &mut Kept, name: &str) {
    let live: Vec<*mut std::ffi::c_char> = {
        let mut all = Vec::new();
        let mut at = fixture.array();
        // SAFETY: what the cell points to is a null-terminated array.
        unsafe {
            while !at.is_null() && !(*at).is_null() {
                all.push(*at);
                at = at.add(1);
            }
        }
        all
    };
    let Some(buffer) = kept
        .buffers
        .iter()
        .find(|buffer| live.contains(&buffer.as_ptr().cast_mut()) && buffer.as_bytes().len() > name.len() + 1)
    else {
        return;
    };
    // A looked-up copy of the buffer is held by value, so it does not change with it.
    let slot = live.iter().position(|entry| core::ptr::eq(*entry, buffer.as_ptr())).unwrap();
    // SAFETY: the buffer is longer than the new text, and the test owns it.
    unsafe {
        let text = buffer.as_ptr().cast_mut().cast::<u8>();
        text.copy_from(name.as_ptr(), name.len());
        *text.add(name.len()) = b'=';
        *text.add(name.len() + 1) = 0;
    }
    // The buffer may stand more than once, by an assignment of a copied array.
    for (at, entry) in live.iter().enumerate() {
        if core::ptr::eq(*entry, live[slot]) {
            model.0[at] = format!("{name}=");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn behaves_as_a_list(
        prepared in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let start = ["A=1", "D=1", "NOEQ", "D=2", "", "SERVICE_VARIABLE_WITH_A_LONG_PREFIX_A=x", "=odd"];
        let fixture = Fixture::new(&start);
        if prepared {
            fixture.env.prepare();
        }
        let mut model = Model(start.iter().map(ToString::to_string).collect());
        let mut kept = Kept::default();
        for step in &steps {
            run(&fixture, &mut model, &mut kept, step);
        }
        for (entry, _) in kept.held.drain(..) {
            // SAFETY: looked up once, released once.
            unsafe { fixture.env.release(entry) };
        }
    }
}

#[test]
fn bad_names_are_refused() {
    let fixture = Fixture::new(&["A=1"]);
    for name in ["", "A=B", "="] {
        assert_eq!(fixture.set(name, "x"), Err(Error::Invalid));
        assert_eq!(fixture.remove(name), Err(Error::Invalid));
        assert_eq!(fixture.get(name), None);
        assert_eq!(fixture.look(name), None);
    }
    assert_eq!(fixture.walk(), ["A=1"]);
}

#[test]
fn entries_of_every_length_are_found() {
    let fixture = Fixture::new(&[]);
    for length in 1..600 {
        let name = "N".repeat(length);
        fixture.set(&name, &"v".repeat(length * 3)).unwrap();
    }
    for length in 1..600 {
        let name = "N".repeat(length);
        assert_eq!(fixture.get(&name), Some("v".repeat(length * 3)));
        assert_eq!(fixture.look(&name), Some("v".repeat(length * 3)));
    }
    assert_eq!(fixture.iterate().len(), 599);
}

#[test]
fn a_value_that_returns_needs_no_new_string() {
    let fixture = Fixture::new(&[]);
    let name = c"A".as_ptr();
    let mut seen = Vec::new();
    for round in 0..100 {
        fixture.set("A", if round % 2 == 0 { "even" } else { "odd" }).unwrap();
        // SAFETY: a string.
        seen.push(unsafe { fixture.env.get(name) });
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2);
}
