//! Who runs a program, and with what in between.

use super::USER;

/// One way of starting a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// For messages.
    pub name: &'static str,
    /// The user; none for root.
    pub uid: Option<u32>,
    /// The mode asked of envward; none for a direct `execve`.
    pub mode: Option<&'static str>,
    /// The copy of envward to use.
    pub binary: &'static str,
    /// Whether the program's output is redacted.
    pub redact: bool,
}

/// A direct `execve` as root.
pub const DIRECT: Case = Case { name: "direct", uid: None, mode: None, binary: "", redact: false };

/// A direct `execve` as an ordinary user.
pub const DIRECT_USER: Case = Case { name: "direct, user", uid: Some(USER), mode: None, binary: "", redact: false };

/// envward as root.
pub const FULL: Case = Case { name: "full", uid: None, mode: Some("full"), binary: "envward", redact: false };

/// envward as an ordinary user, with the file capability.
pub const FULL_USER: Case =
    Case { name: "full, user", uid: Some(USER), mode: Some("full"), binary: "envward-capable", redact: false };

/// envward as an ordinary user without any privilege.
pub const SUPERVISED: Case =
    Case { name: "supervised", uid: Some(USER), mode: Some("supervised"), binary: "envward", redact: false };

/// The same, with programs that may not start others with secrets.
pub const SEALED: Case =
    Case { name: "sealed", uid: Some(USER), mode: Some("sealed"), binary: "envward", redact: false };

/// [`FULL`], with the output redacted.
pub const FULL_REDACTING: Case = Case { name: "full, redacting", redact: true, ..FULL };

/// [`SUPERVISED`], with the output redacted.
pub const SUPERVISED_REDACTING: Case = Case { name: "supervised, redacting", redact: true, ..SUPERVISED };

/// With the output redacted, as root and as an ordinary user.
pub const REDACTING: [Case; 2] = [FULL_REDACTING, SUPERVISED_REDACTING];

/// Every way through envward on a terminal, where redacting is quite another one.
pub const ON_TERMINAL: [Case; 6] = [FULL, FULL_USER, SUPERVISED, SEALED, FULL_REDACTING, SUPERVISED_REDACTING];

/// Those of them in which descendants get their secrets too.
pub const SUPERVISING_ON_TERMINAL: [Case; 5] = [FULL, FULL_USER, SUPERVISED, FULL_REDACTING, SUPERVISED_REDACTING];

/// Every way through envward.
pub const ALL: [Case; 4] = [FULL, FULL_USER, SUPERVISED, SEALED];

/// Every way in which descendants get their secrets too.
pub const SUPERVISING: [Case; 3] = [FULL, FULL_USER, SUPERVISED];

impl Case {
    /// What this case is measured against: the same user without envward.
    pub fn reference(&self) -> Self {
        match self.uid {
            None => DIRECT,
            Some(_) => DIRECT_USER,
        }
    }
}
