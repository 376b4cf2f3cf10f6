//! Resource limits of other processes, [prlimit(2)](https://man7.org/linux/man-pages/man2/prlimit.2.html)
//! (Linux 2.6.36).
#![expect(unsafe_code, reason = "prlimit(2) takes pointers to limits")]

use std::io;

use crate::errno::check;

/// A limited resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Address space in bytes (`RLIMIT_AS`).
    AddressSpace,
    /// Private writable memory in bytes (`RLIMIT_DATA`).
    Data,
    /// Locked memory in bytes (`RLIMIT_MEMLOCK`).
    LockedMemory,
    /// One more than the highest descriptor number (`RLIMIT_NOFILE`).
    Descriptors,
}

/// A limit that was raised; put it back with [`Raised::restore`].
#[derive(Debug)]
#[must_use = "restore it"]
pub struct Raised {
    pid: i32,
    resource: Resource,
    former: libc::rlimit,
}

/// How far a hard limit of descriptors is raised: the kernel knows no "infinite" here.
const MANY_DESCRIPTORS: libc::rlim_t = 1024;

fn exchange(pid: i32, resource: Resource, new: Option<&libc::rlimit>) -> io::Result<libc::rlimit> {
    let resource = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::Descriptors => libc::RLIMIT_NOFILE,
    };
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: `new` is null or a live limit, `old` is written to.
    check(unsafe { libc::prlimit(pid, resource, new, &raw mut old) })?;
    Ok(old)
}

/// Raises a limit of process `pid` for a moment: the soft one to the hard one, and beyond that
/// where `CAP_SYS_RESOURCE` allows it.
///
/// # Errors
/// `EPERM` for another user's process, `ESRCH`.
pub fn raise(pid: i32, resource: Resource) -> io::Result<Raised> {
    let former = exchange(pid, resource, None)?;
    let most = match resource {
        Resource::Descriptors => former.rlim_max.max(MANY_DESCRIPTORS),
        _ => libc::RLIM_INFINITY,
    };
    let unlimited = libc::rlimit { rlim_cur: most, rlim_max: most };
    let to_hard = libc::rlimit { rlim_cur: former.rlim_max, rlim_max: former.rlim_max };
    exchange(pid, resource, Some(&unlimited)).or_else(|_| exchange(pid, resource, Some(&to_hard)))?;
    Ok(Raised { pid, resource, former })
}

impl Raised {
    /// Puts the limit back to what it was.
    ///
    /// # Errors
    /// `ESRCH` when the process is gone.
    pub fn restore(self) -> io::Result<()> {
        exchange(self.pid, self.resource, Some(&self.former)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_limit_comes_back() {
        let here = crate::process::id();
        let before = exchange(here, Resource::LockedMemory, None).unwrap();
        let raised = raise(here, Resource::LockedMemory).unwrap();
        let high = exchange(here, Resource::LockedMemory, None).unwrap();
        assert!(high.rlim_cur >= before.rlim_max);
        raised.restore().unwrap();
        let after = exchange(here, Resource::LockedMemory, None).unwrap();
        assert_eq!((after.rlim_cur, after.rlim_max), (before.rlim_cur, before.rlim_max));
    }
}
