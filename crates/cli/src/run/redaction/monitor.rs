//! The leader of the session of the program's terminal, and what it and the front say to each
//! other.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use envward_kernel::process::{self, Change, Ending, Fork};
use envward_kernel::signal::{self, Received, SignalQueue, SignalSet};
use envward_kernel::{descriptor, prctl};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcsetattr, tcsetpgrp};

use super::relay::Relay;
use super::terminal::{Packed, Place};
use crate::output;
use envward_secret::Vault;

const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;

/// What the front says to the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Send this to the program, with a value if it came with one.
    Signal { signal: i32, value: Option<u64> },
    /// Send this to the program and its group, as the terminal would have.
    Job(i32),
    /// Let the program go on, which may use the terminal or not.
    GoOn { foreground: bool },
}

/// What the monitor says to the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The supervisor was started, in a group of this number.
    Started(i32),
    /// The program was stopped by this signal.
    Stopped(i32),
    /// It ended.
    Ended(Ending),
}

/// The length of an order.
const ORDER: usize = 13;
/// The length of news.
const NEWS: usize = 5;

impl Order {
    pub(super) fn send(self, channel: &mut UnixStream) -> io::Result<()> {
        let (kind, number, value) = match self {
            Self::Signal { signal, value: None } => (0, signal, 0),
            Self::Signal { signal, value: Some(value) } => (1, signal, value),
            Self::Job(signal) => (2, signal, 0),
            Self::GoOn { foreground } => (3, i32::from(foreground), 0),
        };
        let mut message = [kind; ORDER];
        message[1..5].copy_from_slice(&number.to_ne_bytes());
        message[5..].copy_from_slice(&value.to_ne_bytes());
        channel.write_all(&message)
    }

    /// `None` when the front is gone.
    fn receive(channel: &mut UnixStream) -> Option<Self> {
        let mut message = [0; ORDER];
        channel.read_exact(&mut message).ok()?;
        let [kind, a, b, c, d, value @ ..] = message;
        let number = i32::from_ne_bytes([a, b, c, d]);
        Some(match kind {
            0 => Self::Signal { signal: number, value: None },
            1 => Self::Signal { signal: number, value: Some(u64::from_ne_bytes(value)) },
            2 => Self::Job(number),
            _ => Self::GoOn { foreground: number != 0 },
        })
    }
}

impl News {
    fn send(self, channel: &mut UnixStream) -> io::Result<()> {
        let (kind, number) = match self {
            Self::Stopped(signal) => (0, signal),
            Self::Ended(Ending::Exited(status)) => (1, status.into()),
            Self::Ended(Ending::Killed(signal)) => (2, signal),
            Self::Started(group) => (3, group),
        };
        let mut message = [kind; NEWS];
        message[1..].copy_from_slice(&number.to_ne_bytes());
        channel.write_all(&message)
    }

    /// `None` when the monitor is gone.
    pub(super) fn receive(channel: &mut UnixStream) -> Option<Self> {
        let mut message = [0; NEWS];
        channel.read_exact(&mut message).ok()?;
        let [kind, number @ ..] = message;
        let number = i32::from_ne_bytes(number);
        Some(match kind {
            0 => Self::Stopped(number),
            1 => Self::Ended(Ending::Exited(number as u8)),
            3 => Self::Started(number),
            _ => Self::Ended(Ending::Killed(number)),
        })
    }
}

/// Where orders come from, and what is to be done when they no longer do.
pub(super) struct Orders {
    channel: UnixStream,
    relay: Relay,
    settings: Termios,
}

impl Orders {
    pub(super) const fn new(channel: UnixStream, relay: Relay, settings: Termios) -> Self {
        Self { channel, relay, settings }
    }
}

