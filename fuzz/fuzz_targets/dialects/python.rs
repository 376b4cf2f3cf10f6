//! Env files of the dialect `python`; see `read.rs`.
#![no_main]

mod read;

use envward_source::Dialect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| read::read(Dialect::Python, text));
