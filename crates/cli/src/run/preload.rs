//! The preload tier: where the launcher may not trace, the program takes its secrets over
//! itself, through libenvward.so, from secret memory behind an inherited descriptor.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use envward_kernel::{descriptor, process};

use super::command::{self, Found};
use super::plan::{Loaded, Plan};
use super::report;
use crate::failure::Failure;

/// The library's file name.
const LIBRARY: &str = "libenvward.so";
/// Says to the library where the secrets are.
const VARIABLE: &str = "ENVWARD_SECRETS";

/// Becomes the program. Returns only to say why not.
pub(crate) fn exec(plan: &Plan, loaded: &Loaded) -> Result<u8, Failure> {
    let Loaded { vault, plain } = loaded;
    if process::is_privileged_executable() {
        return Err(Failure::own("the preload tier is not for an envward with capabilities on its file"));
    }
    let library = library()?;
    let environment = command::Environment::acquire()?;
    let Found { paths, arguments } = command::find(&plan.command, &environment)?;
    let delivery = vault.delivery().map_err(report::no_memory)?;
    let length = delivery.as_slice().len();
    let handed = delivery.deliver();
    descriptor::set_close_on_exec(handed.as_raw_fd(), false)
        .map_err(|error| Failure::own(format!("cannot pass the secrets on: {error}")))?;
    if plan.forbids_core() {
        process::forbid_core_files().map_err(|error| Failure::own(format!("cannot forbid core files: {error}")))?;
    }
    let variables = variables(&environment.strings(vault, plain, &plan.declared), &library, handed.as_raw_fd(), length);
    let mut denied = None;
    for path in &paths {
        let error = become_program(path, &arguments, &variables);
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {}
            std::io::ErrorKind::PermissionDenied => denied = Some(error),
            _ => return Err(failed(Failure::NOT_EXECUTABLE, plan, &error)),
        }
    }
    Err(match denied {
        Some(error) => failed(Failure::NOT_EXECUTABLE, plan, &error),
        None => failed(Failure::NOT_FOUND, plan, &std::io::ErrorKind::NotFound.into()),
    })
}

fn failed(code: u8, plan: &Plan, error: &std::io::Error) -> Failure {
    Failure::new(code, format!("cannot execute {}: {error}", plan.command[0].to_string_lossy()))
}

fn become_program(path: &CStr, arguments: &[CString], variables: &[(OsString, OsString)]) -> std::io::Error {
    let text = |string: &CStr| OsStr::from_bytes(string.to_bytes()).to_owned();
    Command::new(text(path))
        .arg0(text(&arguments[0]))
        .args(arguments[1..].iter().map(|argument| text(argument)))
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .exec()
}

/// The environment without secrets, and what makes the library take them over.
fn variables(strings: &[&CStr], library: &OsStr, descriptor: RawFd, length: usize) -> Vec<(OsString, OsString)> {
    let mut preload = library.to_owned();
    let mut variables = Vec::new();
    for string in strings {
        let bytes = string.to_bytes();
        let Some(end) = bytes.iter().position(|byte| *byte == b'=').filter(|end| *end > 0) else { continue };
        let (name, value) = (&bytes[..end], &bytes[end + 1..]);
        if name == b"LD_PRELOAD" {
            if !value.is_empty() {
                preload.push(":");
                preload.push(OsStr::from_bytes(value));
            }
        } else if name != VARIABLE.as_bytes() {
            variables.push((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())));
        }
    }
    variables.push(("LD_PRELOAD".into(), preload));
    variables.push((VARIABLE.into(), format!("{descriptor}:{length}").into()));
    variables
}

/// The library beside this program, or in the `lib` directory beside its directory.
fn library() -> Result<OsString, Failure> {
    let own = std::env::current_exe().map_err(|error| Failure::own(format!("cannot find {LIBRARY}: {error}")))?;
    let directory = own.parent().unwrap_or(&own);
    let places: [PathBuf; 2] = [directory.join(LIBRARY), directory.join("../lib").join(LIBRARY)];
    places
        .iter()
        .find(|place| place.is_file())
        .map(|place| place.clone().into_os_string())
        .filter(|place| !place.as_bytes().iter().any(|byte| matches!(byte, b' ' | b':')))
        .ok_or_else(|| {
            Failure::own(format!("{LIBRARY} is not beside envward ({})", directory.display()))
                .hint("install it there or in ../lib, in a directory without spaces and colons in its name")
        })
}
