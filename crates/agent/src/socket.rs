//! Where `envward run` registers: a socket that only root can reach.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use envward_kernel::peer;

use crate::guard::Guard;

/// Where it is; `envward run` knows it too.
pub const SOCKET: &str = "/run/envward/agent.sock";
/// What is asked, and the answer when it is done: see `crates/launch/src/agent.rs`.
const REQUEST: &[u8] = b"envward 1 protect me\n";
const DONE: &str = "protected\n";

/// A caller does nothing else than ask; one that does not ask does not hold up the others.
const PATIENCE: Duration = Duration::from_millis(200);

/// The socket, as long as this lives.
#[derive(Debug)]
pub struct Registrar {
    listener: UnixListener,
    path: PathBuf,
}

impl Registrar {
    /// Listens at `path`, whose directory is made if it is not there.
    ///
    /// # Errors
    /// `AddrInUse` when another agent answers there; `PermissionDenied` when the directory is
    /// not root's own.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
            let kept = fs::metadata(directory)?;
            if kept.uid() != 0 || kept.mode() & 0o022 != 0 {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the directory of the socket is not root's own",
                ));
            }
        }
        if UnixStream::connect(path).is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Becomes readable when somebody asks.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Answers everybody who is waiting. What goes wrong with one caller is told to that caller.
    pub fn serve(&self, guard: &mut Guard) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let answer = match answer(&mut stream, guard) {
                Ok(()) => DONE.to_owned(),
                Err(reason) => format!("{reason}\n"),
            };
            // Whoever does not wait for the answer does not get it.
            let _ = stream.write_all(answer.as_bytes());
        }
    }
}

impl Drop for Registrar {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn answer(stream: &mut UnixStream, guard: &mut Guard) -> Result<(), String> {
    let listened = |error: io::Error| format!("the agent could not listen: {error}");
    stream.set_nonblocking(false).map_err(listened)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(listened)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(listened)?;
    let mut request = [0; REQUEST.len()];
    stream.read_exact(&mut request).map_err(listened)?;
    if request != REQUEST {
        return Err("the agent is of another version".to_owned());
    }
    let caller = peer::of(stream.as_fd()).map_err(listened)?;
    let pid = u32::try_from(caller.pid).ok().filter(|pid| *pid != 0);
    let pid = pid.ok_or("the caller is in no PID namespace of the agent")?;
    if caller.uid != 0 {
        return Err("only root registers programs".to_owned());
    }
    // It waits for the answer, so the number is its own still; `protect` looks twice.
    guard.protect(pid, true).map_err(|error| format!("the agent cannot protect the caller: {error}"))
}
