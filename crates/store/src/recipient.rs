//! Who a store is encrypted to.

use std::fmt;

use age::secrecy::SecretString;

use crate::StoreError;

/// The work factor (a power of two) of passphrases: about a second and 256 MiB of memory.
pub const WORK_FACTOR: u8 = 18;
/// The least and the most work that is accepted.
pub const WORK_FACTORS: std::ops::RangeInclusive<u8> = 10..=20;

/// Somebody who can open a store.
pub struct Recipient {
    /// As it stands in the store.
    text: String,
    wrap: Wrap,
}

pub(crate) enum Wrap {
    Native(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
    Passphrase(Box<age::scrypt::Recipient>),
}

impl Recipient {
    /// How a store says that it is encrypted to a passphrase.
    pub const PASSPHRASE: &'static str = "passphrase";

    /// Parses `age1…`, `ssh-ed25519 …` or `ssh-rsa …`, each with a comment behind it if liked.
    ///
    /// # Errors
    /// [`StoreError::Recipient`].
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        let text = text.trim().split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(StoreError::Recipient("its comment may hold plain ASCII characters only"));
        }
        let first = text.split(' ').next().unwrap_or_default();
        let wrap = if first.starts_with("AGE-SECRET-KEY-") {
            return Err(StoreError::Recipient(
                "this is an identity, which is secret; its public part begins with age1",
            ));
        } else if first.starts_with("age1") {
            Wrap::Native(first.parse().map_err(|_| StoreError::Recipient("a character of the age1… is wrong"))?)
        } else if first.starts_with("ssh-") {
            // Type and key; what follows is the comment.
            let key: Vec<_> = text.split(' ').take(2).collect();
            Wrap::Ssh(key.join(" ").parse().map_err(|_| {
                StoreError::Recipient("an SSH key must be of type ssh-ed25519, or ssh-rsa of 2048 to 4096 bits")
            })?)
        } else {
            return Err(StoreError::Recipient("write age1…, ssh-ed25519 … or ssh-rsa …"));
        };
        Ok(Self { text, wrap })
    }

    /// Everybody who knows a passphrase. It can only be the one recipient of a store.
    #[must_use]
    pub fn passphrase(passphrase: String, work_factor: u8) -> Self {
        let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase));
        recipient.set_work_factor(work_factor.clamp(*WORK_FACTORS.start(), *WORK_FACTORS.end()));
        Self { text: Self::PASSPHRASE.to_owned(), wrap: Wrap::Passphrase(Box::new(recipient)) }
    }

    /// As it stands in the store: the key, and a comment.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The key without the comment.
    #[must_use]
    pub fn key(&self) -> &str {
        key_of(&self.text)
    }
}

/// The key in the text of a recipient, without the comment.
#[must_use]
pub fn key_of(text: &str) -> &str {
    let words = if text.starts_with("ssh-") { 2 } else { 1 };
    text.match_indices(' ').nth(words - 1).map_or(text, |(end, _)| &text[..end])
}

impl Wrap {
    pub(crate) fn of(recipient: &Recipient) -> &dyn age::Recipient {
        match &recipient.wrap {
            Self::Native(key) => key,
            Self::Ssh(key) => key,
            Self::Passphrase(passphrase) => passphrase.as_ref(),
        }
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recipient").field(&self.text).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_comments() {
        assert_eq!(key_of("age1abc"), "age1abc");
        assert_eq!(key_of("age1abc of somebody"), "age1abc");
        assert_eq!(key_of("ssh-ed25519 AAAA a b"), "ssh-ed25519 AAAA");
        assert_eq!(key_of("ssh-ed25519 AAAA"), "ssh-ed25519 AAAA");
        assert_eq!(key_of("passphrase"), "passphrase");
    }

    #[test]
    fn what_is_no_recipient_is_refused() {
        for text in ["", "age1", "age1qqq", "AGE-SECRET-KEY-1ABC", "ssh-dss AAAA", "ssh-ed25519", "passphrase", "hello"]
        {
            assert!(Recipient::parse(text).is_err(), "{text}");
        }
    }
}
