//! Numbers and truth.

/// A sign, digits, and no more than 64 bits, signed or unsigned.
pub(super) fn is_integer(value: &[u8]) -> bool {
    let (is_negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    magnitude(digits).is_some_and(|magnitude| !is_negative || magnitude <= i64::MIN.unsigned_abs())
}

/// Digits before the point, behind it or both, and an exponent.
pub(super) fn is_float(value: &[u8]) -> bool {
    let unsigned = value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value);
    let (mantissa, exponent) = match unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let exponent_is_right = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        !digits.is_empty() && are_digits(digits)
    });
    are_digits(whole) && are_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_is_right
}

/// Digits that make 1 to 65535.
pub(super) fn is_port(value: &[u8]) -> bool {
    magnitude(value).is_some_and(|port| (1..=65535).contains(&port))
}

/// The words for true and false.
pub(super) fn is_boolean(value: &[u8]) -> bool {
    const WORDS: [&[u8]; 8] = [b"true", b"false", b"1", b"0", b"yes", b"no", b"on", b"off"];
    WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
}

fn are_digits(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

fn magnitude(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
