//! Strings of the environment, held.

use std::ffi::{CStr, OsStr, c_char};
use std::fmt;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;

use crate::process::environment;

/// A reference to an entry of the environment.
struct Held(*const c_char);

// SAFETY: a held entry does not change, and may be released by any thread.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    fn bytes(&self) -> &[u8] {
        // SAFETY: a held entry is a terminated string that does not change.
        unsafe { CStr::from_ptr(self.0) }.to_bytes()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: held once, by this.
        unsafe { environment().release(self.0) };
    }
}

/// The value of a variable at the time it was asked for. Keeps a reference to the string in
/// the environment, so nothing is copied.
///
/// `Debug` prints no value: environments hold secrets.
pub struct Value {
    held: Held,
    start: usize,
}

impl Value {
    /// # Safety
    /// `entry` was held for the caller and is `NAME=value`, the name `name` bytes long.
    pub(crate) unsafe fn new(entry: *const c_char, name: usize) -> Self {
        Self { held: Held(entry), start: name + 1 }
    }
}

impl Deref for Value {
    type Target = OsStr;
    fn deref(&self) -> &OsStr {
        OsStr::from_bytes(&self.held.bytes()[self.start..])
    }
}

impl AsRef<OsStr> for Value {
    fn as_ref(&self) -> &OsStr {
        self
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        **self == *OsStr::new(other)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

/// A variable as an iteration found it. Keeps a reference to the string in the environment.
///
/// `Debug` prints the name only.
pub struct Variable {
    held: Held,
    name: usize,
}

impl Variable {
    /// # Safety
    /// `entry` was held for the caller and is `NAME=value`.
    pub(crate) unsafe fn new(entry: *const c_char) -> Self {
        let held = Held(entry);
        let name = held.bytes().iter().position(|byte| *byte == b'=');
        Self { name: name.unwrap_or(0), held }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.held.bytes()[..self.name])
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &OsStr {
        OsStr::from_bytes(&self.held.bytes()[self.name + 1..])
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name()).finish_non_exhaustive()
    }
}
