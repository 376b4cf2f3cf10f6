//! What the kernel of a guest offers.

use std::fs;

/// Something that one kernel offers and another does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// `memfd_secret(2)` works. Off in 6.1 unless booted with `secretmem.enable=1`.
    MemfdSecret,
    /// Yama is there, so `kernel.yama.ptrace_scope` can be set.
    Yama,
    /// BPF programs can be security modules.
    BpfLsm,
    /// The kernel describes its types, `/sys/kernel/btf/vmlinux`.
    Btf,
}

impl Fact {
    /// Every fact.
    pub const ALL: [Self; 4] = [Self::MemfdSecret, Self::Yama, Self::BpfLsm, Self::Btf];

    /// Its name in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemfdSecret => "memfd_secret",
            Self::Yama => "yama",
            Self::BpfLsm => "bpf-lsm",
            Self::Btf => "btf",
        }
    }

    /// The fact with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fact| fact.name() == name)
    }

    /// Whether it is so here and now. Needs `/proc`, `/sys` and securityfs.
    #[must_use]
    pub fn holds(self) -> bool {
        match self {
            Self::MemfdSecret => envward_kernel::memory::memfd_secret().is_ok(),
            Self::Yama => {
                has_security_module("yama") && fs::exists("/proc/sys/kernel/yama/ptrace_scope").unwrap_or(false)
            }
            Self::BpfLsm => has_security_module("bpf"),
            Self::Btf => fs::metadata("/sys/kernel/btf/vmlinux").is_ok_and(|file| file.len() > 0),
        }
    }
}

/// The security modules of this kernel, as it lists them.
#[must_use]
pub fn security_modules() -> String {
    fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default().trim().to_owned()
}

fn has_security_module(name: &str) -> bool {
    security_modules().split(',').any(|module| module == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for fact in Fact::ALL {
            assert_eq!(Fact::from_name(fact.name()), Some(fact));
        }
        assert_eq!(Fact::from_name("other"), None);
    }
}
