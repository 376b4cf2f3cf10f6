//! Tracing as a typestate, [ptrace(2)](https://man7.org/linux/man-pages/man2/ptrace.2.html).
//!
//! A [`Stopped`] tracee can be inspected and resumed; resuming consumes it and gives a
//! [`Running`] one, which can only be waited for. Neither can be copied, so a running program
//! cannot be peeked at by mistake.
#![expect(unsafe_code, reason = "ptrace(2) is a raw system call with untyped pointers")]

use std::io;

use crate::arch::Registers;
use crate::errno::check;
use crate::process::{self, Change, Ending};
use crate::signal::SignalSet;

/// `PTRACE_EVENT_EXEC`.
pub const EVENT_EXEC: i32 = 4;
/// `PTRACE_EVENT_STOP`.
pub const EVENT_STOP: i32 = 128;

/// A tracee that does not run.
#[must_use = "a stopped program stays stopped until it is resumed or detached"]
#[derive(Debug)]
pub struct Stopped {
    tid: i32,
}

/// A tracee that runs.
#[must_use = "wait for it"]
#[derive(Debug)]
pub struct Running {
    tid: i32,
}

/// What became of a running tracee.
#[derive(Debug)]
pub enum Outcome {
    /// It stopped: why is in the signal and the event.
    Stopped(Stopped, Reason),
    /// It is gone.
    Gone(Ending),
}

/// Why a tracee stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A single step is done, or the exec of a traced-me process: a plain `SIGTRAP`.
    Trap,
    /// This signal is about to be delivered.
    Signal(i32),
    /// A `PTRACE_EVENT_*`.
    Event(i32),
}

/// Which events stop the tracee, on top of `PTRACE_O_EXITKILL`, which is always on: when the
/// supervisor dies in the middle of an injection, so does the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// None.
    None,
    /// A successful `execve` (`PTRACE_O_TRACEEXEC`).
    Exec,
}

impl Events {
    const fn options(self) -> libc::c_ulong {
        let events = match self {
            Self::None => 0,
            Self::Exec => libc::PTRACE_O_TRACEEXEC,
        };
        (libc::PTRACE_O_EXITKILL | events) as libc::c_ulong
    }
}

/// How a tracee is brought to the end of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepping {
    /// By a single step: one stop. The kernel forces a `SIGTRAP` for it, which undoes a
    /// program's wish to ignore that signal.
    Single,
    /// By stops at entry and exit: two stops and no signal.
    Syscall,
}

fn ptrace(request: libc::c_uint, tid: i32, address: libc::c_ulong, data: libc::c_ulong) -> io::Result<libc::c_long> {
    // SAFETY: the callers below pass, for each request, what ptrace(2) says that it takes;
    // pointers among them are to live objects of the size that the kernel writes or reads.
    check(unsafe { libc::ptrace(request as _, tid, address, data) })
}

/// Asks to be traced by the parent (`PTRACE_TRACEME`). Async-signal-safe.
///
/// # Errors
/// `EPERM` when traced already or forbidden by a security module.
pub(crate) fn trace_me() -> io::Result<()> {
    ptrace(libc::PTRACE_TRACEME as _, 0, 0, 0).map(drop)
}

/// The id that a tracee which has stopped with [`EVENT_EXEC`] had before its `execve`.
///
/// # Errors
/// `ESRCH` when it does not stand in such a stop.
pub fn former_id(tid: i32) -> io::Result<i32> {
    let mut message: libc::c_ulong = 0;
    ptrace(libc::PTRACE_GETEVENTMSG as _, tid, 0, (&raw mut message) as libc::c_ulong)?;
    Ok(message as i32)
}

impl Running {
    /// The child `tid`, which has called [`trace_me`] (through `kernel::spawn`) or was
    /// cloned by a tracee with `CLONE_PTRACE`.
    pub const fn adopted(tid: i32) -> Self {
        Self { tid }
    }

    /// Attaches to `tid` without stopping it (`PTRACE_SEIZE`, Linux 3.4; `EXITKILL` 3.8).
    ///
    /// # Errors
    /// `EPERM` when it may not be traced or is traced by someone else, `ESRCH`.
    pub fn seize(tid: i32, events: Events) -> io::Result<Self> {
        ptrace(libc::PTRACE_SEIZE as _, tid, 0, events.options())?;
        Ok(Self { tid })
    }

    /// The thread id.
    #[must_use]
    pub const fn tid(&self) -> i32 {
        self.tid
    }

    /// Makes it stop soon (`PTRACE_INTERRUPT`), with [`EVENT_STOP`].
    ///
    /// # Errors
    /// `ESRCH` when it is dead.
    pub fn interrupt(&self) -> io::Result<()> {
        ptrace(libc::PTRACE_INTERRUPT as _, self.tid, 0, 0).map(drop)
    }

    /// Waits until it stops or is gone.
    ///
    /// # Errors
    /// `ECHILD` when it is not a tracee any more, as a thread that was not the leader after
    /// its `execve`.
    pub fn wait(self) -> io::Result<Outcome> {
        let mut running = self;
        loop {
            let change = process::wait_for(running.tid)?;
            match running.observe(change) {
                Ok(outcome) => return Ok(outcome),
                Err(still) => running = still,
            }
        }
    }

