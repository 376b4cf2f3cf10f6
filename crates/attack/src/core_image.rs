//! Images of a process's memory made by others: the kernel's core file, gdb's.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Needle, Outcome, sys};

/// How long a process may take to die of a signal.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends `SIGABRT` and searches the core files that the working directory of the attacker,
/// which must be that of the victim, holds afterwards.
///
/// Needs a `core_pattern` that writes there: neither a pipe nor an absolute path.
pub(crate) fn by_signal(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    if pattern.starts_with(['|', '/']) {
        return Err(io::Error::other(
            "kernel.core_pattern sends core files elsewhere; set it to `core` for this attack",
        ));
    }
    if let Err(error) = sys::abort(pid) {
        return Outcome::from_error(error);
    }
    let begun = Instant::now();
    while is_alive(pid) {
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the process survives SIGABRT"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut outcome = Outcome::NotFound;
    for entry in fs::read_dir(".")? {
        let path = entry?.path();
        let is_core = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"));
        if is_core {
            outcome = outcome.or(searched(&path, needle)?);
        }
    }
    Ok(outcome)
}

/// Whether the process exists and is not a zombie.
fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
}

/// Has gdb write a core file, as gcore(1) does.
pub(crate) fn by_debugger(pid: i32, needle: &Needle) -> io::Result<Outcome> {
    let image: PathBuf = std::env::temp_dir().join(format!("envward-attack-image-{}", std::process::id()));
    let status = Command::new("gdb")
        .args(["-nx", "--batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off"])
        .args(["-p", &pid.to_string(), "-ex"])
        .arg(format!("generate-core-file {}", image.display()))
        .args(["-ex", "detach"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| io::Error::new(error.kind(), "gdb cannot be run: apt-get install gdb"))?;
    if !image.exists() {
        // gdb does not say why in its status; the kernel refuses to attach with EPERM.
        return match status.success() || status.code() == Some(1) {
            true => Ok(Outcome::Denied(libc::EPERM)),
            false => Err(io::Error::other("gdb ended abnormally")),
        };
    }
    let outcome = searched(&image, needle);
    fs::remove_file(&image)?;
    outcome
}

fn searched(image: &Path, needle: &Needle) -> io::Result<Outcome> {
    match File::open(image) {
        Ok(file) if needle.is_in_stream(&file)? => Ok(Outcome::Leaked),
        Ok(_) => Ok(Outcome::NotFound),
        Err(error) => Outcome::from_error(error),
    }
}
