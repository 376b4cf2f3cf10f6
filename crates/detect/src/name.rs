//! What a name says about its value.

/// How plainly a name says that its value is a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// It is called a secret; of this kind.
    Strong(&'static str),
    /// It may be one.
    Weak(&'static str),
    /// It says nothing.
    None,
    /// It says that the value identifies something, and may well look random.
    Identifier,
}

/// Whether a name can be shown: it is one, and not a value in the place of a name.
#[must_use]
pub fn is_plain_name(name: &[u8]) -> bool {
    const LONGEST: usize = 80;
    name.len() <= LONGEST
        && name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && !crate::value::is_random(name)
        && crate::format::find(crate::catalogue::FORMATS, name).next().is_none()
}

/// Words that make a name a secret's, with the kind; also at the end of a longer word, as in
/// `PGPASSWORD`.
const STRONG: &[(&str, &str)] = &[
    ("password", "password"),
    ("passwd", "password"),
    ("passphrase", "password"),
    ("passcode", "password"),
    ("sshpass", "password"),
    ("secret", "secret"),
    ("secrets", "secret"),
    ("token", "token"),
    ("apikey", "api-key"),
    ("secretkey", "secret"),
    ("privatekey", "private-key"),
    ("credentials", "credentials"),
    ("credential", "credentials"),
];

/// Words that make the word `key` behind them a secret's.
const KEYS: &[&str] = &[
    "api",
    "access",
    "private",
    "secret",
    "encryption",
    "signing",
    "master",
    "auth",
    "admin",
    "root",
    "session",
    "storage",
    "account",
    "service",
    "deploy",
    "crypt",
    "hmac",
    "aes",
    "license",
    "app",
    "jwt",
    "encrypt",
    "cipher",
];

/// Words that may mean a secret.
const WEAK: &[(&str, &str)] = &[
    ("pass", "password"),
    ("pwd", "password"),
    ("pw", "password"),
    ("auth", "token"),
    ("key", "key"),
    ("cookie", "token"),
    ("salt", "secret"),
    ("pin", "password"),
    ("dsn", "credentials"),
    ("bearer", "token"),
    ("jwt", "token"),
    ("otp", "password"),
    ("seed", "secret"),
    ("mnemonic", "secret"),
    ("pat", "token"),
    ("webhook", "secret"),
    ("cred", "credentials"),
    ("creds", "credentials"),
];

/// Last words that say that the value is about a secret, and not one.
const ABOUT: &[&str] = &[
    "file",
    "files",
    "path",
    "paths",
    "dir",
    "directory",
    "name",
    "names",
    "user",
    "username",
    "url",
    "uri",
    "host",
    "hostname",
    "port",
    "ttl",
    "timeout",
    "expiry",
    "expires",
    "expiration",
    "lifetime",
    "age",
    "length",
    "len",
    "size",
    "count",
    "limit",
    "max",
    "min",
    "type",
    "kind",
    "algorithm",
    "alg",
    "enabled",
    "disabled",
    "required",
    "policy",
    "region",
    "endpoint",
    "sock",
    "socket",
    "command",
    "cmd",
    "prompt",
    "helper",
    "provider",
    "backend",
    "issuer",
    "audience",
    "scope",
    "scopes",
    "header",
    "headers",
    "format",
    "prefix",
    "suffix",
    "location",
    "hint",
    "method",
    "mode",
    "source",
    "ref",
    "env",
    "tokens",
    "askpass",
    "plugin",
    "store",
    "domain",
    "ring",
    "regex",
    "pattern",
    "map",
    "mapping",
    "bits",
    "strength",
    "min",
    "rotation",
    "renewal",
    "parallelism",
];

/// Last words of names whose values identify something.
const IDENTIFIERS: &[&str] = &[
    "id",
    "ids",
    "uuid",
    "guid",
    "hash",
    "sha",
    "sha1",
    "sha256",
    "sha512",
    "md5",
    "commit",
    "rev",
    "revision",
    "digest",
    "checksum",
    "version",
    "tag",
    "build",
    "colors",
    "flags",
    "address",
    "stream",
    "fingerprint",
    "ref",
    "serial",
    "etag",
    "boot",
    "machine",
    "image",
    "nonce",
    "triple",
    "target",
    "locale",
    "display",
    "term",
    "shlvl",
    "arn",
    "bucket",
    "branch",
];

/// Names that look like a secret's and are not: found in ordinary environments.
const EXCEPTIONS: &[&str] = &["PWD", "OLDPWD", "GPG_KEY", "XAUTHORITY", "SSH_ASKPASS", "GIT_ASKPASS", "SUDO_ASKPASS"];

/// The most words of a name that are looked at.
const MOST_WORDS: usize = 16;

/// Looks at a variable's, an option's or a key's name.
pub(crate) fn hint(name: &[u8]) -> Hint {
    if EXCEPTIONS.iter().any(|exception| name == exception.as_bytes()) {
        return Hint::None;
    }
    let mut words: [&[u8]; MOST_WORDS] = [b""; MOST_WORDS];
    let count = split(name, &mut words);
    let words = &words[..count];
    let Some((last, before)) = words.split_last() else { return Hint::None };
    let is = |word: &[u8], known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    let ends = |word: &[u8], known: &str| {
        word.len() >= known.len() && word[word.len() - known.len()..].eq_ignore_ascii_case(known.as_bytes())
    };
    // GITHUB_TOKEN_2, DB_PASSWORD_OLD: numbers and such at the end say nothing.
    if !before.is_empty()
        && (last.iter().all(u8::is_ascii_digit) || ["old", "new", "prod", "dev", "test"].iter().any(|w| is(last, w)))
    {
        return hint(&name[..name.len() - last.len()]);
    }
    if words.iter().any(|word| is(word, "public") || is(word, "pub")) {
        return Hint::Identifier;
    }
    if IDENTIFIERS.iter().any(|known| is(last, known)) {
        return Hint::Identifier;
    }
    if ABOUT.iter().any(|known| is(last, known)) {
        return Hint::None;
    }
    if let Some((_, kind)) = STRONG.iter().find(|(known, _)| ends(last, known)) {
        return Hint::Strong(kind);
    }
    if is(last, "key")
        && let Some(known) = before.last().and_then(|word| KEYS.iter().find(|known| is(word, known)))
    {
        return Hint::Strong(if *known == "api" { "api-key" } else { "key" });
    }
    // The word may stand elsewhere: SECRET_FOR_APP, PASSWORD_DB.
    if let Some((_, kind)) = STRONG.iter().find(|(known, _)| words.iter().any(|word| is(word, known))) {
        return Hint::Strong(kind);
    }
    // CONNECTION_STRING
    if is(last, "string") && before.last().is_some_and(|word| is(word, "connection")) {
        return Hint::Weak("credentials");
    }
    match WEAK.iter().find(|(known, _)| is(last, known)) {
        Some((_, kind)) => Hint::Weak(kind),
        None => Hint::None,
    }
}

/// Splits a name at everything that is not a letter or digit, and before a capital behind a
/// small letter.
fn split<'a>(name: &'a [u8], words: &mut [&'a [u8]; MOST_WORDS]) -> usize {
    let mut count = 0;
    let mut start = 0;
    let mut push = |word: &'a [u8]| {
        if !word.is_empty() && count < MOST_WORDS {
            words[count] = word;
            count += 1;
        }
    };
    for (at, byte) in name.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            push(&name[start..at]);
            start = at + 1;
        } else if byte.is_ascii_uppercase() && at > start && name[at - 1].is_ascii_lowercase() {
            push(&name[start..at]);
            start = at;
        }
    }
    push(&name[start..]);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "PASSWORD",
            "DB_PASSWORD",
            "PGPASSWORD",
            "dbPassword",
            "db-password",
            "AWS_SECRET_ACCESS_KEY",
            "API_KEY",
            "OPENAI_API_KEY",
            "apiKey",
            "GITHUB_TOKEN",
            "GITHUB_TOKEN_2",
            "DB_PASSWORD_OLD",
            "CLIENT_SECRET",
            "clientSecret",
            "SECRET_KEY_BASE",
            "SSHPASS",
            "RESTIC_PASSWORD",
            "app.secret",
            "PRIVATE_KEY",
            "GOOGLE_CREDENTIALS",
            "NPM_TOKEN",
            "MYSQL_ROOT_PASSWORD",
            "APIKEY",
        ] {
            assert!(matches!(hint(name.as_bytes()), Hint::Strong(_)), "{name}: {:?}", hint(name.as_bytes()));
        }
    }

    #[test]
    fn names_that_may_mean_secrets_are_weak() {
        for name in ["MYSQL_PWD", "REDISCLI_AUTH", "SENTRY_DSN", "SESSION_COOKIE", "SOME_KEY", "DB_PASS"] {
            assert!(matches!(hint(name.as_bytes()), Hint::Weak(_)), "{name}");
        }
    }

    #[test]
    fn names_about_secrets_say_nothing() {
        for name in [
            "PWD",
            "OLDPWD",
            "HOME",
            "PATH",
            "PASSWORD_FILE",
            "TOKEN_TTL",
            "SSH_AUTH_SOCK",
            "AWS_ACCESS_KEY_ID",
            "SSH_ASKPASS",
            "XAUTHORITY",
            "MAX_TOKENS",
            "TOKENIZERS_PARALLELISM",
            "PUBLIC_KEY",
            "KEYBOARD",
            "MONKEY",
            "AUTHOR",
            "GIT_AUTHOR_NAME",
            "SECRET_NAME",
            "PASSWORD_STORE_DIR",
            "COMPASS",
            "GPG_KEY",
            "SESSION_ID",
            "",
            "_",
            "___",
        ] {
            assert!(
                matches!(hint(name.as_bytes()), Hint::None | Hint::Identifier),
                "{name}: {:?}",
                hint(name.as_bytes())
            );
        }
    }

    #[test]
    fn what_is_no_name_is_not_shown() {
        for name in ["DB_PASSWORD", "a.b-c", "_"] {
            assert!(is_plain_name(name.as_bytes()), "{name}");
        }
        for other in ["", "1A", "A B", "q8Zt3LmV0xKp2NwR7yBc", "a\u{1b}[31m", &"A".repeat(100)] {
            assert!(!is_plain_name(other.as_bytes()), "{other:?}");
        }
    }
}
