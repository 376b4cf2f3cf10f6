//! Chores of libenvward, the environment's C library: its generated files, the long runs whose
//! figures are in docs/environment.md, and its benchmark.

mod bench;
mod build;
mod interface;
mod matrix;
mod newer;
mod programs;
mod sanitize;

use crate::Trouble;

pub(crate) const USAGE: &str = "
  header [--check]                         envward.h, envward.map and man pages from api.txt
  crash-matrix [--seconds N] [--rows A,B] [--libc glibc|glibc-2.41|musl]
               [--tries N] [--only-with]   the crash matrix, without and with the library
  glibc-2.41                               fetches Debian 13's libc to run programs with
  bench-environ [--libc glibc-2.41] [--launches N] [--no-count]
                                           libenvward against glibc and musl
  real-programs [--runs N]                 known crashes of real programs, without and with it
  sanitize                                 ThreadSanitizer, AddressSanitizer and valgrind";

/// Runs a chore of the library; `None` if it is none.
pub(crate) fn run(arguments: &[&str]) -> Option<Result<(), Trouble>> {
    Some(match arguments {
        ["header"] => interface::generate(false),
        ["header", "--check"] => interface::generate(true),
        ["glibc-2.41"] => newer::show(),
        ["crash-matrix", options @ ..] => matrix::run(options),
        ["bench-environ", options @ ..] => bench::run(options),
        ["real-programs", options @ ..] => programs::run(options),
        ["sanitize"] => sanitize::run(),
        _ => return None,
    })
}
