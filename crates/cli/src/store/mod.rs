//! The commands of the embedded store.
//!
//! Each of them does its work in a child process whose stack and heap are protected memory
//! (`envward_secret::confined`), and that can neither exec nor trace: the process that was
//! started never has a value in its memory. It waits, and keeps the terminal in order.

mod edit;
mod export;
mod get;
mod history;
mod import;
mod init;
mod list;
mod place;
mod prompt;
mod recipients;
mod rm;
mod rotate;
mod run;
mod session;
mod set;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use envward_kernel::signal::{self, SignalSet};
use envward_kernel::{prctl, process};
use envward_secret::Backing;
use envward_secret::confined::{self, ConfinedError};
use envward_store::{Kind, StoreError};

use crate::failure::Failure;
use crate::output;

pub(crate) use place::Place;
pub(crate) use run::load;

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Set(set::Set),
    Get(get::Get),
    List(list::List),
    Edit(edit::Edit),
    Import(import::Import),
    Export(export::Export),
    Rm(rm::Rm),
    History(history::History),
    Revert(history::Revert),
    Recipients(recipients::Recipients),
    RotateKeys(rotate::RotateKeys),
}

/// Runs one of them.
pub(crate) fn run(command: Command) -> Result<u8, Failure> {
    // What a child inherits from us, and what it asks for, is nobody else's business.
    prctl::set_dumpable(false).map_err(|error| failure(code::FILE, format!("cannot close our own memory: {error}")))?;
    match command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Set(arguments) => set::run(&arguments),
        Command::Get(arguments) => get::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Edit(arguments) => edit::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Rm(arguments) => rm::run(&arguments),
        Command::History(arguments) => history::run(&arguments),
        Command::Revert(arguments) => history::revert(&arguments),
        Command::Recipients(arguments) => recipients::run(&arguments),
        Command::RotateKeys(arguments) => rotate::run(&arguments),
    }
}

/// Exit codes, as `docs/exit-codes.md` has them.
pub(crate) mod code {
    pub(crate) const ABSENT: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const LOCKED: u8 = 3;
    pub(crate) const DAMAGED: u8 = 4;
    pub(crate) const FILE: u8 = 5;
    pub(crate) const CHANGED: u8 = 6;
    pub(crate) const INPUT: u8 = 7;
}

pub(crate) fn failure(code: u8, message: impl std::fmt::Display) -> Failure {
    Failure::new(code, message)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = match error.kind() {
            Kind::Absent => code::ABSENT,
            Kind::Locked => code::LOCKED,
            Kind::Damaged => code::DAMAGED,
            Kind::Input => code::INPUT,
            _ => code::FILE,
        };
        Self::new(code, &error).hint_if(error.hint())
    }
}

impl From<ConfinedError> for Failure {
    fn from(error: ConfinedError) -> Self {
        let hint = match &error {
            ConfinedError::Memory(error) if error.is_unsupported() => {
                Some("or accept weaker memory with --best-effort memfd_secret")
            }
            _ => None,
        };
        Self::new(code::FILE, error).hint_if(hint)
    }
}

/// Does `task` in a confined child, which says itself what goes wrong there.
fn confined(backing: Backing, mut task: impl FnMut() -> Result<u8, Failure>) -> Result<u8, Failure> {
    guarded(backing, &mut || match task() {
        Ok(code) => code,
        Err(failure) => {
            output::error(&failure);
            failure.code
        }
    })
}

/// Runs a confined child; a signal from the terminal that kills it reaches us when the terminal
/// is again as it was.
fn guarded(backing: Backing, body: &mut dyn FnMut() -> u8) -> Result<u8, Failure> {
    let terminal = prompt::Terminal::remember();
    let mask = hold_signals();
    let done = confined::run(backing, &mut || {
        if let Some(mask) = mask {
            let _ = signal::set_mask(mask);
        }
        body()
    });
    if let Err(ConfinedError::Killed(_)) = done {
        terminal.restore();
    }
    if let Some(mask) = mask {
        let _ = signal::set_mask(mask);
    }
    if let Err(ConfinedError::Killed(number)) = done
        && INTERRUPTING.contains(&number)
    {
        let _ = signal::send(process::id(), number);
    }
    Ok(done?)
}

/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGTERM`.
const INTERRUPTING: [i32; 4] = [1, 2, 3, 15];

/// Keeps signals that would end us waiting; returns the mask that was in effect.
fn hold_signals() -> Option<SignalSet> {
    let before = signal::set_mask(SignalSet::EMPTY).ok()?;
    let mut set = before.bits();
    for number in INTERRUPTING {
        set |= 1 << (number - 1);
    }
    let _ = signal::set_mask(SignalSet::from_bits(set));
    Some(before)
}

/// Writes to standard output without a buffer in between.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let written = io::stdout().as_fd().try_clone_to_owned().and_then(|stdout| File::from(stdout).write_all(bytes));
    written.map_err(|error| failure(code::FILE, format!("cannot write to standard output: {error}")))
}

fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(format!("{value}\n").as_bytes())
}

/// The name of a secret. What is not one is not shown: it may have been meant as a value.
fn check_name(name: &str) -> Result<&str, Failure> {
    if envward_store::record::is_name(name) {
        return Ok(name);
    }
    Err(failure(code::USAGE, StoreError::Name))
}

/// Before values go to where somebody may look over a shoulder.
fn require_reveal(reveal: bool, what: &str) -> Result<(), Failure> {
    if reveal || !io::IsTerminal::is_terminal(&io::stdout()) {
        return Ok(());
    }
    Err(failure(code::USAGE, format!("standard output is a terminal, and would show {what}"))
        .hint("say --reveal if it shall"))
}
