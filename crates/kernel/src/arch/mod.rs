//! What differs between processor architectures: registers, system call numbers, the
//! exec filter. Another architecture is another module with the same items.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("envward runs on x86-64; another architecture needs its own module in crates/kernel/src/arch");

/// A secret number in otherwise unused argument registers that lets one `execve` pass the
/// filter which sends all others to the supervisor.
#[derive(Clone, Copy)]
pub struct Cookie(pub [u64; 3]);

impl std::fmt::Debug for Cookie {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Cookie(..)")
    }
}
