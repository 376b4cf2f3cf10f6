//! What can be said of a value without knowing what it is for.

use crate::format::contains_word;

/// Whether a value only stands for one that comes from elsewhere: a variable of a shell or a
/// template, a placeholder in brackets, a blotted-out text.
pub(crate) fn is_stand_in(value: &[u8]) -> bool {
    let (Some(first), Some(last)) = (value.first(), value.last()) else { return true };
    let is_repeated = value.iter().all(|byte| byte == first) && matches!(first, b'*' | b'x' | b'X' | b'.' | b'-');
    is_repeated
        || matches!(first, b'$' | b'`')
        || value.starts_with(b"{{")
        || value.starts_with(b"%(")
        || matches!((first, last), (b'<', b'>') | (b'[', b']') | (b'{', b'}') | (b'%', b'%'))
        || (value.starts_with(b"__") && value.ends_with(b"__"))
}

/// Whether a value cannot be a credential, whatever it is called: empty, a switch, a path, a
/// reference to where the credential is.
pub(crate) fn is_harmless(value: &[u8]) -> bool {
    const WORDS: &[&str] = &[
        "true",
        "false",
        "yes",
        "no",
        "on",
        "off",
        "none",
        "null",
        "nil",
        "undefined",
        "auto",
        "default",
        "enabled",
        "disabled",
        "never",
        "always",
        "stdin",
        "prompt",
        "basic",
        "bearer",
        "required",
        "optional",
        "ask",
        "token",
        "password",
        "oauth",
        "oauth2",
        "oidc",
        "jwt",
        "iam",
        "ssl",
        "tls",
        "md5",
        "scram-sha-256",
        "trust",
        "peer",
        "env",
        "file",
        "keyring",
        "keychain",
        "plain",
        "login",
        "anonymous",
        "header",
        "query",
        "cookie",
        "any",
    ];
    if is_stand_in(value) || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes())) {
        return true;
    }
    let is_path = value.starts_with(b"/") && !value.ends_with(b"=")
        || [&b"./"[..], b"../", b"~/"].iter().any(|start| value.starts_with(start))
        || value.windows(2).next() == Some(b"C:");
    is_path || is_reference(value)
}

/// `op://vault/item`, `vault:path#key`, `arn:aws:secretsmanager:…`: where a secret is, not what.
/// Also other URLs: a password in one is recognised as such.
fn is_reference(value: &[u8]) -> bool {
    const SCHEMES: &[&[u8]] = &[b"arn:", b"vault:", b"file:", b"fd:", b"env:", b"secret:", b"ssm:", b"sm:"];
    SCHEMES.iter().any(|scheme| value.starts_with(scheme)) || value.windows(3).take(24).any(|window| window == b"://")
}

/// Whether somebody who writes an example would write this.
pub(crate) fn is_example(value: &[u8]) -> bool {
    contains_word(
        value,
        &[
            b"example",
            b"changeme",
            b"change-me",
            b"change_me",
            b"changeit",
            b"placeholder",
            b"dummy",
            b"fake",
            b"sample",
            b"obviously",
            b"not-a",
            b"not_a",
            b"xxxx",
            b"****",
            b"your",
            b"redacted",
            b"insert",
            b"replace",
            b"secret-here",
            b"todo",
            b"foobar",
            b"password",
            b"secret",
            b"123456",
        ],
    ) || matches!(value, b"test" | b"testing" | b"foo" | b"bar" | b"hunter2")
}

/// Shannon's entropy in bits a byte.
pub(crate) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let length = value.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum()
}

/// Whether a value looks like nothing but random: long, of one of the usual alphabets, evenly
/// spread, and neither words nor numbers.
pub(crate) fn is_random(value: &[u8]) -> bool {
    if value.len() < 16 || is_uuid(value) {
        return false;
    }
    if value.iter().all(u8::is_ascii_hexdigit) {
        let has_both = value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic);
        return value.len() >= 32 && has_both && entropy(value) >= 3.0;
    }
    let trimmed = value.strip_suffix(b"==").or_else(|| value.strip_suffix(b"=")).unwrap_or(value);
    let of_alphabet =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'~' | b'.' | b'!');
    if !trimmed.iter().all(of_alphabet) {
        return false;
    }
    // What separators leave of it must be one long mixture, not words and numbers.
    let mixed = |part: &[u8]| {
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        let upper = part.iter().filter(|byte| byte.is_ascii_uppercase()).count();
        let lower = part.iter().filter(|byte| byte.is_ascii_lowercase()).count();
        part.len() >= 12 && digits > 0 && (upper > 1 && lower > 1 || digits > 2 && upper + lower > 4)
    };
    let parts = trimmed.split(|byte| !byte.is_ascii_alphanumeric());
    let least = if value.len() >= 24 { 3.7 } else { 3.4 };
    parts.max_by_key(|part| part.len()).is_some_and(mixed) && entropy(trimmed) >= least
}

fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_random_and_what_does_not() {
        for random in [
            "q8Zt3LmV0xKp2NwR7yBc",
            "d41d8cd98f00b204e9800998ecf8427e",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzKq9v1Lw3A",
            "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA==",
        ] {
            assert!(is_random(random.as_bytes()), "{random}");
        }
        for other in [
            "",
            "correct-horse-battery-staple",
            "x86_64-unknown-linux-gnu",
            "6f1e4c3a-1b2d-4e5f-8a9b-0c1d2e3f4a5b",
            "12345678901234567890123456789012",
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "2026-11-23T06:46:57Z",
            "org.freedesktop.DBus.Properties",
            "en_US.UTF-8",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "rust-1.95.0-2026-02-03-nightly",
        ] {
            assert!(!is_random(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn references_and_switches_are_harmless() {
        for harmless in ["", "true", "None", "/run/secrets/db", "~/.netrc", "op://v/i/f", "$TOKEN", "<token>", "****"] {
            assert!(is_harmless(harmless.as_bytes()), "{harmless}");
        }
        for other in ["hunter2", "swordfish", "0000", "a b"] {
            assert!(!is_harmless(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn entropy_is_shannons() {
        assert!(entropy(b"aaaa") < 0.001);
        assert!((entropy(b"abcd") - 2.0).abs() < 0.001);
        assert!((entropy(&(0..=255).collect::<Vec<u8>>()) - 8.0).abs() < 0.001);
    }
}
