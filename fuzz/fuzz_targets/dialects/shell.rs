//! Env files of the dialect `shell`; see `read.rs`.
#![no_main]

mod read;

use envward_source::Dialect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| read::read(Dialect::Shell, text));
