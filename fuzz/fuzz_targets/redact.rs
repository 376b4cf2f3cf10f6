//! Redaction: the first line is a secret, the second one says how the rest is cut into pieces. A
//! stream in pieces comes out as it does in one, and the value is not in it; without an
//! occurrence it comes out as it is.
#![no_main]

use std::rc::Rc;

use envward_redact::{Found, Matcher, Secret, Stream, unsuitable};
use envward_secret::{Backing, Region};
use libfuzzer_sys::fuzz_target;

fn redacted<'a>(matcher: &Rc<Matcher>, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut stream = Stream::new(Rc::clone(matcher), 64).unwrap();
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok::<_, ()>(())
    };
    for piece in pieces {
        let mut rest = piece;
        while !rest.is_empty() {
            let space = stream.space();
            let count = rest.len().min(space.len());
            space[..count].copy_from_slice(&rest[..count]);
            stream.advance(count, &mut sink).unwrap();
            rest = &rest[count..];
        }
    }
    stream.finish(&mut sink).unwrap();
    out
}

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let (Some(value), Some(cuts), Some(text)) = (lines.next(), lines.next(), lines.next()) else { return };
    if unsuitable(value).is_some() || value.len() > 200 {
        return;
    }
    let mut region = Region::new(value.len(), Backing::MemfdSecret).unwrap();
    region.as_mut_slice().copy_from_slice(value);
    let secrets = vec![Secret { name: "\u{1}".to_owned(), range: 0..value.len() }];
    let matcher = Rc::new(Matcher::new(region, secrets).unwrap());
    let whole = redacted(&matcher, std::iter::once(text));
    let mut rest = text;
    let mut lengths = cuts.iter().map(|cut| usize::from(*cut)).cycle();
    let pieces = std::iter::from_fn(|| {
        let length = lengths.next().unwrap_or(usize::MAX).clamp(1, rest.len().max(1)).min(rest.len());
        let (piece, behind) = rest.split_at(length);
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    assert!(redacted(&matcher, pieces) == whole);
    if matcher.find(text, 0, true) == Found::Nothing {
        assert!(whole == text);
        assert!(!text.windows(value.len()).any(|window| window == value));
    }
});
