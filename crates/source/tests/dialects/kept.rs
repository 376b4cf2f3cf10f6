//! The differences that are kept on purpose, with the reasons; `docs/dialects.md` has them as one
//! table.

use envward_source::Dialect;

use crate::answer::Answer;

/// A file of the corpus that we read differently.
struct Kept {
    dialect: Dialect,
    name: &'static str,
    reason: &'static str,
}

const KEPT: &[Kept] = &[];

pub(crate) fn in_corpus(dialect: Dialect, name: &str) -> Option<&'static str> {
    KEPT.iter().find(|kept| kept.dialect == dialect && kept.name == name).map(|kept| kept.reason)
}

pub(crate) fn names(dialect: Dialect) -> impl Iterator<Item = &'static str> {
    KEPT.iter().filter(move |kept| kept.dialect == dialect).map(|kept| kept.name)
}

/// The reason why a random file may be read differently.
pub(crate) fn in_general(dialect: Dialect, text: &[u8], ours: &Answer, theirs: &Answer) -> Option<&'static str> {
    let _ = (dialect, text, ours, theirs);
    None
}
