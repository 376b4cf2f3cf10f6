//! Telling the agent that a tree is about to be started: the one call that the launcher makes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Where the agent listens. The directory is root's.
pub const SOCKET: &str = "/run/envward/agent.sock";
/// What is asked.
pub const REQUEST: &[u8] = b"envward 1 protect me\n";
/// The answer when it is done; any other is the reason why not.
pub const DONE: &[u8] = b"protected\n";

/// How long the agent may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug)]
pub enum Registration {
    /// No agent is running, or none that this user may talk to.
    NoAgent,
    /// This process is protected, and so is everything that it starts from now on.
    Protected,
    /// There is an agent, and it does not protect this process: why.
    Refused(String),
}

/// Asks the agent to protect this process and its descendants. Called before the first child is
/// created, so that each of them is protected before its first instruction.
#[must_use]
pub fn register() -> Registration {
    match ask() {
        Ok(answer) if answer == DONE => Registration::Protected,
        Ok(answer) => Registration::Refused(String::from_utf8_lossy(&answer).trim_end().to_owned()),
        Err(error) => match error.kind() {
            // Not there, not for us, or there no longer.
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ConnectionRefused => {
                Registration::NoAgent
            }
            _ => Registration::Refused(error.to_string()),
        },
    }
}

fn ask() -> io::Result<Vec<u8>> {
    // Asking the file system first is cheaper than a socket, and nearly always all.
    Path::new(SOCKET).metadata()?;
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    stream.take(256).read_to_end(&mut answer)?;
    Ok(answer)
}
