//! The supervisor's place in job control.
//!
//! The program keeps the process group that the shell gave to us, and we leave it for one of
//! our own: what is sent to the group reaches the program once, from the terminal or from
//! `kill`, and what is sent to us alone is forwarded once. A session leader cannot leave.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use envward_kernel::prctl;
use envward_kernel::process::{self, Change, Ending, Fork};
use envward_kernel::signal::{self, SignalSet};

const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;

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

    /// Stops ourselves because the program was stopped by `signal`, by the same signal, so that
    /// whoever waits for us sees it; returns when we are continued.
    ///
    /// While we are stopped a watcher continues us if the program is continued alone. Where no
    /// watcher is to be had, whoever continues the program has to continue us too.
    ///
    /// # Errors
    /// None is expected.
    pub fn stop_with(&self, program: i32, mut signal: i32) -> io::Result<Stopped> {
        loop {
            if !self.session_leader {
                let _ = process::set_group(0, self.job);
            }
            let watcher = Watcher::start(program);
            stop_ourselves(signal);
            if let Ok(watcher) = watcher {
                watcher.end();
            }
            let came = came_of(program)?;
            self.go_out();
            match came {
                Came::StoppedAgain(by) => signal = by,
                Came::Ended(ending) => return Ok(Stopped::Ended(ending)),
                Came::Continued => return Ok(Stopped::Continued { program: true }),
                Came::Nothing => return Ok(Stopped::Continued { program: false }),
            }
        }
    }
}

/// What the program did when we were continued.
enum Came {
    Nothing,
    Continued,
    StoppedAgain(i32),
    Ended(Ending),
}

/// How long a signal to a whole group may take from us to the program.
const SPREAD: Duration = Duration::from_millis(2);

fn came_of(program: i32) -> io::Result<Came> {
    let limit = Instant::now() + SPREAD;
    loop {
        match process::try_wait_for_job(program)? {
            Some(Change::Ended(ending)) => return Ok(Came::Ended(ending)),
            Some(Change::Stopped { signal, .. }) => return Ok(Came::StoppedAgain(signal)),
            Some(Change::Continued) => return Ok(Came::Continued),
            None if Instant::now() < limit => thread::sleep(SPREAD / 20),
            None => return Ok(Came::Nothing),
        }
    }
}

/// Stops this process by `signal`, or by `SIGSTOP` where that would have no effect: in a group
/// that nobody in the session could continue.
fn stop_ourselves(signal: i32) {
    let signal = if process::parent_controls_job() { signal } else { SIGSTOP };
    let _ = signal::set_default(signal);
    let _ = signal::send(process::id(), signal);
    // All but SIGSTOP has waited for this.
    let _ = signal::set_mask(SignalSet::ALL.without(signal));
    let _ = signal::set_mask(SignalSet::ALL);
}

/// A process that continues us when the program goes on, or ends, while we are stopped.
struct Watcher(i32);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(25);

impl Watcher {
    fn start(program: i32) -> io::Result<Self> {
        let supervisor = process::id();
        match process::fork_single_threaded()? {
            Fork::Parent(pid) => Ok(Self(pid)),
            Fork::Child => {
                let _ = prctl::die_with_parent();
                // Not in the job's group, whose signals are not for us.
                let _ = process::set_group(0, 0);
                loop {
                    thread::sleep(LOOK);
                    // More than once, for it may come before the supervisor has stopped.
                    if !process::is_stopped(program) && signal::send(supervisor, SIGCONT).is_err() {
                        process::exit_now(0)
                    }
                }
            }
        }
    }

    fn end(self) {
        let _ = signal::send(self.0, SIGKILL);
        let _ = process::wait_for(self.0);
    }
}

/// What came of stopping together with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// We were continued.
    Continued {
        /// Whether the program was too.
        program: bool,
    },
    /// The program ended meanwhile.
    Ended(Ending),
}
