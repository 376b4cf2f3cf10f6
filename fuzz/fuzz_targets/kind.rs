//! The types of variables: whatever the value, every check ends and shows nothing of it; and
//! JSON and numbers are what other parsers say.
#![no_main]

use envward_policy::Kind;
use envward_policy::kind::{KIND_NAMES, Pattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    for name in KIND_NAMES {
        if let Some(kind) = Kind::simple(name) {
            let _ = kind.check(value);
        }
    }
    let Ok(text) = std::str::from_utf8(value) else { return };
    assert_eq!(Kind::Integer.check(value).is_ok(), text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok());
    if Kind::Float.check(value).is_ok() {
        assert!(text.parse::<f64>().is_ok());
    }
    // A value of two lines: a pattern and what it is held against.
    if let Some((pattern, value)) = text.split_once('\n')
        && let Ok(pattern) = Pattern::new(pattern)
    {
        let _ = Kind::Regex(pattern).check(value.as_bytes());
    }
});
