//! The program on a terminal of its own, below a user on a terminal.
//!
//! Four processes stand between them:
//!
//! * the *front* (`front.rs`), the process that the user's shell has started: it passes on what
//!   is typed, the size of the window and signals, and stops and ends as the program does;
//! * the *relay*, which passes on what the program writes;
//! * the *monitor* (`monitor.rs`), the leader of the session of the program's terminal, as a
//!   shell is, and the parent of
//! * the supervisor, which works as it does below any shell.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use envward_kernel::process::{self, Fork};
use envward_kernel::signal::{self, SignalQueue, SignalSet};
use envward_kernel::{descriptor, startup};
use envward_secret::{PackedVault, Vault};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::front::Front;
use super::monitor::{self, Orders};
use super::relay::{Ends, Relay, Values};
use super::streams::{Streams, are_one_place};
use crate::failure::Failure;
use crate::run::report;

const SIGCHLD: i32 = 17;

/// The user's terminal.
pub(super) struct Terminal {
    pub(super) settings: Termios,
}

/// Whether somebody sits at a terminal who types to the program and sees what it writes.
pub(super) fn is_interactive() -> bool {
    let open = !startup::was_closed(0) && !startup::was_closed(1);
    open && isatty(stdin()) && isatty(stdout()) && are_one_place(stdin(), stdout())
}

/// Runs `program` in the supervisor, on a terminal of its own; returns its exit status, or does
/// not return because it ended by a signal.
pub(super) fn run(vault: Vault, program: impl FnOnce(Vault) -> u8) -> Result<u8, Failure> {
    let terminal = Terminal { settings: tcgetattr(stdin()).map_err(failed)? };
    let (master, slave) = open_like(stdin(), &terminal.settings)?;
    // An inherited "ignore" would reap our children behind our back.
    signal::set_default(SIGCHLD).map_err(failed)?;
    let mask = signal::set_mask(SignalSet::ALL).map_err(failed)?;
    let mut errors = None;
    if !startup::was_closed(2) && !are_one_place(stdout(), stderr()) {
        errors = Some(Streams::redirect_errors(&vault)?);
    }
    let values = Values::of(&vault).map_err(report::no_memory)?;
    let ends = Ends {
        source: fcntl_dupfd_cloexec(&master, 3).map_err(failed)?,
        sink: fcntl_dupfd_cloexec(stdout(), 3).map_err(failed)?,
        follows_size: false,
    };
    let relay = Relay::start(values, ends)?;
    let packed = vault.pack().map_err(report::no_memory)?;
    let foreground = is_foreground();
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    match process::fork_single_threaded().map_err(failed)? {
        Fork::Child => {
            drop((ours, master));
            let place = Place { slave, errors: errors.is_some(), mask, foreground };
            if let Some(errors) = errors {
                errors.leave();
            }
            let orders = Orders::new(theirs, relay, terminal.settings);
            monitor::run(orders, place, packed, program)
        }
        Fork::Parent(_) => {}
    }
    drop((theirs, slave, packed, vault));
    if let Some(errors) = &mut errors {
        errors.restore();
    }
    descriptor::close_inherited();
    let signals = SignalQueue::new().map_err(failed)?;
    let ending = Front::new(terminal, master, ours, signals, relay, errors).run(foreground).map_err(failed)?;
    Ok(crate::run::end_like(ending))
}

/// Where the supervisor is to work.
pub(super) struct Place {
    pub(super) slave: OwnedFd,
    /// Standard error leads elsewhere.
    pub(super) errors: bool,
    /// The signal mask of the program.
    pub(super) mask: SignalSet,
    /// Whether the program may read from the terminal.
    pub(super) foreground: bool,
}

impl Place {
    /// Makes the terminal that of the calling process, which leads a session, and puts it in
    /// place of the standard streams.
    pub(super) fn settle(&self) -> std::io::Result<()> {
        rustix::process::ioctl_tiocsctty(&self.slave)?;
        for number in 0..if self.errors || startup::was_closed(2) { 2 } else { 3 } {
            descriptor::replace_standard_stream(self.slave.as_fd(), number)?;
        }
        Ok(())
    }
}

/// A terminal with the settings and the size of another one: master and slave.
pub(super) fn open_like(other: BorrowedFd<'_>, settings: &Termios) -> Result<(OwnedFd, OwnedFd), Failure> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(failed)?;
    grantpt(&master).map_err(failed)?;
    unlockpt(&master).map_err(failed)?;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(failed)?;
    tcsetattr(&slave, OptionalActions::Now, settings).map_err(failed)?;
    tcsetwinsize(&slave, tcgetwinsize(other).map_err(failed)?).map_err(failed)?;
    // Whoever types must not make us wait for a program that does not read.
    rustix::io::ioctl_fionbio(&master, true).map_err(failed)?;
    Ok((master, slave))
}

/// Whether our job is the one that may use the terminal; also when there is no job control.
pub(super) fn is_foreground() -> bool {
    tcgetpgrp(stdin()).map_or(true, |group| group == rustix::process::getpgrp())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::own(format!("cannot give the program a terminal: {error}"))
}

/// What is on its way to the monitor of a supervisor.
pub(super) type Packed = PackedVault;
