//! The process that the user's shell has started, while the program is on a terminal of its own.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use envward_kernel::process::{self, Ending};
use envward_kernel::signal::{self, Received, SignalQueue, SignalSet};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::stdio::stdin;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Winsize, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::monitor::{News, Order};
use super::relay::Relay;
use super::streams::Streams;
use super::terminal::{Terminal, is_foreground};

/// `SI_KERNEL`: the terminal sent it.
const SI_KERNEL: i32 = 0x80;
/// `SI_USER`: `kill(2)`.
const SI_USER: i32 = 0;
/// `SI_QUEUE`: `sigqueue(3)`, with a value.
const SI_QUEUE: i32 = -1;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
const SIGWINCH: i32 = 28;

/// How much is read from the keyboard at once.
const KEYS: usize = 4096;

/// How long the news of the end may take after the end of the output.
const PARTING: Duration = Duration::from_millis(500);

pub(super) struct Front {
    terminal: Terminal,
    /// None when the user's terminal is gone.
    master: Option<OwnedFd>,
    monitor: UnixStream,
    signals: SignalQueue,
    relay: Relay,
    errors: Option<Streams>,
    /// Whether we have taken over the user's terminal.
    raw: bool,
    /// Since when the relay has been gone: at the end of the program, that comes just before the news.
    mute: Option<Instant>,
    /// The size that the program's terminal was given.
    size: Option<Winsize>,
    /// The program's process group.
    job: Option<i32>,
    /// What was typed and is not yet passed on.
    typed: [u8; KEYS],
    waiting: std::ops::Range<usize>,
}

impl Front {
    pub(super) const fn new(
        terminal: Terminal,
        master: OwnedFd,
        monitor: UnixStream,
        signals: SignalQueue,
        relay: Relay,
        errors: Option<Streams>,
    ) -> Self {
        Self {
            terminal,
            master: Some(master),
            monitor,
            signals,
            relay,
            errors,
            raw: false,
            mute: None,
            size: None,
            job: None,
            typed: [0; KEYS],
            waiting: 0..0,
        }
    }

    /// Passes everything on until the program has ended.
    pub(super) fn run(mut self, foreground: bool) -> io::Result<Ending> {
        if foreground {
            self.take_over();
        }
        let ending = loop {
            let ready = self.wait()?;
            if ready.signals {
                while let Some(received) = self.signals.next()? {
                    self.handle(&received);
                }
            }
            if ready.monitor {
                match News::receive(&mut self.monitor) {
                    Some(News::Started(group)) => self.job = Some(group),
                    Some(News::Stopped(signal)) => self.stop(signal)?,
                    Some(News::Ended(ending)) => break ending,
                    // It was killed, and the program with it.
                    None => break Ending::Killed(9),
                }
            }
            if ready.keys {
                self.read_keys();
            }
            if ready.master {
                self.pass_keys_on();
            }
            if ready.relay {
                self.mute.get_or_insert_with(Instant::now);
            }
            // Nobody sees any more what the program writes, and it has not ended either.
            if self.mute.is_some_and(|since| since.elapsed() >= PARTING) {
                self.hang_up();
            }
        };
        self.relay.drain(&self.signals);
        self.give_back();
        if let Some(errors) = self.errors {
            errors.drain();
        }
        Ok(ending)
    }

