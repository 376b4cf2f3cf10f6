//! The program's standard output and error when they are redirected: a relay for each place
//! that they go to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use envward_kernel::signal::SignalQueue;
use envward_kernel::{descriptor, startup};
use envward_secret::Vault;
use rustix::fs::FileType;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::termios::{OutputModes, isatty, tcgetattr};

use super::relay::{Ends, Relay, Values};
use crate::failure::Failure;

/// Relays for standard output and standard error, which lead to them until
/// [`restore`](Self::restore).
pub(crate) struct Streams {
    relays: Vec<Relay>,
    /// Standard error as it was.
    errors: Option<OwnedFd>,
}

impl Streams {
    /// Puts relays in place of standard output and error.
    pub(super) fn redirect(vault: &Vault) -> Result<Self, Failure> {
        let mut streams = Self { relays: Vec::new(), errors: None };
        let (out, err) = (rustix::stdio::stdout(), rustix::stdio::stderr());
        let (has_out, has_err) = (!startup::was_closed(1), !startup::was_closed(2));
        // One relay keeps what goes to one place in its order.
        let together = has_out && has_err && are_one_place(out, err);
        if has_err {
            let saved = fcntl_dupfd_cloexec(err, 3).map_err(failed)?;
            if !together {
                streams.relay(vault, err, &[2])?;
            }
            streams.errors = Some(saved);
        }
        if has_out {
            streams.relay(vault, out, if together { &[1, 2] } else { &[1] })?;
        }
        Ok(streams)
    }

    /// Puts a relay in place of standard error only.
    pub(super) fn redirect_errors(vault: &Vault) -> Result<Self, Failure> {
        let mut streams = Self { relays: Vec::new(), errors: None };
        let saved = fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3).map_err(failed)?;
        streams.relay(vault, rustix::stdio::stderr(), &[2])?;
        streams.errors = Some(saved);
        Ok(streams)
    }

    fn relay(&mut self, vault: &Vault, stream: BorrowedFd<'_>, numbers: &[i32]) -> Result<(), Failure> {
        let sink = fcntl_dupfd_cloexec(stream, 3).map_err(failed)?;
        let follows_size = isatty(stream);
        let (source, program) = if follows_size { terminal_for(stream)? } else { pipe()? };
        let ends = Ends { source, sink, follows_size };
        let values = Values::of(vault).map_err(crate::run::report::no_memory)?;
        let relay = Relay::start(values, ends)?;
        self.relays.push(relay);
        for number in numbers {
            descriptor::replace_standard_stream(program.as_fd(), *number).map_err(failed)?;
        }
        Ok(())
    }

    /// Gives envward its own standard error back: the program has its own, and nobody shall
    /// wait for the end of its output because we have a copy.
    pub(crate) fn restore(&mut self) {
        if let Some(errors) = self.errors.take() {
            let _ = descriptor::replace_standard_stream(errors.as_fd(), 2);
        }
    }

    /// In a child: closes what is the parent's, and leaves standard error as it is.
    pub(super) fn leave(mut self) {
        self.errors = None;
    }

    /// Waits until everything that the program has written has been passed on.
    pub(crate) fn drain(mut self) {
        if let Ok(signals) = SignalQueue::new() {
            for relay in &mut self.relays {
                relay.drain(&signals);
            }
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.restore();
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Failure> {
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    Ok((reader.into(), writer.into()))
}

/// A terminal for output alone, beside the one that controls the job: it shows the program what it
/// looks for, and leaves every byte as it is, for the real one to make line ends of.
fn terminal_for(stream: BorrowedFd<'_>) -> Result<(OwnedFd, OwnedFd), Failure> {
    let mut settings = tcgetattr(stream).map_err(failed)?;
    settings.output_modes.remove(OutputModes::OPOST);
    super::terminal::open_like(stream, &settings)
}

/// Whether the order of what is written to the two shows.
pub(super) fn are_one_place(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let (Ok(first), Ok(second)) = (rustix::fs::fstat(one), rustix::fs::fstat(other)) else { return false };
    if (first.st_dev, first.st_ino) != (second.st_dev, second.st_ino) {
        return false;
    }
    // Two openings of a regular file have an offset each.
    FileType::from_raw_mode(first.st_mode) != FileType::RegularFile
        || descriptor::are_copies(one, other).unwrap_or(false)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::own(format!("cannot redirect the output: {error}"))
}
