//! The source of one variable: a file, a descriptor or standard input.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use envward_kernel::descriptor;
use envward_secret::{MAX_ENTRY, SecretBuf, Vault};

pub use envward_policy::reference::{NamedReference, Reference, ReferenceError, variable_name};

use crate::{FromEnv, Source, SourceError};

/// The largest content in bytes: the longest value and a line break.
const MAX_CONTENT: usize = MAX_ENTRY + 2;

/// What is read from standard input is gone.
static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// The content of what a reference points to, without **one** line break
/// (`\n` or `\r\n`) at its end: files and `echo` end with one that is not part
/// of the secret. A secret that does end with a line break is written with two.
///
/// A descriptor `fd:N` is taken over: it is closed after reading and the
/// program does not get it. Standard input is read to its end, which is then
/// what the program finds there.
impl Source for NamedReference {
    fn describe(&self) -> String {
        match &self.reference {
            Reference::Env => FromEnv::named(&self.name).describe(),
            other => format!("{} from {other}", self.name),
        }
    }

    fn load(&self, vault: &mut Vault) -> Result<(), SourceError> {
        match &self.reference {
            Reference::Env => FromEnv::named(&self.name).load(vault),
            Reference::File(path) => {
                let file = File::open(path).map_err(|source| SourceError::Open { path: path.clone(), source })?;
                load_from(self, file.as_fd(), vault)
            }
            Reference::Fd(number) => {
                let fd = descriptor::take_inherited(*number).map_err(|source| SourceError::Descriptor {
                    name: self.name.clone(),
                    number: *number,
                    source,
                })?;
                load_from(self, fd.as_fd(), vault)
            }
            Reference::Stdin => {
                if STDIN_TAKEN.swap(true, Ordering::Relaxed) {
                    return Err(SourceError::StdinTaken { name: self.name.clone() });
                }
                load_from(self, std::io::stdin().as_fd(), vault)
            }
        }
    }
}

fn load_from(reference: &NamedReference, fd: BorrowedFd<'_>, vault: &mut Vault) -> Result<(), SourceError> {
    let mut content = SecretBuf::new(vault.backing(), MAX_CONTENT)?;
    content.read_from(fd).map_err(|source| SourceError::Read { from: reference.describe(), source })?;
    content.truncate(without_line_break(content.as_slice()));
    let origin = reference.reference.to_string();
    vault.insert(&reference.name, &origin, content.as_slice())?;
    Ok(())
}

/// The length without one line break at the end.
fn without_line_break(content: &[u8]) -> usize {
    match content {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest.len(),
        other => other.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_is_not_part_of_the_content() {
        for (content, expected) in [
            (&b""[..], &b""[..]),
            (b"a", b"a"),
            (b"a\n", b"a"),
            (b"a\r\n", b"a"),
            (b"a\n\n", b"a\n"),
            (b"a\r", b"a\r"),
            (b"a\nb", b"a\nb"),
            (b"\n", b""),
            (b"\r\n", b""),
            (b" a \n", b" a "),
        ] {
            assert_eq!(&content[..without_line_break(content)], expected);
        }
    }
}
