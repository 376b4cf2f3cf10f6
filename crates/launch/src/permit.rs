//! Rules about programs, as the launcher asks them.

/// Which programs may have which secrets.
pub trait Permit {
    /// Whether any rule is about executables at all; without one they are not looked at.
    fn is_restrictive(&self) -> bool;

    /// Whether the program at `executable` may have `secret`.
    fn permits(&self, secret: &str, executable: &[u8]) -> bool;

    /// Whether `secret` goes to the programs that may have it even when their parent did not:
    /// a secret for particular programs only.
    fn is_targeted(&self, secret: &str) -> bool;
}
