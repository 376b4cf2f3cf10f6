//! What can be true of a process, as data. Its JSON form is documented in `docs/status.md`.

use serde::Serialize;

/// Something that the kernel told, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fact<T> {
    Value(T),
    Unknown(String),
}

impl<T> Fact<T> {
    pub(crate) fn unknown(reason: impl std::fmt::Display) -> Self {
        Self::Unknown(reason.to_string())
    }

    pub(crate) const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

/// The name and version of the JSON form.
pub(crate) const SCHEMA: &str = "envward.status/1";

/// Everything about a process.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) schema: &'static str,
    pub(crate) pid: i32,
    pub(crate) name: String,
    pub(crate) executable: Fact<String>,
    pub(crate) uid: u32,
    pub(crate) mode: Fact<Mode>,
    pub(crate) secret_memory: Fact<Vec<Mapping>>,
    /// Descriptors that refer to secret memory.
    pub(crate) secret_descriptors: Fact<Vec<u32>>,
    pub(crate) dumpable: Fact<bool>,
    pub(crate) same_user_access: Fact<SameUserAccess>,
    pub(crate) no_new_privs: Fact<bool>,
    pub(crate) seccomp: Fact<Seccomp>,
    pub(crate) supervisor: Fact<Option<Supervisor>>,
    pub(crate) core_limit_bytes: Fact<Limit>,
    pub(crate) tracer: Fact<Option<i32>>,
    pub(crate) yama_ptrace_scope: Fact<Option<i32>>,
    pub(crate) perf_event_paranoid: Fact<Option<i32>>,
}

impl Facts {
    /// Whether the process has protected secrets, for certain.
    pub(crate) fn has_secrets(&self) -> bool {
        self.secret_memory.value().is_some_and(|mappings| !mappings.is_empty())
    }
}

/// What it all comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Non-dumpable, and a supervisor that may trace it.
    Full,
    /// Dumpable, and a supervisor.
    Supervised,
    /// Non-dumpable, and a supervisor that may not trace it: no exec with an environment.
    Sealed,
    /// Secret memory, and nobody who looks after execs.
    Unsupervised,
    /// A supervisor itself.
    Supervisor,
    /// No secret memory.
    None,
}

/// A mapping of secret memory, without its address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mapping {
    pub(crate) kind: MemoryKind,
    pub(crate) size_bytes: u64,
    pub(crate) permissions: String,
    pub(crate) locked: bool,
    pub(crate) dont_dump: bool,
    pub(crate) dont_fork: bool,
}

/// What is behind a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MemoryKind {
    MemfdSecret,
    LockedMemory,
}

/// What a process of the same user without capabilities got when it tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SameUserAccess {
    /// Opening `/proc/PID/environ`.
    pub(crate) environ: Answer,
    /// Opening `/proc/PID/mem`.
    pub(crate) memory: Answer,
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Granted,
    Refused,
}

/// System call filtering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seccomp {
    None,
    Strict,
    Filter,
}

/// The process that decides about execs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Supervisor {
    pub(crate) pid: i32,
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) has_cap_sys_ptrace: bool,
}

/// A soft limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Limit {
    Bytes(u64),
    /// `null`.
    Unlimited,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_become_objects_with_one_key() {
        assert_eq!(json(&Fact::Value(Mode::Full)), r#"{"value":"full"}"#);
        assert_eq!(json(&Fact::<bool>::unknown("run as root")), r#"{"unknown":"run as root"}"#);
        assert_eq!(json(&Fact::Value(Limit::Unlimited)), r#"{"value":null}"#);
        assert_eq!(json(&Fact::Value(Limit::Bytes(0))), r#"{"value":0}"#);
    }

    fn json(fact: &impl Serialize) -> String {
        serde_json::to_string(fact).unwrap()
    }
}
