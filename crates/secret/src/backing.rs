//! The kinds of memory that can hold a secret.

use std::fmt;

use crate::{Delivery, RegionError};

/// The kind of memory behind a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Backing {
    /// Pages of a secret file, `memfd_secret(2)` (Linux 5.14): no other
    /// process can read them, not even root through `/proc/PID/mem`, and no
    /// dump holds them.
    MemfdSecret,
    /// Pages of an anonymous file, `memfd_create(2)` with `mlock(2)` and
    /// `MADV_DONTDUMP`: not swapped and not in core dumps, but whoever may
    /// trace the process may read them. The best-effort choice where there is
    /// no `memfd_secret`.
    Locked,
}

impl Backing {
    /// Makes one region of this kind, maps it, writes to it and throws it
    /// away: the machine's answer, not a guess from its version.
    ///
    /// # Errors
    ///
    /// The step that failed with the kernel's answer and the remedy.
    pub fn probe(self) -> Result<(), RegionError> {
        let mut trial = Delivery::new(1, self)?;
        trial.as_mut_slice()[0] = 1;
        Ok(())
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MemfdSecret => "memfd_secret",
            Self::Locked => "locked memory",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_can_be_had_on_this_machine() {
        Backing::MemfdSecret.probe().unwrap();
        Backing::Locked.probe().unwrap();
    }
}
