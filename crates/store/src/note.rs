//! A text sealed with the key of a store, to be kept outside of it: an edit that could not be
//! saved.

use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::document::{decode, encode};
use crate::{Key, StoreError};

const NONCE: usize = 24;
/// What it is bound to, so that it is never taken for a line of the store.
const PURPOSE: &[u8] = b"envward-store 1 note";

/// Seals a text.
///
/// # Errors
/// [`StoreError::Random`].
pub fn seal(key: &Key, text: &[u8]) -> Result<String, StoreError> {
    let mut nonce = [0; NONCE];
    envward_kernel::random::fill(&mut nonce).map_err(StoreError::Random)?;
    let mut bytes = text.to_vec();
    XChaCha20Poly1305::new(key.records().into())
        .encrypt_in_place(XNonce::from_slice(&nonce), PURPOSE, &mut bytes)
        .map_err(|_| StoreError::KeyBlock)?;
    Ok(encode(&[&nonce[..], &bytes].concat()))
}

/// Opens it; `None` when it was sealed with another key, or is broken.
#[must_use]
pub fn open(key: &Key, note: &str) -> Option<Vec<u8>> {
    let bytes = decode(note.trim_end())?;
    let (nonce, text) = bytes.split_at_checked(NONCE)?;
    let mut text = text.to_vec();
    XChaCha20Poly1305::new(key.records().into())
        .decrypt_in_place(XNonce::from_slice(nonce), PURPOSE, &mut text)
        .ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_opens_with_its_key_only() {
        let (key, other) = (Key::generate().unwrap(), Key::generate().unwrap());
        let note = seal(&key, b"some text").unwrap();
        assert_eq!(open(&key, &note).as_deref(), Some(&b"some text"[..]));
        assert_eq!(open(&other, &note), None);
        assert_eq!(open(&key, &note[1..]), None);
        assert_eq!(open(&key, ""), None);
    }
}
