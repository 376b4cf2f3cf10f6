//! The process environment, read and changed safely from any thread.
//!
//! [`std::env::set_var`] is `unsafe` since the 2024 edition, because libc and C code in the
//! same process read `environ` at any time and libc frees what they read. This crate makes
//! changing the environment safe on its own: what it publishes in `environ` is never freed or
//! rewritten under a reader, so that `tzset`, `getaddrinfo`, `setlocale` or C code that walks
//! `environ` in another thread sees the old or the new state and never a torn one.
//!
//! ```
//! # fn main() -> Result<(), envward_environ::Error> {
//! envward_environ::set("GREETING", "hello")?;
//! assert_eq!(&*envward_environ::get("GREETING").unwrap(), "hello");
//! for variable in envward_environ::iter() {
//!     let (_name, _value) = (variable.name(), variable.value());
//! }
//! envward_environ::remove("GREETING")?;
//! # Ok(())
//! # }
//! ```
//!
//! What remains unsafe is what was before: `std::env::set_var` and libc's own `setenv` in the
//! same process. Do not use them; or run the program with `libenvward.so` preloaded, or link
//! `libenvward`, which replaces libc's functions. If `libenvward.so` is in the process this
//! crate works on the library's table, so that both may be used together.
//!
//! Reading takes no lock and allocates only for strings that belong to C code (`putenv`). A
//! variable's text is handed out as it stands in the table, with a reference count.
#![expect(unsafe_code, reason = "calls the raw table")]

mod exec;
mod iter;
mod process;
mod typed;
mod variable;

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

pub use exec::ExecSnapshot;
pub use iter::Iter;
use process::environment;
pub use typed::{Expected, FromPart, FromVariable, NonEmpty, Url, VariableError, one_of, optional, or, require};
pub use variable::{Value, Variable};

/// Why the environment was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The name is empty, or has an `=` or a NUL byte.
    Name,
    /// The value has a NUL byte.
    Value,
    /// There is no memory for the change.
    NoMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of an environment variable is empty or contains '=' or a NUL byte",
            Self::Value => "the value of an environment variable contains a NUL byte",
            Self::NoMemory => "no memory for a change of the environment",
        })
    }
}

impl std::error::Error for Error {}

impl From<envward_table::Error> for Error {
    fn from(error: envward_table::Error) -> Self {
        match error {
            envward_table::Error::Invalid => Self::Name,
            _ => Self::NoMemory,
        }
    }
}

/// The value of a variable, as long as the result is kept: a later change of the variable does
/// not touch it.
pub fn get(name: impl AsRef<OsStr>) -> Option<Value> {
    let name = name.as_ref().as_bytes();
    // SAFETY: a slice is readable as long as it says.
    let entry = unsafe { environment().lookup_bytes(name.as_ptr(), name.len()) };
    // SAFETY: not null means an entry of this name, held for us.
    (!entry.is_null()).then(|| unsafe { Value::new(entry, name.len()) })
}

/// Sets a variable, for every reader in the process at one instant.
///
/// # Errors
/// [`Error::Name`], [`Error::Value`] or [`Error::NoMemory`]; nothing has changed then.
pub fn set(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Result<(), Error> {
    let (name, value) = (name.as_ref().as_bytes(), value.as_ref().as_bytes());
    if value.contains(&0) {
        return Err(Error::Value);
    }
    // SAFETY: slices are readable as long as they say; the value has no NUL byte.
    unsafe {
        environment().set_bytes((name.as_ptr(), name.len()), (value.as_ptr(), value.len()))?;
    }
    Ok(())
}

/// Removes a variable if there is one.
///
/// # Errors
/// [`Error::Name`] or [`Error::NoMemory`]; nothing has changed then.
pub fn remove(name: impl AsRef<OsStr>) -> Result<(), Error> {
    let name = name.as_ref().as_bytes();
    // SAFETY: a slice is readable as long as it says.
    unsafe { environment().remove_bytes(name.as_ptr(), name.len())? };
    Ok(())
}

/// Removes all variables.
///
/// # Errors
/// [`Error::NoMemory`], if there is not even memory for a lock.
pub fn clear() -> Result<(), Error> {
    Ok(environment().clear()?)
}

/// Replaces the whole environment, for every reader in the process at one instant. Of a name
/// that is given twice the first value counts.
///
/// # Errors
/// [`Error::Name`], [`Error::Value`] or [`Error::NoMemory`]; nothing has changed then.
pub fn replace_all<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<(), Error>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    let mut entries = Vec::new();
    for (name, value) in variables {
        let (name, value) = (name.as_ref().as_bytes(), value.as_ref().as_bytes());
        if name.is_empty() || name.contains(&b'=') || name.contains(&0) {
            return Err(Error::Name);
        }
        if value.contains(&0) {
            return Err(Error::Value);
        }
        entries.push([name, b"=", value, b"\0"].concat());
    }
    let pointers: Vec<_> = entries.iter().map(|entry| entry.as_ptr().cast()).collect();
    // SAFETY: as many terminated strings, which the table copies.
    unsafe { environment().replace_all(pointers.as_ptr(), pointers.len(), |_| ())? };
    Ok(())
}

/// All variables as they are at one instant. Changes during the iteration, by this thread or
/// any other, are allowed and not seen by it.
#[must_use]
pub fn iter() -> Iter {
    Iter::new()
}

/// The environment as an array for `execve`, exact and unchanging.
#[must_use]
pub fn snapshot_for_exec() -> ExecSnapshot {
    ExecSnapshot::new()
}
