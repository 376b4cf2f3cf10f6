//! The `envward` command.
//!
//! There is no `fn main`: Rust's runtime would ignore `SIGPIPE`, open closed standard streams
//! and read `/proc/self/maps` before it, and a launcher passes on what it was given.
//! The unit tests bring a `main` of their own.
#![cfg_attr(not(test), no_main)]
#![cfg_attr(not(test), expect(unsafe_code, reason = "the C entry point needs an unmangled name"))]

mod agent;
mod arguments;
mod check;
mod completions;
mod doctor;
mod env;
mod failure;
mod output;
mod run;
mod scan;
mod status;
mod store;

use std::ffi::{c_char, c_int};

use clap::Parser;

use crate::arguments::{Arguments, Subcommand};
use crate::failure::Failure;

/// Ordinary memory here, protected memory in the processes that open the store.
#[global_allocator]
static HEAP: envward_secret::Heap = envward_secret::Heap;

/// The C entry point; the standard library has taken the arguments already.
// SAFETY: this is the one `main` of the program, with C's signature.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    c_int::from(dispatch())
}

/// A static C library asks the kernel where the program's file is, before `main`, for libraries
/// that are loaded relative to it. None are, and the question takes a hundredth of the start;
/// with this it finds that out without asking.
// SAFETY: the C library's function of this name returns a string or -1 for "unknown"; a dynamic
// one has its own and does not see this.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn _dl_get_origin() -> *const c_char {
    std::ptr::without_provenance(usize::MAX)
}

fn dispatch() -> u8 {
    let arguments = match parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = match arguments.command {
        Subcommand::Run(arguments) => run::run(*arguments),
        Subcommand::Completions(arguments) => completions::run(&arguments),
        Subcommand::Man(arguments) => completions::write_manual(&arguments),
        Subcommand::Doctor(arguments) => doctor::run(&arguments),
        Subcommand::Scan(arguments) => scan::run(&arguments),
        Subcommand::Status(arguments) => status::run(&arguments),
        Subcommand::Check(arguments) => check::run(arguments),
        Subcommand::Env(arguments) => env::run(arguments),
        Subcommand::Agent(arguments) => agent::run(arguments),
        Subcommand::Recipes(arguments) => agent::recipes(arguments),
        Subcommand::Watch(arguments) => agent::watch(arguments),
        Subcommand::Store(command) => store::run(command),
    };
    match result {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure);
            failure.code
        }
    }
}

/// Takes the command line apart. For `run`, which is to start fast, the other commands are not
/// even described to the parser, unless there is something to say about the command line.
fn parse() -> Result<Arguments, clap::Error> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|name| name == "run")
        && let Some(run) = arguments::Run::parse_alone(arguments)
    {
        return Ok(Arguments { command: Subcommand::Run(Box::new(run)) });
    }
    Arguments::try_parse()
}

/// Shows help or what is wrong with the command line. `run` answers with 125, as `env` does,
/// because its other numbers are the program's; the other commands answer with 2.
fn usage(error: &clap::Error) -> u8 {
    let _ = error.print();
    if !error.use_stderr() {
        return 0;
    }
    let is_run = std::env::args_os().nth(1).is_some_and(|name| name == "run");
    if is_run { Failure::OWN } else { Failure::USAGE }
}
