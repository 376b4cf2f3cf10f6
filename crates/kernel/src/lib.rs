//! The raw Linux ABI that envward needs, one safe wrapper per operation.
//!
//! Nothing here decides anything: no policy, no parsing of input, no logging. Every function
//! is one kernel operation (or one fixed sequence that must not be split), takes typed
//! arguments and returns [`std::io::Result`] with the kernel's own `errno`.
//!
//! The architecture-dependent part is [`arch`]; the rest is the same on every Linux.

pub mod arch;
pub mod capability;
pub mod clock;
pub mod confine;
pub mod descriptor;
mod errno;
pub mod initial_env;
pub mod limit;
pub mod memory;
pub mod namespace;
pub mod notify;
pub mod peer;
pub mod poll;
pub mod prctl;
pub mod probe;
pub mod process;
pub mod ptrace;
pub mod random;
pub mod remote_memory;
pub mod sched;
pub mod seccomp;
pub mod signal;
pub mod spawn;
pub mod startup;
pub mod terminal;
pub mod trial;
