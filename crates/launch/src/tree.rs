//! A running tree: the loop that forwards signals, reaps processes, follows job control and
//! lets the supervisor work, until the program ends.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use envward_kernel::poll;
use envward_kernel::process::{self, Change, Ending};
use envward_kernel::signal::{self, Received, SignalQueue};

use crate::forwarding::{self, Forward};
use crate::group::{Group, Stopped};
use crate::remaining::Remaining;
use crate::report::Level;
use crate::service::Notifications;
use crate::supervise::{self, Supervisor};

const SIGCONT: i32 = 18;
/// How long execs under way may take to end after the program has.
const LANDING: Duration = Duration::from_secs(2);

/// A tree and everything that is needed to look after it.
#[derive(Debug)]
pub struct Tree<'a> {
    supervisor: Supervisor<'a>,
    signals: SignalQueue,
    notifications: Option<Notifications>,
    group: Group,
    program: i32,
}

/// What is left when the program has ended.
#[derive(Debug)]
pub struct Ended<'a> {
    /// How the program ended.
    pub ending: Ending,
    /// What still needs a supervisor, when processes of the tree are left.
    pub remaining: Option<Remaining<'a>>,
}

impl<'a> Tree<'a> {
    /// The tree of `program`, which runs.
    #[must_use]
    pub const fn new(
        supervisor: Supervisor<'a>,
        signals: SignalQueue,
        notifications: Option<Notifications>,
        group: Group,
        program: i32,
    ) -> Self {
        Self { supervisor, signals, notifications, group, program }
    }

    /// The protection that the tree has got.
    #[must_use]
    pub fn level(&self) -> Level {
        self.supervisor.level()
    }

    /// Looks after the tree until the program ends.
    ///
    /// # Errors
    /// When the kernel refuses to tell about signals or execs.
    pub fn run(mut self) -> io::Result<Ended<'a>> {
        // What happened before we listened.
        let mut ending = self.reap()?;
        // The listener hangs up when the last process of the tree begins to exit, before we
        // are told of its end; polling it then would spin in that process's way.
        let mut alive = true;
        while ending.is_none() {
            if self.supervisor.has_queued() && self.supervisor.has_room() {
                self.supervisor.handle_next()?;
                continue;
            }
            let listener = self.supervisor.listener().filter(|_| alive && self.supervisor.has_room());
            let listener = listener.map(AsFd::as_fd);
            let notifications = self.notifications.as_ref().map(AsFd::as_fd);
            let awaited = [Some(self.signals.as_fd()), listener, notifications];
            let [signals, execs, service] = poll::wait(awaited, None)?;
            if service.readable {
                self.pass_on()?;
            }
            if signals.readable {
                ending = self.drain_signals()?;
            }
            alive &= !execs.hung_up;
            if execs.readable {
                self.supervisor.handle_next()?;
            }
        }
        let ending = ending.unwrap_or(Ending::Exited(0));
        // What the program said last.
        self.pass_on()?;
        self.land()?;
        let remaining = match self.supervisor.listener() {
            Some(listener) if !supervise::tree_is_gone(listener)? => {
                Some(Remaining::new(self.supervisor, self.signals))
            }
            _ => None,
        };
        Ok(Ended { ending, remaining })
    }

    fn pass_on(&self) -> io::Result<()> {
        self.notifications.as_ref().map_or(Ok(()), |notifications| notifications.pass_on(self.program))
    }

    /// Waits for execs under way, which would die with us.
    fn land(&mut self) -> io::Result<()> {
        let limit = Instant::now() + LANDING;
        while self.supervisor.is_busy() && Instant::now() < limit {
            poll::wait([Some(self.signals.as_fd())], Some(Duration::from_millis(100)))?;
            while self.signals.next()?.is_some() {}
            self.reap()?;
        }
        Ok(())
    }

    fn drain_signals(&mut self) -> io::Result<Option<Ending>> {
        let mut children = false;
        while let Some(received) = self.signals.next()? {
            children |= received.signal == SIGCHLD;
            self.forward(&received);
        }
        if children { self.reap() } else { Ok(None) }
    }

    fn forward(&self, received: &Received) {
        forward(received, self.program, &self.group);
    }

    /// Takes note of everything that happened to processes; says how the program ended, when
    /// it has.
    fn reap(&mut self) -> io::Result<Option<Ending>> {
        let mut ending = None;
        while let Some((pid, change)) = process::next_change()? {
            if self.supervisor.advance(pid, change) || pid != self.program {
                continue;
            }
            match change {
                Change::Ended(how) => ending = Some(how),
                Change::Stopped { signal, event: 0 } => {
                    if let Some(how) = self.stop_too(signal)? {
                        ending = Some(how);
                    }
                }
                Change::Stopped { .. } | Change::Continued => {}
            }
        }
        Ok(ending)
    }

    fn stop_too(&mut self, signal: i32) -> io::Result<Option<Ending>> {
        match self.group.stop_with(self.program, signal)? {
            Stopped::Ended(ending) => Ok(Some(ending)),
            Stopped::Continued { program } => {
                // Nothing but a SIGCONT wakes us. If it was sent to us alone the program gets it
                // here and not from the queue, where a stop signal that came later replaces it.
                if !program {
                    let _ = signal::send(self.program, SIGCONT);
                }
                while let Some(received) = self.signals.next()? {
                    if received.signal != SIGCONT {
                        self.forward(&received);
                    }
                }
                self.reap()
            }
        }
    }
}

/// Sends a signal that we have received on to the program, if it is meant for it.
pub(crate) fn forward(received: &Received, program: i32, group: &Group) {
    // The program may have ended already; then there is nobody to tell.
    let _ = match forwarding::decide(received, process::id(), group.is_session_leader()) {
        Forward::No => Ok(()),
        Forward::Plain => signal::send(program, received.signal),
        Forward::WithValue => signal::send_with_value(program, received),
    };
}

const SIGCHLD: i32 = 17;