/// In the child of the front: starts the supervisor and looks after it.
pub(super) fn run(orders: Orders, place: Place, vault: Packed, program: impl FnOnce(Vault) -> u8) -> ! {
    let user = fcntl_dupfd_cloexec(stdin(), 3);
    let settled = process::start_session().and_then(|()| place.settle());
    if let Err(error) = settled {
        output::error(format_args!("cannot give the program a terminal: {error}"));
        process::exit_now(1);
    }
    let Place { slave, mask, foreground, .. } = place;
    drop(slave);
    let supervisor = match process::fork_single_threaded() {
        Ok(Fork::Parent(pid)) => pid,
        Ok(Fork::Child) => {
            let Orders { channel, relay, .. } = orders;
            drop((channel, relay, user));
            process::exit_now(supervise(vault, mask, foreground, program))
        }
        Err(error) => {
            output::error(format_args!("cannot start the supervisor: {error}"));
            process::exit_now(1);
        }
    };
    drop(vault);
    descriptor::close_inherited();
    let Orders { mut channel, relay, settings } = orders;
    let ended = look_after(supervisor, &mut channel);
    match ended {
        Some(ending) => {
            // Before the news, so that what is written until now is the end of all output.
            descriptor::close_standard_streams();
            let _ = News::Ended(ending).send(&mut channel);
        }
        None => {
            // The front was killed: so is the program, as it would be with its supervisor.
            let _ = signal::send(supervisor, SIGKILL);
            let _ = process::wait_for(supervisor);
            if let Ok(user) = user {
                let _ = tcsetattr(&user, OptionalActions::Now, &settings);
            }
            process::exit_now(1);
        }
    }
    drop((channel, user));
    // Others may still use the terminal, and it lasts no longer than we do.
    let _ = poll(&mut [PollFd::new(&relay, PollFlags::empty())], None);
    process::exit_now(0)
}

/// In the supervisor: the job of a session of one.
fn supervise(vault: Packed, mask: SignalSet, foreground: bool, program: impl FnOnce(Vault) -> u8) -> u8 {
    let _ = prctl::die_with_parent();
    let _ = process::set_group(0, 0);
    if foreground {
        let _ = tcsetpgrp(stdin(), rustix::process::getpid());
    }
    match vault.unpack() {
        Ok(vault) => {
            let _ = signal::set_mask(mask);
            program(vault)
        }
        Err(error) => {
            output::error(error);
            crate::failure::Failure::OWN
        }
    }
}

/// Until the supervisor has ended, or the front has: then `None`.
fn look_after(supervisor: i32, channel: &mut UnixStream) -> Option<Ending> {
    let job = Pid::from_raw(supervisor)?;
    News::Started(supervisor).send(channel).ok()?;
    let signals = SignalQueue::new().ok()?;
    loop {
        while let Ok(Some((pid, change))) = process::next_change() {
            match change {
                Change::Ended(ending) if pid == supervisor => return Some(ending),
                Change::Stopped { signal, .. } if pid == supervisor => News::Stopped(signal).send(channel).ok()?,
                _ => {}
            }
        }
        let (orders, wakes) = (channel.as_fd(), signals.as_fd());
        let mut set = [PollFd::new(&orders, PollFlags::IN), PollFd::new(&wakes, PollFlags::IN)];
        match poll(&mut set, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return None,
        }
        let ordered = !set[0].revents().is_empty();
        while let Ok(Some(_)) = signals.next() {}
        if !ordered {
            continue;
        }
        // Whom it is for may have ended just now.
        let _ = match Order::receive(channel)? {
            Order::Signal { signal, value: None } => signal::send(supervisor, signal),
            Order::Signal { signal, value: Some(value) } => {
                let own = Received { signal, code: 0, sender: process::id(), sender_uid: process::real_uid(), value };
                signal::send_with_value(supervisor, &own)
            }
            Order::Job(signal) => send_to_group(job, signal),
            Order::GoOn { foreground } => {
                let front = if foreground { job } else { rustix::process::getpid() };
                let _ = tcsetpgrp(stdin(), front);
                send_to_group(job, SIGCONT)
            }
        };
    }
}

fn send_to_group(group: Pid, signal: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(signal).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process_group(group, signal)?)
}
