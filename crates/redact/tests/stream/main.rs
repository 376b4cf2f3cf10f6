//! Streams against a reference that knows nothing of tables, units or pieces: it decodes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod reference;

use std::rc::Rc;

use envward_redact::{Matcher, Secret, Stream};
use envward_secret::{Backing, Region};
use proptest::prelude::*;

use reference::{Settled, redacted};

/// A matcher for these values.
fn matcher(values: &[&[u8]]) -> Rc<Matcher> {
    let mut region = Region::new(values.iter().map(|value| value.len()).sum(), Backing::MemfdSecret).unwrap();
    let mut at = 0;
    let mut secrets = Vec::new();
    for (number, value) in values.iter().enumerate() {
        region.as_mut_slice()[at..at + value.len()].copy_from_slice(value);
        secrets.push(Secret { name: name(number), range: at..at + value.len() });
        at += value.len();
    }
    let matcher = Matcher::new(region, secrets).unwrap();
    assert_eq!(matcher.secrets().len(), values.len(), "all of them are suitable");
    Rc::new(matcher)
}

fn name(number: usize) -> String {
    format!("S{number}")
}

/// What comes out, after each piece and in the end.
fn run<'a>(matcher: &Rc<Matcher>, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<usize>, Vec<u8>) {
    let mut stream = Stream::new(Rc::clone(matcher), 64).unwrap();
    let mut out = Vec::new();
    let mut lengths = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        lengths.push(out.len());
        Ok::<_, ()>(())
    };
    let mut after = Vec::new();
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let space = stream.space();
            let count = rest.len().min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            stream.advance(count, &mut sink).unwrap();
            rest = &rest[count..];
        }
        after.push(stream.held());
    }
    stream.finish(&mut sink).unwrap();
    (after, out)
}

/// Whether the text is redacted as it should be in pieces of these lengths, and nothing is held
/// back that could have gone out.
fn check(values: &[&[u8]], text: &[u8], lengths: &[usize]) {
    let matcher = matcher(values);
    let mut pieces = Vec::new();
    let mut rest = text;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*length).clamp(1, rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    let (held, out) = run(&matcher, pieces.iter().copied());
    let expected = redacted(values, text, true);
    assert!(out == expected.out, "{:?} instead of {:?}", show(&out), show(&expected.out));
    let mut seen = 0;
    for (piece, held) in pieces.iter().zip(held) {
        seen += piece.len();
        let Settled { open, .. } = redacted(values, &text[..seen], false);
        assert_eq!(held, seen - open, "held back after {:?}", show(&text[..seen]));
    }
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

const PLAIN: &[u8] = b"correct-horse";
const ODD: &[u8] = b"p%/+ \"w\\\xc3\xa9\xf0\x9f\x98\x80\n!";
const LONGER: &[u8] = b"correct-horse-battery";
const BINARY: &[u8] = b"\xff\xfe\x01\x02\xfb\xef\xbe";
const SHORT: &[u8] = b"hunter";
const VALUES: [&[u8]; 5] = [PLAIN, ODD, LONGER, BINARY, SHORT];

#[test]
fn every_encoding_of_a_value_is_replaced() {
    for (number, value) in VALUES.iter().enumerate() {
        for (kind, encoded) in reference::encodings(value) {
            let text = [b"<", encoded.as_slice(), b">"].concat();
            for length in [1, 2, 3, 7, 1000] {
                check(&VALUES, &text, &[length]);
            }
            let (_, out) = run(&matcher(&VALUES), [text.as_slice()]);
            let marker = format!("[redacted {}]", name(number));
            assert!(out.windows(marker.len()).any(|window| window == marker.as_bytes()), "{kind}: {}", show(&out));
        }
    }
}

#[test]
fn the_longest_of_the_leftmost_is_replaced() {
    let (_, out) = run(&matcher(&VALUES), [b"a correct-horse-batterycorrect-horse-batt".as_slice()]);
    assert_eq!(show(&out), "a [redacted S2][redacted S0]-batt");
    // Only the end tells that the shorter one is all.
    let (held, out) = run(&matcher(&VALUES), [b"x correct-horse-ba".as_slice(), b"correct-horse"]);
    assert_eq!(held, [16, 13]);
    assert_eq!(show(&out), "x [redacted S0]-ba[redacted S0]");
}

#[test]
fn prompts_go_out_at_once_and_the_beginning_of_a_value_waits_for_one_byte() {
    let (held, out) = run(&matcher(&[PLAIN]), [b"Password: ".as_slice(), b"corr", b"!", b"cor", b"rect"]);
    assert_eq!(held, [0, 4, 0, 3, 7]);
    assert_eq!(show(&out), "Password: corr!correct");
}

#[test]
fn bytes_of_every_kind_pass_unchanged() {
    let text: Vec<u8> = (0..100_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (_, out) = run(&matcher(&VALUES), text.chunks(777));
    assert!(out == text);
}

#[test]
fn a_value_of_many_pages_is_found_in_small_pieces() {
    let value: Vec<u8> = (0..30_000_u32).map(|at| b'a' + (at * at % 23) as u8).collect();
    let text = [b"begin ", value.as_slice(), b" end"].concat();
    let (_, out) = run(&matcher(&[&value]), text.chunks(1000));
    assert_eq!(show(&out), "begin [redacted S0] end");
}

#[test]
fn no_secrets_no_change() {
    let (held, out) = run(&matcher(&[]), [b"anything".as_slice(), b" goes"]);
    assert_eq!(held, [0, 0]);
    assert_eq!(show(&out), "anything goes");
}

/// A piece of text: noise, an encoding of a value, or a part of one.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let planted = (0..VALUES.len(), any::<prop::sample::Index>()).prop_map(|(value, kind)| {
        let all = reference::encodings(VALUES[value]);
        all[kind.index(all.len())].1.clone()
    });
    let cut = (planted.clone(), any::<prop::sample::Index>(), any::<bool>()).prop_map(|(text, at, end)| {
        let at = at.index(text.len());
        if end { text[at..].to_vec() } else { text[..at].to_vec() }
    });
    prop_oneof![
        4 => planted,
        4 => cut,
        2 => prop::collection::vec(any::<u8>(), 0..12),
        2 => prop::collection::vec(prop::sample::select(b"corecthsp%/\\\"0aF\r\n+= ".to_vec()), 0..12),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_agree_with_the_reference(
        fragments in prop::collection::vec(fragment(), 0..8),
        lengths in prop::collection::vec(1_usize..40, 1..6),
    ) {
        check(&VALUES, &fragments.concat(), &lengths);
    }

    #[test]
    fn values_of_any_kind_are_found(
        value in prop::collection::vec(any::<u8>(), 6..40),
        kind in any::<prop::sample::Index>(),
        around in prop::collection::vec(any::<u8>(), 0..20),
        length in 1_usize..20,
    ) {
        prop_assume!(envward_redact::unsuitable(&value).is_none());
        let all = reference::encodings(&value);
        let (_, encoded) = &all[kind.index(all.len())];
        let text = [&around[..], encoded, &around[..]].concat();
        check(&[&value], &text, &[length]);
    }
}
