//! The key of a store, and how it is wrapped to the recipients.

use std::fmt;
use std::io::{Read, Write};

use age::{DecryptError, Decryptor, Encryptor};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use crate::document::{Document, MAGIC, armour};
use crate::recipient::Wrap;
use crate::{Identities, Recipient, StoreError};

/// What the values of one store are sealed with. Everything sealed under it was sealed by
/// somebody who could open the store.
pub struct Key {
    secret: [u8; 32],
    records: [u8; 32],
}

impl Key {
    /// A new key.
    ///
    /// # Errors
    /// [`StoreError::Random`].
    pub fn generate() -> Result<Self, StoreError> {
        let mut secret = [0; 32];
        envward_kernel::random::fill(&mut secret).map_err(StoreError::Random)?;
        Ok(Self::from_secret(secret))
    }

    fn from_secret(secret: [u8; 32]) -> Self {
        let mut records = [0; 32];
        // 32 bytes are one block of the hash, which is always possible.
        let _ = Hkdf::<Sha256>::new(None, &secret).expand(b"envward-store 1 records", &mut records);
        Self { secret, records }
    }

    /// Opens the key block of a store and checks that it belongs to the recipients there.
    ///
    /// # Errors
    /// [`StoreError::NoIdentity`], [`StoreError::WrongPassphrase`], [`StoreError::NoPassphrase`],
    /// [`StoreError::TooMuchWork`], [`StoreError::KeyBlock`], [`StoreError::Recipients`].
    pub fn unwrap(document: &Document<'_>, identities: &Identities) -> Result<Self, StoreError> {
        let is_passphrase = document.recipients == [Recipient::PASSPHRASE];
        let failed = |error| match error {
            DecryptError::NoMatchingKeys if is_passphrase => StoreError::NoPassphrase,
            DecryptError::NoMatchingKeys => StoreError::NoIdentity,
            DecryptError::KeyDecryptionFailed => StoreError::WrongPassphrase,
            DecryptError::ExcessiveWork { required, .. } => StoreError::TooMuchWork(required),
            DecryptError::DecryptionFailed if is_passphrase => StoreError::WrongPassphrase,
            _ => StoreError::KeyBlock,
        };
        let decryptor = Decryptor::new_buffered(document.wrapped.as_slice()).map_err(failed)?;
        if decryptor.is_scrypt() != is_passphrase {
            return Err(StoreError::KeyBlock);
        }
        let mut payload = decryptor.decrypt(identities.iter()).map_err(failed)?;
        let mut secret = [0; 32];
        let mut digest = [0; 32];
        let mut more = [0];
        payload
            .read_exact(&mut secret)
            .and_then(|()| payload.read_exact(&mut digest))
            .map_err(|_| StoreError::KeyBlock)?;
        // The end is what proves that nothing was cut off.
        if !matches!(payload.read(&mut more), Ok(0)) {
            return Err(StoreError::KeyBlock);
        }
        if digest != document.header_digest() {
            return Err(StoreError::Recipients);
        }
        Ok(Self::from_secret(secret))
    }

    /// The first part of a store: its recipients and the key block.
    ///
    /// # Errors
    /// [`StoreError::Recipient`].
    pub(crate) fn wrap(&self, recipients: &[Recipient]) -> Result<String, StoreError> {
        let mut text = format!("{MAGIC}\n");
        for recipient in recipients {
            text.push_str("recipient ");
            text.push_str(recipient.text());
            text.push('\n');
        }
        let refused = |_| StoreError::Recipient("these recipients cannot be combined");
        let encryptor = Encryptor::with_recipients(recipients.iter().map(Wrap::of)).map_err(refused)?;
        let mut wrapped = Vec::new();
        // Writing to a vector cannot fail.
        let written = encryptor.wrap_output(&mut wrapped).and_then(|mut payload| {
            payload.write_all(&self.secret)?;
            payload.write_all(&Sha256::digest(text.as_bytes()))?;
            payload.finish()
        });
        written.map_err(|_| StoreError::KeyBlock)?;
        text.push_str(&armour(&wrapped));
        Ok(text)
    }

    pub(crate) fn records(&self) -> &[u8; 32] {
        &self.records
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.fill(0);
        self.records.fill(0);
        std::hint::black_box(self);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}
