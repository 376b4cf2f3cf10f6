//! Passwords in URLs: `scheme://user:password@host`.

use crate::value::is_stand_in;
use crate::{Confidence, Detection, Evidence};

/// The kind of these.
const KIND: &str = "url-password";

/// The passwords of the URLs in a text.
pub(crate) fn find(bytes: &[u8]) -> impl Iterator<Item = Detection> + use<'_> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(offset) = bytes.get(from..).and_then(|rest| rest.windows(3).position(|window| window == b"://"))
        {
            let authority = from + offset + 3;
            let has_scheme = from + offset > 0 && bytes[from + offset - 1].is_ascii_alphanumeric();
            from = authority;
            if let Some(found) = has_scheme.then(|| password(bytes, authority)).flatten() {
                from = found.range.end;
                return Some(found);
            }
        }
        None
    })
}

/// The password of the authority that begins at `start`.
fn password(bytes: &[u8], start: usize) -> Option<Detection> {
    let length = bytes[start..]
        .iter()
        .position(|byte| !byte.is_ascii_graphic() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>'))
        .unwrap_or(bytes.len() - start);
    let authority = &bytes[start..start + length];
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority[..at].iter().position(|byte| *byte == b':')?;
    let password = &authority[colon + 1..at];
    if password.is_empty() || at + 1 == authority.len() || is_stand_in(password) {
        return None;
    }
    let range = start + colon + 1..start + at;
    Some(Detection { kind: KIND, confidence: Confidence::High, evidence: Evidence::Format, range })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_where_they_are() {
        for (text, expected) in [
            ("postgres://u:hunter2@db/x", Some("hunter2")),
            ("see https://u:p%40ss@host:80/ there", Some("p%40ss")),
            ("redis://:hunter2@cache:6379", Some("hunter2")),
            ("postgres://u:p@ss@db", Some("p@ss")),
            ("https://user@host", None),
            ("https://host:8080/a@b:c", None),
            ("https://u:@host", None),
            ("https://u:$PASSWORD@host", None),
            ("https://u:${PASSWORD}@host", None),
            ("https://u:<password>@host", None),
            ("https://u:****@host", None),
            ("https://u:p@", None),
            ("://u:p@host", None),
            ("a://b c://u:hunter2@d", Some("hunter2")),
        ] {
            let found = find(text.as_bytes()).next().map(|found| text[found.range].to_owned());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
