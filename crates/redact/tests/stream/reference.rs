//! What redaction means, without any regard for speed: at each byte, each decoder is asked
//! whether what it makes of the text from there begins with the value.

use std::ops::ControlFlow;

/// What is known of a text.
pub(crate) struct Settled {
    /// The redacted text, up to `open`.
    pub(crate) out: Vec<u8>,
    /// Where what more bytes could change begins.
    pub(crate) open: usize,
}

/// Redacts `text`; `ended`: nothing comes behind it.
pub(crate) fn redacted(values: &[&[u8]], text: &[u8], ended: bool) -> Settled {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let mut longest = None;
        for (number, value) in values.iter().enumerate() {
            for decoder in DECODERS {
                match read(*decoder, value, &text[at..]) {
                    Reading::Open if !ended => return Settled { out, open: at },
                    Reading::Value(len) if longest.is_none_or(|(most, _)| len > most) => longest = Some((len, number)),
                    _ => {}
                }
            }
        }
        match longest {
            Some((len, number)) => {
                out.extend_from_slice(format!("[redacted S{number}]").as_bytes());
                at += len;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    Settled { out, open: at }
}

enum Reading {
    Value(usize),
    Open,
    Other,
}

/// One step of decoding: what the text's beginning stands for, and how long it is. `Break(true)`
/// when the text ends too early to tell, `Break(false)` when it is no such code.
type Step = ControlFlow<bool, (Vec<u8>, usize)>;

#[derive(Clone, Copy)]
enum Decoder {
    Steps(fn(&[u8], next: u8) -> Step),
    Json,
    Base64(usize),
}

const DECODERS: &[Decoder] = &[
    Decoder::Steps(plain),
    Decoder::Steps(hex),
    Decoder::Steps(percent),
    Decoder::Json,
    Decoder::Base64(0),
    Decoder::Base64(1),
    Decoder::Base64(2),
];

fn read(decoder: Decoder, value: &[u8], text: &[u8]) -> Reading {
    match decoder {
        Decoder::Base64(before) => read_base64(before, value, text),
        Decoder::Json => read_json(value, text),
        Decoder::Steps(step) => {
            let (mut got, mut at) = (0, 0);
            while got < value.len() {
                match step(&text[at..], value[got]) {
                    ControlFlow::Continue((bytes, len)) if value[got..].starts_with(&bytes) => {
                        got += bytes.len();
                        at += len;
                    }
                    ControlFlow::Break(true) => return Reading::Open,
                    _ => return Reading::Other,
                }
            }
            Reading::Value(at)
        }
    }
}

fn plain(text: &[u8], next: u8) -> Step {
    match text {
        [] => ControlFlow::Break(true),
        [b'\r'] if next == b'\n' => ControlFlow::Break(true),
        [b'\r', b'\n', ..] if next == b'\n' => ControlFlow::Continue((vec![b'\n'], 2)),
        [byte, ..] => ControlFlow::Continue((vec![*byte], 1)),
    }
}

fn pair(text: &[u8], next: u8) -> ControlFlow<bool, u8> {
    let (lower, upper) = (format!("{next:02x}"), format!("{next:02X}"));
    match text.get(..2) {
        Some(two) if two == lower.as_bytes() || two == upper.as_bytes() => ControlFlow::Continue(next),
        None if lower.as_bytes().starts_with(text) || upper.as_bytes().starts_with(text) => ControlFlow::Break(true),
        _ => ControlFlow::Break(false),
    }
}

fn hex(text: &[u8], next: u8) -> Step {
    ControlFlow::Continue((vec![pair(text, next)?], 2))
}

fn percent(text: &[u8], next: u8) -> Step {
    match text {
        [] => ControlFlow::Break(true),
        [b'%', rest @ ..] => {
            if next == b'\n' && rest.len() < 5 && ["0d%0a", "0D%0A"].iter().any(|end| end.as_bytes().starts_with(rest))
            {
                return ControlFlow::Break(true);
            }
            if next == b'\n' && (rest.starts_with(b"0d%0a") || rest.starts_with(b"0D%0A")) {
                return ControlFlow::Continue((vec![b'\n'], 6));
            }
            ControlFlow::Continue((vec![pair(rest, next)?], 3))
        }
        [b'+', ..] if next == b' ' => ControlFlow::Continue((vec![b' '], 1)),
        [byte, ..] => ControlFlow::Continue((vec![*byte], 1)),
    }
}

/// Every character of the value, each in one of the ways that JSON has for it.
fn read_json(value: &[u8], text: &[u8]) -> Reading {
    let mut at = 0;
    let mut rest = value;
    while !rest.is_empty() {
        let length = (1..=4).find(|length| rest.get(..*length).is_some_and(|part| std::str::from_utf8(part).is_ok()));
        let ways = match length {
            None => vec![rest[..1].to_vec()],
            Some(length) => ways(std::str::from_utf8(&rest[..length]).unwrap()),
        };
        let here = &text[at..];
        if let Some(way) = ways.iter().find(|way| here.starts_with(way)) {
            at += way.len();
        } else if ways.iter().any(|way| way.starts_with(here)) {
            return Reading::Open;
        } else {
            return Reading::Other;
        }
        rest = &rest[length.unwrap_or(1)..];
    }
    Reading::Value(at)
}

fn ways(character: &str) -> Vec<Vec<u8>> {
    let mut ways = Vec::new();
    for upper in [false, true] {
        let escape = |unit: u16| if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        ways.push(character.encode_utf16().map(escape).collect::<String>().into_bytes());
    }
    match character {
        "\"" => ways.push(b"\\\"".to_vec()),
        "\\" => ways.push(b"\\\\".to_vec()),
        "\n" => ways.push(b"\\n".to_vec()),
        "\r" => ways.push(b"\\r".to_vec()),
        "\t" => ways.push(b"\\t".to_vec()),
        "\u{8}" => ways.push(b"\\b".to_vec()),
        "\u{c}" => ways.push(b"\\f".to_vec()),
        "/" => ways.extend([b"/".to_vec(), b"\\/".to_vec()]),
        other if other.as_bytes()[0] >= b' ' => ways.push(other.as_bytes().to_vec()),
        _ => {}
    }
    ways
}

fn read_base64(before: usize, value: &[u8], text: &[u8]) -> Reading {
    let first = [0, 2, 3][before];
    let count = ((before + value.len()) * 8).div_ceil(6) - first;
    // The bits that each character says, as far as they are the value's.
    for at in 0..count {
        let Some(character) = text.get(at) else { return Reading::Open };
        let Some(sextet) = sextet(*character) else { return Reading::Other };
        for bit in 0..6 {
            let position = (first + at) * 6 + bit - before * 8;
            if let Some(byte) = value.get(position / 8)
                && (byte >> (7 - position % 8)) & 1 != (sextet >> (5 - bit)) & 1
            {
                return Reading::Other;
            }
        }
    }
    Reading::Value(count)
}

fn sextet(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// What encoders make of a value.
pub(crate) fn encodings(value: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let per_byte =
        |encode: &dyn Fn(u8) -> String| value.iter().map(|byte| encode(*byte)).collect::<String>().into_bytes();
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let mut all = vec![
        ("plain", value.to_vec()),
        ("hex", per_byte(&|byte| format!("{byte:02x}"))),
        ("HEX", per_byte(&|byte| format!("{byte:02X}"))),
        ("all in percent", per_byte(&|byte| format!("%{byte:02X}"))),
        ("component", per_byte(&|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })),
        (
            "lower component",
            per_byte(&|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }),
        ),
        (
            "form",
            per_byte(&|byte| match byte {
                b' ' => "+".to_owned(),
                b'\n' => "%0D%0A".to_owned(),
                _ if kept(byte) => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            }),
        ),
        (
            "terminal",
            value.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect(),
        ),
    ];
    for (before, after, url) in [(0, 0, false), (0, 0, true), (1, 0, false), (2, 3, true), (4, 2, false), (5, 1, true)]
    {
        let text = [vec![b'x'; before].as_slice(), value, &vec![b'y'; after]].concat();
        all.push(("base64", base64(&text, url)));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let escaped: String = text
            .chars()
            .map(|character| {
                let ways = ways(character.encode_utf8(&mut [0; 4]));
                String::from_utf8(
                    if character.is_ascii_alphanumeric() { ways.last() } else { ways.first() }.unwrap().clone(),
                )
                .unwrap()
            })
            .collect();
        all.push(("json with escapes", escaped.into_bytes()));
        let usual =
            text.chars().flat_map(|character| ways(character.encode_utf8(&mut [0; 4])).pop().unwrap()).collect();
        all.push(("json", usual));
    }
    all
}

fn base64(text: &[u8], url: bool) -> Vec<u8> {
    let alphabet: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*if url { b"-_" } else { b"+/" }).collect();
    let mut out = Vec::new();
    for group in text.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            out.push(alphabet[(bits >> (18 - 6 * at) & 63) as usize]);
        }
        if !url {
            out.resize(out.len() + 3 - group.len(), b'=');
        }
    }
    out
}
