//! The program to run: where it is, its arguments and its environment.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;

use envward_kernel::initial_env::InitialEnv;
use envward_policy::inherit::Passage;
use envward_secret::Vault;

use super::declared::Declared;
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

    /// The strings of the program, in their order: those that it inherits and that no secret
    /// and no string of `plain` has the name of, and `plain` behind them.
    pub(crate) fn strings<'a>(&'a self, vault: &Vault, plain: &'a [CString], declared: &Declared) -> Vec<&'a CStr> {
        let passes_all = declared.inherit.is_everything();
        let passes = |string: &&CStr| {
            let bytes = string.to_bytes();
            let name = name(bytes);
            // Names of secrets are text.
            let secret =
                name.and_then(|name| str::from_utf8(name).ok()).is_some_and(|name| vault.value(name).is_some());
            !secret
                && !plain.iter().any(|own| name.is_some() && self::name(own.to_bytes()) == name)
                && (passes_all || declared.passage(name.unwrap_or(bytes)) == Passage::Passes)
        };
        self.0.iter().filter(passes).chain(plain.iter().map(CString::as_c_str)).collect()
    }
}

/// What stands before the first `=`.
fn name(string: &[u8]) -> Option<&[u8]> {
    string.iter().position(|byte| *byte == b'=').map(|end| &string[..end])
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
