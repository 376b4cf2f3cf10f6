//! Stopping a process at each of its system calls, to look at it and its children in
//! between: what a race finds by luck, this finds by patience.
#![expect(unsafe_code, reason = "ptrace(2) and waitpid(2)")]

use std::io;

/// A process that is being followed. It goes on by itself when the observer is dropped.
#[derive(Debug)]
pub struct Observer {
    pid: i32,
    /// The signal to deliver when it goes on from the stop in which it is.
    stopped: Option<i32>,
}

/// What [`Observer::look`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// It stands before or after a system call, or is about to get a signal.
    Stopped,
    /// It runs or waits.
    Running,
    /// It has ended.
    Ended,
}

impl Observer {
    /// Attaches to `pid` and stops it soon. Only the thread that called this may go on.
    ///
    /// # Errors
    /// `EPERM` when it may not be traced, `ESRCH`.
    pub fn seize(pid: i32) -> io::Result<Self> {
        let options = libc::PTRACE_O_TRACESYSGOOD as usize;
        trace(libc::PTRACE_SEIZE, pid, options)?;
        trace(libc::PTRACE_INTERRUPT, pid, 0)?;
        Ok(Self { pid, stopped: None })
    }

    /// Lets it go on from where it stands, if it stands, and looks whether it stands again.
    ///
    /// # Errors
    /// `ESRCH` when it was killed meanwhile.
    pub fn look(&mut self) -> io::Result<Sighting> {
        if let Some(signal) = self.stopped.take() {
            trace(libc::PTRACE_SYSCALL, self.pid, signal as usize)?;
        }
        let mut status = 0;
        // SAFETY: `status` is a live int.
        let waited = unsafe { libc::waitpid(self.pid, &raw mut status, libc::__WALL | libc::WNOHANG) };
        match waited {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(Sighting::Running),
            _ if libc::WIFSTOPPED(status) => {
                let signal = libc::WSTOPSIG(status);
                let event = status >> 16;
                // A system call is reported as SIGTRAP | 0x80, an event with bits above; only
                // what remains is a signal for the process.
                let for_it = signal != libc::SIGTRAP && signal & 0x80 == 0 && event == 0;
                self.stopped = Some(if for_it { signal } else { 0 });
                Ok(Sighting::Stopped)
            }
            _ => Ok(Sighting::Ended),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        if let Some(signal) = self.stopped {
            // Gone already: nothing to let go.
            let _ = trace(libc::PTRACE_DETACH, self.pid, signal as usize);
        }
    }
}

fn trace(request: libc::c_uint, pid: i32, data: usize) -> io::Result<()> {
    // SAFETY: none of the requests above takes a pointer.
    let result = unsafe { libc::ptrace(request, pid, 0_usize, data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
