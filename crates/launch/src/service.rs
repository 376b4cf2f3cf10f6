//! Being a service: the program notifies the service manager through us, because the manager
//! knows our process and not the program's.
//!
//! With `NotifyAccess=main` systemd takes messages from the main process only, so the program
//! gets a socket of ours and we pass on what comes in.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use envward_kernel::notify::{self, NotifySocket};
use envward_kernel::process;

use crate::carry::Variable;

/// The variables that are about the process which reads them: set by the service manager to
/// our process id, they must name the program's.
pub const PID_VARIABLES: [&str; 2] = ["LISTEN_PID", "WATCHDOG_PID"];

const NOTIFY_SOCKET: &[u8] = b"NOTIFY_SOCKET";

/// The environment in which what was meant for our process is meant for the program's: the
/// variable `socket` for the manager's one, and marks for [`PID_VARIABLES`].
pub fn environment<'a>(environment: &[&'a CStr], socket: Option<&'a CStr>) -> Vec<Variable<'a>> {
    let own_id = process::id().to_string();
    let adapt = |string: &'a CStr| {
        let bytes = string.to_bytes();
        let name = bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes);
        let is_ours = || bytes.get(name.len() + 1..) == Some(own_id.as_bytes());
        match PID_VARIABLES.iter().find(|variable| variable.as_bytes() == name) {
            Some(variable) if is_ours() => Variable::ProcessId(variable),
            _ if name == NOTIFY_SOCKET && name.len() < bytes.len() => Variable::String(socket.unwrap_or(string)),
            _ => Variable::String(string),
        }
    };
    environment.iter().copied().map(adapt).collect()
}

/// The longest message; systemd takes no longer ones either.
const MAX_MESSAGE: usize = 4096;

/// Passes on notifications.
#[derive(Debug)]
pub struct Notifications {
    socket: NotifySocket,
    manager: Vec<u8>,
}

impl Notifications {
    /// Stands between the program and the manager's socket at address `manager`.
    ///
    /// # Errors
    /// When no socket is to be had.
    pub fn new(manager: &[u8]) -> io::Result<Self> {
        Ok(Self { socket: NotifySocket::open()?, manager: manager.to_vec() })
    }

    /// The variable that leads the program to us.
    #[must_use]
    pub fn variable(&self) -> CString {
        let text = [NOTIFY_SOCKET, b"=", self.socket.address()].concat();
        // The kernel's abstract names are hexadecimal digits.
        CString::new(text).unwrap_or_default()
    }

    /// Passes on what has come in. Messages from other users are dropped; root's count. What
    /// the manager does not take is lost, as it would be without us.
    ///
    /// # Errors
    /// Those of recvmsg(2).
    pub fn pass_on(&self, program: i32) -> io::Result<()> {
        let mut buffer = [0; MAX_MESSAGE];
        while let Some(message) = self.socket.receive(&mut buffer)? {
            if message.sender_uid == 0 || message.sender_uid == process::effective_uid() {
                let text = with_our_pid(&buffer[..message.length], program, process::id());
                let _ = notify::send(&self.manager, &text, &message.descriptors);
            }
        }
        Ok(())
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message in which the program's claim to be the main process is ours.
fn with_our_pid(message: &[u8], program: i32, ours: i32) -> Vec<u8> {
    let claim = format!("MAINPID={program}");
    let lines = message
        .split(|byte| *byte == b'\n')
        .map(|line| if line == claim.as_bytes() { format!("MAINPID={ours}").into_bytes() } else { line.to_vec() });
    lines.collect::<Vec<_>>().join(&b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_claim_is_changed() {
        assert_eq!(
            with_our_pid(b"READY=1\nMAINPID=77\nSTATUS=MAINPID=77", 77, 5),
            b"READY=1\nMAINPID=5\nSTATUS=MAINPID=77"
        );
        assert_eq!(with_our_pid(b"MAINPID=78\n", 77, 5), b"MAINPID=78\n");
        assert_eq!(with_our_pid(b"", 77, 5), b"");
    }
}
