//! Tests of the whole table: against a model, interrupted at every access by a handler and by
//! `fork`, and under every schedule with few preemptions.
#![expect(unsafe_code, reason = "calls the raw interface")]

pub(crate) mod hook;
mod interrupted;
mod model;
mod schedules;
mod secrets;

use core::ffi::{CStr, c_char};
use core::ptr;
use std::boxed::Box;
use std::ffi::CString;
use std::string::String;
use std::vec::Vec;

use crate::{Environment, Error};

/// An environment of a test's own.
pub(crate) struct Fixture {
    pub(crate) env: Environment,
    cell: *mut *mut *mut c_char,
    /// What the cell pointed to at first.
    start: Vec<CString>,
    array: Vec<*mut c_char>,
}

// SAFETY: the raw parts are fixed after construction, except the cell, which is accessed as
// `environ` is.
unsafe impl Send for Fixture {}
// SAFETY: as above.
unsafe impl Sync for Fixture {}

impl Fixture {
    pub(crate) fn new(start: &[&str]) -> Self {
        let cell = Box::into_raw(Box::new(ptr::null_mut()));
        let start: Vec<CString> = start.iter().map(|text| CString::new(*text).unwrap()).collect();
        let mut array: Vec<*mut c_char> =
            start.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect();
        // SAFETY: the cell is valid until `drop`; the array lives as long.
        let env = unsafe {
            *cell = array.as_mut_ptr();
            Environment::new(cell)
        };
        Self { env, cell, start, array }
    }

    pub(crate) fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        self.set_if(name, value, true)
    }

    pub(crate) fn set_if(&self, name: &str, value: &str, overwrite: bool) -> Result<(), Error> {
        let (name, value) = (CString::new(name).unwrap(), CString::new(value).unwrap());
        // SAFETY: strings.
        unsafe { self.env.set(name.as_ptr(), value.as_ptr(), overwrite) }
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let name = CString::new(name).unwrap();
        // SAFETY: a string.
        unsafe { self.env.remove(name.as_ptr()) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let name = CString::new(name).unwrap();
        // SAFETY: a string; values of the fixture are readable.
        unsafe {
            let value = self.env.get(name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value).to_str().unwrap().into())
        }
    }

    /// The value by a counted lookup.
    pub(crate) fn look(&self, name: &str) -> Option<String> {
        let c_name = CString::new(name).unwrap();
        // SAFETY: a string; the entry is held while it is read.
        unsafe {
            let entry = self.env.lookup(c_name.as_ptr());
            if entry.is_null() {
                return None;
            }
            let text: String = CStr::from_ptr(entry).to_str().unwrap().into();
            self.env.release(entry);
            assert!(text.starts_with(name), "a lookup gave another's entry");
            Some(text[name.len() + 1..].into())
        }
    }

    /// The array as a program sees it that walks `environ`.
    pub(crate) fn walk(&self) -> Vec<String> {
        let mut all = Vec::new();
        // SAFETY: what the cell points to is a null-terminated array of strings.
        unsafe {
            let mut at = *self.cell;
            while !at.is_null() {
                hook::point();
                let entry = at.read_volatile();
                if entry.is_null() {
                    break;
                }
                all.push(CStr::from_ptr(entry).to_str().unwrap().into());
                at = at.add(1);
            }
        }
        all
    }

    /// The entries by an iteration.
    pub(crate) fn iterate(&self) -> Vec<String> {
        let mut all = Vec::new();
        // SAFETY: each entry is held while it is read.
        unsafe {
            let iter = self.env.iterate();
            assert!(!iter.is_null());
            loop {
                let entry = self.env.next_entry(iter);
                if entry.is_null() {
                    break;
                }
                all.push(CStr::from_ptr(entry).to_str().unwrap().into());
                self.env.release(entry);
            }
            assert!(self.env.next_entry(iter).is_null());
            self.env.close(iter);
        }
        all
    }

    /// Assigns the variable as a program does with `environ = array`.
    pub(crate) fn assign(&self, array: *mut *mut c_char) {
        // SAFETY: the cell is valid.
        unsafe { self.cell.write_volatile(array) };
    }

    /// What a program reads from `environ`.
    pub(crate) fn array(&self) -> *mut *mut c_char {
        // SAFETY: the cell is valid.
        unsafe { self.cell.read_volatile() }
    }

    /// Gives the environment a pointer of the test's, as `putenv`.
    pub(crate) fn put(&self, entry: *mut c_char) -> Result<(), Error> {
        // SAFETY: the tests keep what they put.
        unsafe { self.env.put(entry) }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `new`.
        drop(unsafe { Box::from_raw(self.cell) });
        assert_eq!(self.start.len() + 1, self.array.len());
    }
}
