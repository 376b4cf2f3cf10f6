//! Why protected memory could not be had.

use std::fmt;
use std::io;

use libc::{EACCES, EAGAIN, EINVAL, EMFILE, ENOMEM, ENOSYS, EPERM};

use crate::Backing;

/// What was being done when protected memory could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Creating the file behind the region: `memfd_secret(2)` or
    /// `memfd_create(2)`.
    Create,
    /// Giving that file its length: `ftruncate(2)`.
    Resize,
    /// Reserving the addresses with the guard pages: `mmap(2)`.
    Reserve,
    /// Mapping the file between the guard pages: `mmap(2)`.
    Map,
    /// Keeping the region out of swap: `mlock(2)`.
    Lock,
    /// Keeping the region out of dumps and children: `madvise(2)`.
    Advise,
}

/// Protected memory could not be had.
///
/// `Display` names the failed system call, the error number's text and, on
/// the same line, what to do about it where that is known.
#[derive(Debug)]
pub struct RegionError {
    backing: Backing,
    step: Step,
    len: usize,
    source: io::Error,
}

impl RegionError {
    pub(crate) fn new(backing: Backing, step: Step, len: usize, source: io::Error) -> Self {
        Self { backing, step, len, source }
    }

    /// The kind of memory that was asked for.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// What was being done.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// What the kernel answered.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// True if the kernel cannot give this kind of memory at all, as opposed
    /// to not now or not to this process.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.step == Step::Create && matches!(self.errno(), Some(ENOSYS | EINVAL))
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&'static str> {
        let remedy = match (self.backing, self.step, self.errno()?) {
            (Backing::MemfdSecret, Step::Create, ENOSYS | EINVAL) => {
                "it needs Linux 5.14, and before 6.5 the boot parameter secretmem.enable=1; \
                 or allow ordinary locked memory with --best-effort memfd_secret"
            }
            (Backing::MemfdSecret, Step::Create, EPERM | EACCES) => {
                "a seccomp filter of this container or service refuses it: let it pass, \
                 or allow ordinary locked memory with --best-effort memfd_secret"
            }
            (_, Step::Map, EAGAIN) | (_, Step::Lock, EAGAIN | ENOMEM | EPERM) => {
                "raise the limit on locked memory, RLIMIT_MEMLOCK \
                 (ulimit -l, LimitMEMLOCK= in a systemd unit, --ulimit memlock= of a container)"
            }
            (_, Step::Create, EMFILE) => "raise the limit on open files, RLIMIT_NOFILE (ulimit -n)",
            _ => return None,
        };
        Some(remedy)
    }
}

impl fmt::Display for RegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = match (self.step, self.backing) {
            (Step::Create, Backing::MemfdSecret) => "memfd_secret",
            (Step::Create, Backing::Locked) => "memfd_create",
            (Step::Resize, _) => "ftruncate",
            (Step::Reserve | Step::Map, _) => "mmap",
            (Step::Lock, _) => "mlock",
            (Step::Advise, _) => "madvise",
        };
        write!(f, "no protected memory ({}, {} bytes): {call} failed: {}", self.backing, self.len, self.source)?;
        match self.remedy() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for RegionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_call_the_cause_and_the_remedy() {
        let cases = [
            (Backing::MemfdSecret, Step::Create, ENOSYS, "memfd_secret", "secretmem.enable=1"),
            (Backing::MemfdSecret, Step::Create, EPERM, "memfd_secret", "seccomp"),
            (Backing::MemfdSecret, Step::Map, EAGAIN, "mmap", "RLIMIT_MEMLOCK"),
            (Backing::Locked, Step::Lock, ENOMEM, "mlock", "RLIMIT_MEMLOCK"),
            (Backing::Locked, Step::Lock, EPERM, "mlock", "RLIMIT_MEMLOCK"),
            (Backing::Locked, Step::Create, EMFILE, "memfd_create", "RLIMIT_NOFILE"),
        ];
        for (backing, step, errno, call, remedy) in cases {
            let source = io::Error::from_raw_os_error(errno);
            let error = RegionError::new(backing, step, 4096, source);
            let text = error.to_string();
            assert!(text.contains(call), "{text}");
            assert!(text.contains(remedy), "{text}");
            assert!(text.contains(&backing.to_string()), "{text}");
        }
    }

    #[test]
    fn only_a_missing_system_call_counts_as_unsupported() {
        let error = |step, errno| {
            let source = io::Error::from_raw_os_error(errno);
            RegionError::new(Backing::MemfdSecret, step, 1, source)
        };
        assert!(error(Step::Create, ENOSYS).is_unsupported());
        assert!(!error(Step::Create, EPERM).is_unsupported());
        assert!(!error(Step::Map, EAGAIN).is_unsupported());
    }
}
