//! Many threads on one environment. Also what runs under the sanitizers
//! (`cargo xtask sanitize`).

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are not recognised as tests")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use envward_environ as environ;

/// The tests of this file change the one environment of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// Names are their own values, between marks, so that a torn or foreign string shows.
fn is_whole(name: &OsStr, value: &OsStr) -> bool {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    !name.starts_with(b"S_") || value.strip_prefix(name).is_some_and(|rest| rest.iter().all(u8::is_ascii_digit))
}

fn set(name: &str, serial: u32) {
    environ::set(name, format!("{name}{serial}")).unwrap();
}

fn read_everything() {
    let held = environ::get("S_ALWAYS").expect("a variable that is always there was missed");
    assert!(is_whole(OsStr::new("S_ALWAYS"), &held));
    if let Some(value) = environ::get("S_SOMETIMES") {
        assert!(is_whole(OsStr::new("S_SOMETIMES"), &value));
    }
    let mut always = 0;
    let mut names = Vec::new();
    for variable in environ::iter() {
        assert!(is_whole(variable.name(), variable.value()));
        always += usize::from(variable.name() == "S_ALWAYS");
        names.push(variable.name().to_owned());
    }
    assert_eq!(always, 1, "an iteration found a permanent variable {always} times");
    names.sort();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before, "an iteration found a name twice");
    let exec = environ::snapshot_for_exec();
    let found = exec.entries().filter(|entry| entry.to_bytes().starts_with(b"S_ALWAYS=")).count();
    assert_eq!(found, 1);
    assert!(is_whole(OsStr::new("S_ALWAYS"), &held), "a held value changed");
}

fn write_everything(seed: u32) {
    for serial in 0..20 {
        set("S_ALWAYS", serial + seed);
        set("S_SOMETIMES", serial);
        set(&format!("S_{}_", seed + serial), serial);
        if serial % 3 == 0 {
            environ::remove("S_SOMETIMES").unwrap();
        }
    }
    for serial in 0..20 {
        environ::remove(format!("S_{}_", seed + serial)).unwrap();
    }
}

#[test]
fn any_number_of_threads_may_read_and_write() {
    let _alone = ALONE.lock().unwrap();
    set("S_ALWAYS", 0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in [1000, 2000] {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    write_everything(seed);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    read_everything();
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn replacing_everything_is_seen_at_one_instant() {
    let _alone = ALONE.lock().unwrap();
    let saved: Vec<_> = environ::iter().collect();
    let generation = |number: u32| (0..30).map(move |at| (format!("G_{at}"), number.to_string()));
    environ::replace_all(generation(0)).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..3000 {
                environ::replace_all(generation(number)).unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let all: Vec<_> = environ::iter().collect();
                assert_eq!(all.len(), 30);
                assert!(all.iter().all(|variable| variable.value() == all[0].value()), "two generations at once");
            }
        });
    });
    environ::replace_all(saved.iter().map(|variable| (variable.name(), variable.value()))).unwrap();
}

/// The kernel's strings stand at any address, ours at multiples of sixteen.
#[test]
fn what_the_kernel_passed_is_iterated() {
    let _alone = ALONE.lock().unwrap();
    let mut ours: Vec<_> =
        environ::iter().map(|variable| (variable.name().to_owned(), variable.value().to_owned())).collect();
    let mut theirs: Vec<_> = std::env::vars_os().collect();
    ours.sort();
    theirs.sort();
    assert!(ours.len() > 5);
    assert!(ours == theirs);
}

#[test]
fn values_cross_threads() {
    let _alone = ALONE.lock().unwrap();
    set("S_CROSS", 1);
    let value = environ::get("S_CROSS").unwrap();
    let mut iter = environ::iter();
    let first = iter.next().unwrap();
    let name = first.name().to_owned();
    thread::spawn(move || {
        set("S_CROSS", 2);
        assert!(value == *"S_CROSS1");
        let rest = iter.count();
        assert!(rest > 0);
        assert_eq!(first.name(), name);
    })
    .join()
    .unwrap();
    assert!(environ::get("S_CROSS").unwrap() == *"S_CROSS2");
    environ::remove("S_CROSS").unwrap();
}

#[test]
fn the_interface_does_what_it_says() {
    let _alone = ALONE.lock().unwrap();
    for bad in ["", "A=B", "A\0B"] {
        assert_eq!(environ::set(bad, "x"), Err(environ::Error::Name));
        assert_eq!(environ::remove(bad), Err(environ::Error::Name));
        assert!(environ::get(bad).is_none());
    }
    assert_eq!(environ::set("A", "x\0y"), Err(environ::Error::Value));
    environ::set("UTF", OsStr::from_bytes(b"\xff\xfe")).unwrap();
    assert_eq!(environ::get("UTF").unwrap().as_bytes(), b"\xff\xfe");
    assert_eq!(format!("{:?}", environ::get("UTF").unwrap()), "Value(..)");
    // What the standard library and a child see is the same.
    assert_eq!(std::env::var_os("UTF").unwrap().as_bytes(), b"\xff\xfe");
    environ::set("CHILD_OF_TEST", "seen").unwrap();
    let output = std::process::Command::new("sh").args(["-c", "printf %s \"$CHILD_OF_TEST\""]).output().unwrap();
    assert_eq!(output.stdout, b"seen");
    for name in ["UTF", "CHILD_OF_TEST"] {
        environ::remove(name).unwrap();
        assert!(std::env::var_os(name).is_none());
    }
}
