//! Checks that some formats carry in themselves.

/// CRC-32 (IEEE 802.3, reflected), bit by bit: tokens are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// GitHub and npm: behind the first `_` the entropy, and as the last six characters its CRC-32
/// in base 62 (`0-9A-Za-z`), filled up with zeros.
pub(crate) fn crc32_base62(token: &[u8]) -> bool {
    let Some(begin) = token.iter().position(|byte| *byte == b'_') else { return false };
    let body = &token[begin + 1..];
    let Some(middle) = body.len().checked_sub(6) else { return false };
    let (entropy, sum) = body.split_at(middle);
    let told = sum.iter().try_fold(0_u64, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        Some(value * 62 + u64::from(digit))
    });
    told == Some(u64::from(crc32(entropy)))
}

/// Atlassian: behind the last `=` the CRC-32 of everything before it, in hexadecimal.
pub(crate) fn crc32_hex(token: &[u8]) -> bool {
    let Some(at) = token.iter().rposition(|byte| *byte == b'=') else { return false };
    let (before, sum) = (&token[..at], &token[at + 1..]);
    let told = sum.iter().try_fold(0_u32, |value, byte| Some(value << 4 | char::from(*byte).to_digit(16)?));
    sum.len() == 8 && told == Some(crc32(before))
}

/// Bech32 (BIP 173) in upper or lower case: everything before the last `1` is the human-readable
/// part, the last six characters are the checksum.
pub(crate) fn bech32(text: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let step = |state: u32, value: u32| {
        let top = state >> 25;
        let state = (state & 0x01ff_ffff) << 5 ^ value;
        (0..5).fold(state, |state, bit| state ^ (GENERATOR[bit as usize] & (top >> bit & 1).wrapping_neg()))
    };
    let Some(separator) = text.iter().rposition(|byte| *byte == b'1') else { return false };
    let (human, data) = (&text[..separator], &text[separator + 1..]);
    let lower = |byte: &u8| byte.to_ascii_lowercase();
    let mut state = human.iter().fold(1, |state, byte| step(state, u32::from(lower(byte)) >> 5));
    state = step(state, 0);
    state = human.iter().fold(state, |state, byte| step(state, u32::from(lower(byte)) & 31));
    for byte in data {
        let Some(value) = (0_u32..).zip(ALPHABET).find_map(|(value, known)| (*known == lower(byte)).then_some(value))
        else {
            return false;
        };
        state = step(state, value);
    }
    !human.is_empty() && data.len() > 6 && state == 1
}

/// A JSON Web Token: the part before the first dot is base64url of a JSON object with the key
/// `alg`. The header is no secret; it is decoded three bytes at a time and not kept.
pub(crate) fn token_header(token: &[u8]) -> bool {
    const KEY: &[u8] = b"\"alg\"";
    let header = token.split(|byte| *byte == b'.').next().unwrap_or_default();
    let mut matched = 0;
    let mut accumulator = 0_u32;
    let mut bits = 0;
    for byte in header {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return false,
        };
        accumulator = accumulator << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let decoded = (accumulator >> bits) as u8;
            matched = match KEY.get(matched) {
                None => return true,
                Some(expected) if *expected == decoded => matched + 1,
                // The key's first character stands nowhere else in it but at its end.
                Some(_) => usize::from(decoded == KEY[0]),
            };
        }
    }
    matched == KEY.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    /// The checksum of `body` behind `prefix`, as the vendors make it.
    fn with_sum(prefix: &str, body: &str) -> String {
        const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut sum = crc32(body.as_bytes());
        let mut digits = [b'0'; 6];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(sum % 62) as usize];
            sum /= 62;
        }
        format!("{prefix}{body}{}", std::str::from_utf8(&digits).unwrap())
    }

    #[test]
    fn a_base62_checksum_notices_every_change() {
        let token = with_sum("ghp_", "0123456789abcdefghijABCDEFGHIJ");
        assert!(crc32_base62(token.as_bytes()));
        for at in 4..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
            assert!(!crc32_base62(&changed), "{at}");
        }
        for other in ["", "ghp_", "ghp_0mLq1", "no underscore at all"] {
            assert!(!crc32_base62(other.as_bytes()));
        }
    }

    #[test]
    fn a_hexadecimal_checksum_is_checked() {
        let body = "ATATT3xFfGF0obviously-not-a-token";
        let token = format!("{body}={:08X}", crc32(body.as_bytes()));
        assert!(crc32_hex(token.as_bytes()));
        assert!(!crc32_hex(token.replace("obviously", "0bviously").as_bytes()));
        assert!(!crc32_hex(b"ATATT3xFfGF0=12"));
        assert!(!crc32_hex(b"no sum"));
    }

    #[test]
    fn bech32_follows_bip_173() {
        for valid in ["A12UEL5L", "a12uel5l", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"] {
            // The first two have no data, which is no key.
            assert_eq!(bech32(valid.as_bytes()), valid.len() > 8, "{valid}");
        }
        for invalid in ["abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxq", "", "1", "abc", "abcdef1bio"] {
            assert!(!bech32(invalid.as_bytes()), "{invalid}");
        }
    }

    #[test]
    fn a_token_names_its_algorithm() {
        // {"alg":"HS256","typ":"JWT"} and {"typ":"JWT"}
        assert!(token_header(b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ9.x"));
        assert!(!token_header(b"eyJ0eXAiOiJKV1QifQ.eyJ9.x"));
        assert!(!token_header(b"eyJ?.x") && !token_header(b""));
    }
}