    fn wait(&self) -> io::Result<Ready> {
        let keys = self.raw && self.waiting.is_empty() && self.master.is_some();
        let writing = if self.waiting.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let (monitor, signals, relay, input) =
            (self.monitor.as_fd(), self.signals.as_fd(), self.relay.as_fd(), stdin());
        let mut set = vec![PollFd::new(&monitor, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        let listening = self.mute.is_none();
        if listening {
            set.push(PollFd::new(&relay, PollFlags::empty()));
        }
        let timeout = (!listening && self.master.is_some())
            .then_some(PARTING)
            .map(|time| Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
        if keys {
            set.push(PollFd::new(&input, PollFlags::IN));
        } else if let Some(master) = self.master.as_ref().filter(|_| !self.waiting.is_empty()) {
            set.push(PollFd::new(master, writing));
        }
        match poll(&mut set, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let last = if listening { 3 } else { 2 };
        let happened = |at: usize| set.get(at).is_some_and(|entry| !entry.revents().is_empty());
        Ok(Ready {
            monitor: happened(0),
            signals: happened(1),
            relay: listening && happened(2),
            keys: keys && happened(last),
            master: !keys && happened(last),
        })
    }

    /// Makes the user's terminal a mere transport.
    fn take_over(&mut self) {
        self.follow_size();
        if let Ok(settings) = tcgetattr(stdin()) {
            self.terminal.settings = settings;
        }
        let mut raw = self.terminal.settings.clone();
        raw.make_raw();
        self.raw = tcsetattr(stdin(), OptionalActions::Now, &raw).is_ok();
    }

    /// Leaves the user's terminal as the program leaves its own.
    fn give_back(&mut self) {
        if !std::mem::take(&mut self.raw) || !is_foreground() {
            return;
        }
        let settings = self.master.as_ref().and_then(|master| tcgetattr(master).ok());
        let settings = settings.as_ref().unwrap_or(&self.terminal.settings);
        let _ = tcsetattr(stdin(), OptionalActions::Now, settings);
        let size = self.master.as_ref().and_then(|master| tcgetwinsize(master).ok());
        if let Some(size) = size.filter(|size| Some(*size) != self.size) {
            let _ = tcsetwinsize(stdin(), size);
        }
    }

    fn follow_size(&mut self) {
        if let (Some(master), Ok(size)) = (&self.master, tcgetwinsize(stdin())) {
            // The kernel tells the program, if it is another one.
            self.size = tcsetwinsize(master, size).is_ok().then_some(size);
        }
    }

    fn handle(&mut self, received: &Received) {
        let from_terminal = received.code == SI_KERNEL;
        match received.signal {
            SIGCHLD => while let Ok(Some(_)) = process::next_change() {},
            SIGWINCH if from_terminal => self.follow_size(),
            SIGHUP if from_terminal => self.hang_up(),
            SIGCONT => self.go_on(),
            SIGINT | SIGQUIT | SIGTSTP if from_terminal => {
                // We are in the foreground without knowing.
                if is_foreground() && !self.raw {
                    self.take_over();
                }
                self.order(Order::Job(received.signal));
            }
            SIGTTIN | SIGTTOU if from_terminal => {}
            // We have sent it to others, see `tell_neighbours`.
            _ if received.code == SI_USER && received.sender == process::id() => {}
            signal => {
                let value = (received.code == SI_QUEUE).then_some(received.value);
                self.order(Order::Signal { signal, value });
            }
        }
    }

    fn order(&mut self, order: Order) {
        // When the monitor is gone, we are about to learn it.
        let _ = order.send(&mut self.monitor);
    }

    /// The program has stopped, and so do we, with all of our job.
    fn stop(&mut self, signal: i32) -> io::Result<()> {
        // It wanted to use the terminal and had no leave to: but it may have now.
        if matches!(signal, SIGTTIN | SIGTTOU) && is_foreground() {
            self.go_on();
            return Ok(());
        }
        self.relay.drain(&self.signals);
        self.give_back();
        let _ = signal::set_default(signal);
        match Signal::from_named_raw(signal) {
            // What no terminal sends was not meant for all.
            Some(Signal::STOP) | None => drop(signal::send(process::id(), signal)),
            Some(signal) => drop(kill_current_process_group(signal)),
        }
        // All but SIGSTOP waits for this.
        signal::set_mask(SignalSet::ALL.without(signal))?;
        signal::set_mask(SignalSet::ALL)?;
        while let Some(received) = self.signals.next()? {
            // What comes while a job is stopped comes from a shell, and is for all of it.
            match received.signal {
                SIGCONT => {}
                signal if received.code == SI_USER => self.order(Order::Job(signal)),
                _ => self.handle(&received),
            }
        }
        self.go_on();
        Ok(())
    }

    fn go_on(&mut self) {
        let foreground = is_foreground();
        if foreground && !self.raw {
            self.take_over();
            if let Some(master) = &self.master {
                // What the user has set meanwhile.
                let _ = tcsetattr(master, OptionalActions::Now, &self.terminal.settings);
            }
        } else if !foreground {
            self.raw = false;
        }
        self.order(Order::GoOn { foreground });
    }

    /// The user's terminal is gone: so is the program's.
    fn hang_up(&mut self) {
        if let Some(settings) = self.master.take().and_then(|master| tcgetattr(master).ok()) {
            self.terminal.settings = settings;
        }
    }

    fn read_keys(&mut self) {
        match rustix::io::read(stdin(), &mut self.typed[..]) {
            Ok(0) => self.hang_up(),
            Ok(count) => {
                self.waiting = 0..count;
                self.tell_neighbours(count);
                self.pass_keys_on();
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            // We have lost the foreground without being stopped.
            Err(_) if !is_foreground() => self.raw = false,
            Err(_) => self.hang_up(),
        }
    }

    /// A key that interrupts the program interrupts what else is in our job, such as the script
    /// that started us: its terminal would have told it, if we had left it to.
    fn tell_neighbours(&self, count: usize) {
        let Some(master) = &self.master else { return };
        let group = tcgetpgrp(master).ok().map(|group| group.as_raw_nonzero().get());
        let Ok(settings) = tcgetattr(master) else { return };
        // A shell on the program's terminal has jobs of its own.
        if group.is_none() || group != self.job || !settings.local_modes.contains(LocalModes::ISIG) {
            return;
        }
        for (key, signal) in [(SpecialCodeIndex::VINTR, Signal::INT), (SpecialCodeIndex::VQUIT, Signal::QUIT)] {
            let key = settings.special_codes[key];
            if key != 0 && self.typed[..count].contains(&key) {
                let _ = kill_current_process_group(signal);
            }
        }
    }

    fn pass_keys_on(&mut self) {
        let Some(master) = &self.master else { return };
        match rustix::io::write(master, &self.typed[self.waiting.clone()]) {
            Ok(count) => self.waiting.start += count,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.waiting = 0..0,
        }
        if self.waiting.is_empty() {
            self.typed.fill(0);
        }
    }
}

struct Ready {
    monitor: bool,
    signals: bool,
    relay: bool,
    keys: bool,
    master: bool,
}
