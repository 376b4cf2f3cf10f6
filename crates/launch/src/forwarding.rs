//! Which signals that reach the supervisor are for the program.

use envward_kernel::signal::Received;

/// `SI_KERNEL`: the kernel sent it.
const SI_KERNEL: i32 = 0x80;
/// `SI_QUEUE`: `sigqueue(3)`, with a value.
const SI_QUEUE: i32 = -1;

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGPIPE: i32 = 13;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
const SIGWINCH: i32 = 28;

/// What to do with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// It was not for the program, or the program has got it by itself.
    No,
    /// Send it on.
    Plain,
    /// Send it on with its value.
    WithValue,
}

/// Decides about one signal.
///
/// What a terminal sends goes to the whole foreground group, and so to the program itself;
/// only a hang-up goes to a session leader alone. `own_id` is our process id.
#[must_use]
pub fn decide(received: &Received, own_id: i32, session_leader: bool) -> Forward {
    let from_kernel = received.code == SI_KERNEL;
    match received.signal {
        // Ours: children and tracees.
        SIGCHLD => Forward::No,
        SIGHUP if from_kernel => {
            if session_leader {
                Forward::Plain
            } else {
                Forward::No
            }
        }
        SIGINT | SIGQUIT | SIGTSTP | SIGTTIN | SIGTTOU | SIGWINCH | SIGCONT if from_kernel => Forward::No,
        // We wrote a message to a closed pipe. Any other signal that we have sent ourselves was
        // pending when we became envward, and is the program's as it would be after an exec.
        SIGPIPE if received.sender == own_id => Forward::No,
        _ if received.code == SI_QUEUE => Forward::WithValue,
        _ => Forward::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SI_USER: i32 = 0;

    fn received(signal: i32, code: i32, sender: i32) -> Received {
        Received { signal, code, sender, sender_uid: 0, value: 0 }
    }

    #[test]
    fn what_somebody_sends_goes_on_and_what_the_terminal_sends_does_not() {
        for signal in [1, 2, 3, 10, 12, 15, 20, 28] {
            assert_eq!(decide(&received(signal, SI_USER, 7), 100, false), Forward::Plain);
            assert_eq!(decide(&received(signal, SI_QUEUE, 7), 100, false), Forward::WithValue);
        }
        for signal in [1, 2, 3, 18, 20, 21, 22, 28] {
            assert_eq!(decide(&received(signal, SI_KERNEL, 0), 100, false), Forward::No);
        }
        assert_eq!(decide(&received(SIGHUP, SI_KERNEL, 0), 100, true), Forward::Plain);
        assert_eq!(decide(&received(14, SI_KERNEL, 0), 100, false), Forward::Plain);
    }

    #[test]
    fn our_own_signals_and_our_childrens_stay_with_us() {
        assert_eq!(decide(&received(13, SI_USER, 100), 100, false), Forward::No);
        assert_eq!(decide(&received(10, SI_USER, 100), 100, false), Forward::Plain);
        assert_eq!(decide(&received(SIGCHLD, 1, 200), 100, false), Forward::No);
    }
}
