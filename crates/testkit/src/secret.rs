//! A secret for one test: made at run time, compared but never printed.

use std::fs::File;
use std::io::Read;

use crate::sha256::{hex, sha256};

/// An environment variable whose value is fresh random text.
///
/// It has no `Debug`: a failing assertion must not print it.
pub struct TestSecret {
    name: String,
    value: String,
}

impl TestSecret {
    /// The length from which half a secret is no accident.
    pub const SHORTEST_FOUND: usize = 24;

    /// A secret of 48 characters that every shell, env file and protocol takes
    /// without quoting.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::of_length(name, 48)
    }

    /// A secret of so many characters. Below [`Self::SHORTEST_FOUND`] it is too
    /// common a text to look for, and the watch does not.
    #[must_use]
    pub fn of_length(name: &str, length: usize) -> Self {
        const ALPHABET: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
        let mut random = vec![0; length];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut random))
            .expect("/dev/urandom gives random bytes");
        let value = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
        Self { name: name.to_owned(), value }
    }

    /// The variable's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value, for handing it to a launcher or a server; not for printing.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// SHA-256 of the value in hexadecimal: what test programs compare with.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&sha256(self.value.as_bytes()))
    }

    /// Whether `bytes` hold either half of the value. Halves, because a value
    /// that was wiped in part is a leak too.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.position(bytes).is_some()
    }

    /// Where either half of the value begins in `bytes`.
    pub(crate) fn position(&self, bytes: &[u8]) -> Option<usize> {
        if self.value.len() < Self::SHORTEST_FOUND {
            return None;
        }
        let (front, back) = self.value.as_bytes().split_at(self.value.len() / 2);
        find(bytes, front).or_else(|| find(bytes, back))
    }

    /// `text` with every occurrence of the value, or of a half, blotted out.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.value.len() < Self::SHORTEST_FOUND {
            return text.to_owned();
        }
        let (front, back) = self.value.split_at(self.value.len() / 2);
        text.replace(front, "[secret]").replace(back, "[secret]")
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let (&first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(offset) = haystack.get(from..)?.iter().position(|&byte| byte == first) {
        let at = from + offset;
        if haystack.get(at + 1..)?.starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::TestSecret;

    #[test]
    fn a_half_of_the_value_counts_as_the_value() {
        let secret = TestSecret::new("TOKEN");
        let value = secret.value().as_bytes();
        for part in [value, &value[..24], &value[24..]] {
            let mut text = b"a=1\0TOKEN=".to_vec();
            text.extend_from_slice(part);
            text.extend_from_slice(b"\0z=2");
            assert_eq!(secret.position(&text), Some(10));
        }
        assert!(!secret.is_in(&value[1..47]));
        assert!(!secret.is_in(b""));
    }

    #[test]
    fn redaction_leaves_no_half() {
        let secret = TestSecret::new("TOKEN");
        let text = format!("x {} y {}", secret.value(), &secret.value()[24..]);
        assert!(!secret.is_in(secret.redact(&text).as_bytes()));
    }
}