    /// As [`Running::wait`], without waiting.
    ///
    /// # Errors
    /// As [`Running::wait`].
    pub fn try_wait(self) -> io::Result<Result<Outcome, Self>> {
        Ok(match process::try_wait_for(self.tid)? {
            Some(change) => self.observe(change),
            None => Err(self),
        })
    }

    /// What a change that [`process::next_change`] reported for its id means.
    ///
    /// # Errors
    /// The tracee itself, when it still runs.
    pub fn observe(self, change: Change) -> Result<Outcome, Self> {
        match change {
            Change::Ended(ending) => Ok(Outcome::Gone(ending)),
            Change::Continued => Err(self),
            Change::Stopped { signal, event } => {
                let reason = match (event, signal) {
                    (0, libc::SIGTRAP) => Reason::Trap,
                    (0, signal) => Reason::Signal(signal),
                    (event, _) => Reason::Event(event),
                };
                Ok(Outcome::Stopped(Stopped { tid: self.tid }, reason))
            }
        }
    }

    /// The same tracee under the id that it has since its `execve`: a thread other than the
    /// leader takes over the id of its group.
    pub fn renamed(self, tid: i32) -> Self {
        Self { tid }
    }
}

impl Stopped {
    /// The thread id.
    #[must_use]
    pub const fn tid(&self) -> i32 {
        self.tid
    }

    /// Chooses the events of a tracee that was not seized.
    ///
    /// # Errors
    /// `ESRCH` when it was killed meanwhile, as for all operations below.
    pub fn set_events(&self, events: Events) -> io::Result<()> {
        ptrace(libc::PTRACE_SETOPTIONS as _, self.tid, 0, events.options()).map(drop)
    }

    /// The general registers.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn registers(&self) -> io::Result<Registers> {
        // SAFETY: all-zero is a valid `user_regs_struct`.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        ptrace(libc::PTRACE_GETREGS as _, self.tid, 0, (&raw mut registers) as libc::c_ulong)?;
        Ok(Registers(registers))
    }

    /// Sets the general registers.
    ///
    /// # Errors
    /// `ESRCH`; `EIO` for values that the kernel does not accept.
    pub fn set_registers(&self, registers: &Registers) -> io::Result<()> {
        ptrace(libc::PTRACE_SETREGS as _, self.tid, 0, (&raw const registers.0) as libc::c_ulong).map(drop)
    }

    /// The signal mask (`PTRACE_GETSIGMASK`, Linux 3.11).
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn signal_mask(&self) -> io::Result<SignalSet> {
        let mut bits = 0_u64;
        ptrace(libc::PTRACE_GETSIGMASK, self.tid, size_of::<u64>() as _, (&raw mut bits) as libc::c_ulong)?;
        Ok(SignalSet::from_bits(bits))
    }

    /// Sets the signal mask (`PTRACE_SETSIGMASK`, Linux 3.11).
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn set_signal_mask(&self, mask: SignalSet) -> io::Result<()> {
        let bits = mask.bits();
        ptrace(libc::PTRACE_SETSIGMASK, self.tid, size_of::<u64>() as _, (&raw const bits) as libc::c_ulong).map(drop)
    }

    /// Runs the system call that the program is about to make. With [`Stepping::Syscall`] this
    /// waits for the stop at its entry.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn step(self, stepping: Stepping) -> io::Result<Result<Running, Ending>> {
        match stepping {
            Stepping::Single => self.resume(libc::PTRACE_SINGLESTEP as _, 0).map(Ok),
            Stepping::Syscall => {
                let mut running = self.resume(libc::PTRACE_SYSCALL as _, 0)?;
                loop {
                    match running.wait()? {
                        Outcome::Gone(ending) => return Ok(Err(ending)),
                        Outcome::Stopped(entry, Reason::Trap) => {
                            return entry.resume(libc::PTRACE_SYSCALL as _, 0).map(Ok);
                        }
                        Outcome::Stopped(other, reason) => running = other.go_on(stepping, reason)?,
                    }
                }
            }
        }
    }

    /// Goes on with a step after a stop for another reason.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn go_on(self, stepping: Stepping, reason: Reason) -> io::Result<Running> {
        let signal = match reason {
            Reason::Trap | Reason::Event(_) => 0,
            Reason::Signal(signal) => signal,
        };
        let request = match stepping {
            Stepping::Single => libc::PTRACE_SINGLESTEP,
            Stepping::Syscall => libc::PTRACE_SYSCALL,
        };
        self.resume(request as _, signal)
    }

    fn resume(self, request: libc::c_uint, signal: i32) -> io::Result<Running> {
        ptrace(request, self.tid, 0, signal as libc::c_ulong)?;
        Ok(Running { tid: self.tid })
    }

    /// Lets it run on, untraced.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn detach(self, signal: i32) -> io::Result<()> {
        ptrace(libc::PTRACE_DETACH as _, self.tid, 0, signal as libc::c_ulong).map(drop)
    }

    /// Kills it.
    pub fn kill(self) {
        let _ = crate::signal::send(self.tid, libc::SIGKILL);
    }
}
