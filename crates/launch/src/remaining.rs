//! Processes that outlive the program: a daemon goes on to exec, so somebody has to go on to
//! supervise it, while whoever waits for us is told at once how the program ended.

use std::io;
use std::os::fd::AsFd;

use envward_kernel::process::{self, Fork};
use envward_kernel::signal::SignalQueue;
use envward_kernel::{descriptor, poll};

use crate::supervise::Supervisor;

/// A tree whose first program has ended.
#[derive(Debug)]
pub struct Remaining<'a> {
    supervisor: Supervisor<'a>,
    signals: SignalQueue,
}

impl<'a> Remaining<'a> {
    pub(crate) const fn new(supervisor: Supervisor<'a>, signals: SignalQueue) -> Self {
        Self { supervisor, signals }
    }

    /// Goes on supervising in a new process of its own session, without our standard streams,
    /// until the tree is gone. Returns in the old process, which has nothing left to do.
    ///
    /// Without `CAP_SYS_PTRACE`, and where Yama lets only ancestors trace, the new process is
    /// refused: execs that carry secrets then fail with `EPERM`.
    ///
    /// # Errors
    /// When no process or no memory is to be had: execs in the remaining tree fail then.
    pub fn go_on_in_background(self) -> io::Result<()> {
        let parcel = self.supervisor.pack().map_err(io::Error::other)?;
        match process::fork_single_threaded()? {
            Fork::Parent(_) => Ok(()),
            Fork::Child => {
                let status = self.supervise(parcel).map_or(1, |()| 0);
                process::exit_now(status)
            }
        }
    }

    /// In the child.
    fn supervise(self, parcel: crate::image::Parcel) -> io::Result<()> {
        let _ = process::start_session();
        descriptor::close_standard_streams();
        let Self { supervisor, signals: _parents } = self;
        let mut supervisor = supervisor.unpack(parcel).map_err(io::Error::other)?;
        let signals = SignalQueue::new()?;
        loop {
            if supervisor.has_queued() && supervisor.has_room() {
                supervisor.handle_next()?;
                continue;
            }
            let listener = supervisor.listener().filter(|_| supervisor.has_room()).map(AsFd::as_fd);
            let [changes, execs] = poll::wait([Some(signals.as_fd()), listener], None)?;
            if changes.readable {
                while signals.next()?.is_some() {}
                while let Some((pid, change)) = process::next_change()? {
                    supervisor.advance(pid, change);
                }
            }
            if execs.readable {
                supervisor.handle_next()?;
            } else if execs.hung_up {
                return Ok(());
            }
        }
    }
}
