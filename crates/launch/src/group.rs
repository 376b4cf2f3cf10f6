//! The supervisor's place in job control.
//!
//! The program keeps the process group that the shell gave to us, and we leave it for one of
//! our own: what is sent to the group reaches the program once, from the terminal or from
//! `kill`, and what is sent to us alone is forwarded once. A session leader cannot leave.

use std::io;

use envward_kernel::process::{self, Change, Ending};
use envward_kernel::{signal, terminal};

const SIGSTOP: i32 = 19;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;

/// The supervisor's process groups.
#[derive(Debug)]
pub struct Group {
    /// The one that the program is in.
    job: i32,
    session_leader: bool,
}

impl Group {
    /// Leaves the program's group if possible.
    #[must_use]
    pub fn leave() -> Self {
        let (id, job) = (process::id(), process::group());
        let session_leader = process::session() == id;
        let group = Self { job, session_leader };
        group.go_out();
        group
    }

    /// Whether we lead the session.
    #[must_use]
    pub const fn is_session_leader(&self) -> bool {
        self.session_leader
    }

    fn go_out(&self) {
        if self.session_leader {
            return;
        }
        // Failure leaves us in the job's group, which only doubles signals to the group.
        let _ = if self.job == process::id() { process::join_new_group() } else { process::set_group(0, 0) };
    }

    /// Stops ourselves because the program was stopped by `signal`, so that whoever waits for
    /// us sees it; returns when we are continued. Says whether the program goes on already.
    ///
    /// A `SIGSTOP` counts only in the terminal's foreground: elsewhere it is meant for the
    /// program, and whoever sent it continues the program, not us.
    ///
    /// # Errors
    /// None is expected.
    pub fn stop_with(&self, program: i32, signal: i32) -> io::Result<Stopped> {
        let job_control = match signal {
            SIGTSTP | SIGTTIN | SIGTTOU => true,
            SIGSTOP => terminal::foreground_group() == Some(self.job),
            _ => false,
        };
        if !job_control {
            return Ok(Stopped::No);
        }
        if !self.session_leader {
            let _ = process::set_group(0, self.job);
        }
        signal::send(process::id(), SIGSTOP)?;
        // We are continued here. The program was too, if the whole group was.
        let mut continued = false;
        for _ in 0..20 {
            match process::try_wait_for_job(program) {
                Ok(Some(Change::Continued)) => {
                    continued = true;
                    break;
                }
                Ok(Some(Change::Ended(ending))) => {
                    self.go_out();
                    return Ok(Stopped::Ended(ending));
                }
                _ => std::thread::sleep(std::time::Duration::from_micros(100)),
            }
        }
        self.go_out();
        Ok(Stopped::Yes { continued })
    }
}

/// What came of stopping together with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// We did not stop.
    No,
    /// We stopped and were continued.
    Yes {
        /// Whether the program was continued by the same signal.
        continued: bool,
    },
    /// The program ended meanwhile.
    Ended(Ending),
}
