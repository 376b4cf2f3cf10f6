//! Base64 (RFC 4648), looked at and not decoded.

/// Base64 or base64url, not mixed, padded or not; line breaks do not count, as `base64(1)`
/// makes some.
pub(super) fn is_base64(value: &[u8]) -> bool {
    let (mut digits, mut padding) = (0_usize, 0_usize);
    let (mut is_plain, mut is_url) = (false, false);
    for byte in value {
        match byte {
            b'\n' | b'\r' => continue,
            b'=' => {
                padding += 1;
                continue;
            }
            b'+' | b'/' => is_plain = true,
            b'-' | b'_' => is_url = true,
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        if padding > 0 {
            return false;
        }
        digits += 1;
    }
    // One digit of a group of four is not even one byte.
    let missing = match digits % 4 {
        0 => 0,
        2 => 2,
        3 => 1,
        _ => return false,
    };
    digits > 0 && !(is_plain && is_url) && (padding == 0 || padding == missing)
}
