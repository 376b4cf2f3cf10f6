//! What opens a store: age identities, SSH keys, a passphrase.

use std::fmt;
use std::path::Path;

use age::secrecy::{ExposeSecret, SecretString};

use crate::recipient::WORK_FACTORS;
use crate::{Recipient, StoreError};

/// Asks the user for a passphrase; `None` when there is nobody to ask.
pub type Ask = fn(&str) -> Option<String>;

/// Identities to try, in their order.
#[derive(Default)]
pub struct Identities(Vec<Box<dyn age::Identity + Send + Sync>>);

impl Identities {
    /// The passphrase of a store.
    #[must_use]
    pub fn passphrase(passphrase: String) -> Self {
        let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase));
        identity.set_max_work_factor(*WORK_FACTORS.end());
        Self(vec![Box::new(identity)])
    }

    /// Adds those of a file: lines of `AGE-SECRET-KEY-1…` and comments, or one SSH private key.
    /// An encrypted SSH key makes `ask` be called when the store has a recipient that fits.
    ///
    /// # Errors
    /// [`StoreError::Identity`] with the path, without the text.
    pub fn add(&mut self, text: &str, path: &Path, ask: Ask) -> Result<(), StoreError> {
        let problem = |problem| StoreError::Identity { path: path.to_owned(), problem };
        let before = self.0.len();
        if is_ssh(text) {
            self.0.push(match ssh(text, path)? {
                age::ssh::Identity::Unencrypted(key) => Box::new(age::ssh::Identity::from(key)),
                other => Box::new(other.with_callbacks(Asking(ask))),
            });
        } else {
            for line in lines(text) {
                let identity: age::x25519::Identity = line.parse().map_err(|_| problem(NOT_AN_IDENTITY))?;
                self.0.push(Box::new(identity));
            }
        }
        if self.0.len() == before {
            return Err(problem("there is no identity in it"));
        }
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.0.iter().map(|identity| identity.as_ref() as &dyn age::Identity)
    }
}

const NOT_AN_IDENTITY: &str = "a line is no identity; lines are AGE-SECRET-KEY-1…, or comments beginning with #";

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

/// A new identity: the text of its file, and its recipient.
#[must_use]
pub fn generate(time: &str) -> (String, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    let text = format!("# created: {time}\n# public key: {recipient}\n{}\n", secret.expose_secret());
    (text, recipient)
}

/// The recipients that the identities of a file belong to.
///
/// # Errors
/// [`StoreError::Identity`].
pub fn recipients(text: &str, path: &Path) -> Result<Vec<Recipient>, StoreError> {
    let problem = |problem| StoreError::Identity { path: path.to_owned(), problem };
    let keys = if is_ssh(text) {
        let key = age::ssh::Recipient::try_from(ssh(text, path)?)
            .map_err(|_| problem("SSH keys must be of type ssh-ed25519, or ssh-rsa of 2048 to 4096 bits"))?;
        vec![key.to_string()]
    } else {
        let identities = lines(text).map(str::parse::<age::x25519::Identity>);
        let keys = identities.map(|identity| identity.map(|identity| identity.to_public().to_string()));
        keys.collect::<Result<Vec<_>, _>>().map_err(|_| problem(NOT_AN_IDENTITY))?
    };
    if keys.is_empty() {
        return Err(problem("there is no identity in it"));
    }
    keys.iter().map(|key| Recipient::parse(key)).collect()
}

fn is_ssh(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ")
}

fn ssh(text: &str, path: &Path) -> Result<age::ssh::Identity, StoreError> {
    let problem = |problem| StoreError::Identity { path: path.to_owned(), problem };
    let name = path.display().to_string();
    match age::ssh::Identity::from_buffer(text.trim_start().as_bytes(), Some(name)) {
        Ok(age::ssh::Identity::Unsupported(_)) => Err(problem(
            "this kind of SSH key cannot decrypt: it must be of type ssh-ed25519 or ssh-rsa, in OpenSSH's format, \
             and not in hardware",
        )),
        Ok(identity) => Ok(identity),
        Err(_) => Err(problem("not a private key of SSH")),
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// How age asks for the passphrase of an SSH key.
#[derive(Clone)]
struct Asking(Ask);

impl age::Callbacks for Asking {
    fn display_message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, _: &str) -> Option<SecretString> {
        (self.0)("Passphrase of the SSH key: ").map(SecretString::from)
    }
}
