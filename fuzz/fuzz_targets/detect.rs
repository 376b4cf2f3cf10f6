//! Recognising credentials: whatever the bytes, it ends, and what it finds lies inside of them.
#![no_main]

use envward_detect::{allow, arguments, text, variable};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(found) = variable::detect(bytes) {
        assert!(found.range.start < found.range.end && found.range.end <= bytes.len());
    }
    let line: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    for found in arguments::detect(&line) {
        assert!(found.detection.range.end <= line[found.index].len());
    }
    for syntax in [text::Syntax::Data, text::Syntax::Code] {
        for found in text::detect(bytes, syntax) {
            assert!(found.detection.range.end <= bytes.len());
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = allow::parse(text);
    }
});
