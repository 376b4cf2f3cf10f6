//! Delivered secrets: where they are, what replaces them, what becomes of that.

use core::ffi::{CStr, c_char};
use std::boxed::Box;
use std::vec::Vec;

use super::Fixture;

/// A fixture with two secrets delivered; the bytes live as long as the process.
fn delivered() -> (Fixture, *mut c_char, usize) {
    let fixture = Fixture::new(&["PLAIN=x", "SECRET_ONE=of-the-caller"]);
    let region: &'static mut [u8] = Box::leak(Box::new(*b"SECRET_ONE=first-value\0SECRET_TWO=\0\0\0"));
    let (start, length) = (region.as_mut_ptr().cast(), region.len());
    // SAFETY: never freed, changed by nobody.
    unsafe { fixture.env.deliver(start, length).unwrap() };
    (fixture, start, length)
}

fn entry_of(fixture: &Fixture, name: &CStr) -> *const c_char {
    // SAFETY: a string.
    let value = unsafe { fixture.env.get(name.as_ptr()) };
    assert!(!value.is_null());
    value.wrapping_sub(name.to_bytes().len() + 1)
}

#[test]
fn secrets_are_in_the_environment_where_they_were_delivered() {
    let (fixture, start, length) = delivered();
    assert_eq!(fixture.walk(), ["PLAIN=x", "SECRET_ONE=first-value", "SECRET_TWO="]);
    for name in [c"SECRET_ONE", c"SECRET_TWO"] {
        let entry = entry_of(&fixture, name);
        assert!((start.addr()..start.addr() + length).contains(&entry.addr()));
        // SAFETY: an entry.
        assert!(unsafe { fixture.env.is_secret(entry) });
    }
    // A snapshot hands the very pointers on.
    let mut snapshot = Vec::with_capacity(8);
    // SAFETY: there is room for as many.
    unsafe {
        let count = fixture.env.capture(snapshot.as_mut_ptr(), 8).unwrap();
        snapshot.set_len(count);
    }
    assert!(core::ptr::eq(snapshot[1], start));
}

#[test]
fn a_changed_secret_is_in_locked_memory_and_wiped_when_it_is_given_up() {
    let (fixture, ..) = delivered();
    fixture.set("SECRET_ONE", "second-value").unwrap();
    fixture.set("PLAIN", "y").unwrap();
    // SAFETY: strings; the entry is read after it was given up, which the arena allows.
    unsafe {
        let held = fixture.env.lookup(c"SECRET_ONE".as_ptr());
        assert!(fixture.env.is_secret(held));
        let block = fixture.env.block_of(held);
        assert!((*block).is_locked);
        assert!(!(*fixture.env.block_of(entry_of(&fixture, c"PLAIN"))).is_locked);
        fixture.set("SECRET_ONE", "third").unwrap();
        assert_eq!(CStr::from_ptr(held), c"SECRET_ONE=second-value");
        fixture.env.release(held);
        assert_eq!(CStr::from_ptr(held), c"SECRET_ONE=");
        let room = core::slice::from_raw_parts(held.cast::<u8>(), (*block).room());
        assert!(room[11..].iter().all(|byte| *byte == 0));
    }
    assert_eq!(fixture.get("SECRET_ONE").as_deref(), Some("third"));
}

#[test]
fn copies_of_secrets_are_known() {
    let (fixture, ..) = delivered();
    fixture.set("SECRET_TWO", "now").unwrap();
    for (entry, is_secret) in [
        (c"SECRET_ONE=first-value", true),
        (c"SECRET_ONE=first-valu", false),
        (c"SECRET_TWO=now", true),
        (c"SECRET_TWO=then", false),
        (c"PLAIN=x", false),
        (c"no sign", false),
    ] {
        // SAFETY: strings.
        assert_eq!(unsafe { fixture.env.is_secret(entry.as_ptr()) }, is_secret, "{entry:?}");
    }
}

/// The string of a snapshot is as it was, however long the snapshot is open; then it is wiped.
#[test]
fn a_secret_is_not_wiped_under_an_open_snapshot() {
    let (fixture, ..) = delivered();
    fixture.set("SECRET_ONE", "second-value").unwrap();
    // SAFETY: the entries are held or pinned as long as they must be whole; after that the arena
    // lets them be read.
    unsafe {
        let iter = fixture.env.iterate();
        fixture.env.pin();
        let mut snapshot = [core::ptr::null_mut(); 8];
        fixture.env.capture(snapshot.as_mut_ptr(), 8).unwrap();
        fixture.set("SECRET_ONE", "third").unwrap();
        assert_eq!(CStr::from_ptr(snapshot[1]), c"SECRET_ONE=second-value");
        fixture.env.unpin();
        // The iteration still has it, and keeps it when it is handed out.
        assert_eq!(CStr::from_ptr(fixture.env.next_entry(iter)), c"PLAIN=x");
        let held = fixture.env.next_entry(iter);
        assert_eq!(CStr::from_ptr(held), c"SECRET_ONE=second-value");
        fixture.env.close(iter);
        assert_eq!(CStr::from_ptr(held), c"SECRET_ONE=second-value");
        fixture.env.release(held);
        assert_eq!(CStr::from_ptr(held), c"SECRET_ONE=");
        // One that nobody was given is wiped when the last snapshot goes.
        fixture.env.pin();
        fixture.env.pin();
        fixture.env.capture(snapshot.as_mut_ptr(), 8).unwrap();
        fixture.set("SECRET_ONE", "fourth").unwrap();
        fixture.env.unpin();
        assert_eq!(CStr::from_ptr(snapshot[1]), c"SECRET_ONE=third");
        fixture.env.unpin();
        assert_eq!(CStr::from_ptr(snapshot[1]), c"SECRET_ONE=");
    }
    assert_eq!(fixture.get("SECRET_ONE").as_deref(), Some("fourth"));
}

#[test]
fn secrets_are_locked_however_they_are_stored() {
    let (fixture, ..) = delivered();
    let fresh = [c"SECRET_ONE=replaced".as_ptr(), c"PLAIN=z".as_ptr()];
    // SAFETY: strings, which the environment copies.
    unsafe { fixture.env.replace_all(fresh.as_ptr(), 2, |_| ()).unwrap() };
    let block = |name: &CStr| fixture.env.block_of(entry_of(&fixture, name));
    // SAFETY: entries of the environment that it copied.
    unsafe {
        assert!((*block(c"SECRET_ONE")).is_locked);
        assert!(!(*block(c"PLAIN")).is_locked);
    }
    fixture.env.clear().unwrap();
    fixture.set("SECRET_TWO", "after everything was cleared").unwrap();
    // SAFETY: as above.
    assert!(unsafe { (*block(c"SECRET_TWO")).is_locked });
}
