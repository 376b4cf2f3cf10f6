//! The program to run: where it is, its arguments and its environment.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;

use envward_kernel::initial_env::InitialEnv;
use envward_secret::Vault;

use crate::failure::Failure;

/// Where `execvp(3)` looks when there is no `PATH`.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// A command line that can be executed.
pub(crate) struct Found {
    /// Where the program may be, in the order of `PATH`.
    pub(crate) paths: Vec<CString>,
    /// Its arguments, `argv[0]` as typed.
    pub(crate) arguments: Vec<CString>,
}

/// Turns the command line into what `execve` takes, as `execvp(3)` does.
pub(crate) fn find(command: &[OsString], environment: &Environment) -> Result<Found, Failure> {
    let arguments = command
        .iter()
        .map(|argument| CString::new(argument.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Failure::own("an argument holds a NUL byte"))?;
    let name = arguments[0].as_bytes();
    let paths = if name.contains(&b'/') {
        vec![arguments[0].clone()]
    } else if name.is_empty() {
        Vec::new()
    } else {
        let path = environment.0.value(b"PATH").map_or(DEFAULT_PATH, CStr::to_bytes);
        path.split(|byte| *byte == b':').filter_map(|directory| candidate(directory, name)).collect()
    };
    Ok(Found { paths, arguments })
}

/// An empty directory is the current one.
fn candidate(directory: &[u8], name: &[u8]) -> Option<CString> {
    let mut path = directory.to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    CString::new(path).ok()
}

/// Our own environment, never copied.
pub(crate) struct Environment(InitialEnv);

impl Environment {
    pub(crate) fn acquire() -> Result<Self, Failure> {
        InitialEnv::acquire()
            .map(Self)
            .map_err(|error| Failure::own(format!("cannot use envward's own environment: {error}")))
    }

    /// The strings, in their order, without those whose name a secret has.
    pub(crate) fn without(&self, vault: &Vault) -> Vec<&CStr> {
        self.0
            .iter()
            .filter(|string| {
                let bytes = string.to_bytes();
                let name = bytes.iter().position(|byte| *byte == b'=').map(|end| &bytes[..end]);
                !vault.entries().any(|entry| name == Some(entry.name.as_bytes()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_elements_become_candidates_as_execvp_makes_them() {
        assert_eq!(candidate(b"/usr/bin", b"x").unwrap().as_bytes(), b"/usr/bin/x");
        assert_eq!(candidate(b"", b"x").unwrap().as_bytes(), b"x");
        assert_eq!(candidate(b"rel", b"x").unwrap().as_bytes(), b"rel/x");
    }
}
