//! Redaction: replaces every occurrence of a secret value, and of its usual encodings, in a
//! stream of bytes by a marker, and passes everything else on unchanged and at once.
//!
//! * [`Form`] is a way in which a value may be written: as it is, hexadecimal, base64, percent
//!   encoded, as a JSON string.
//! * [`Matcher`] finds the forms of all values in a text.
//! * [`Stream`] is one stream of bytes in pieces of any size.
//! * [`unsuitable`] says which values cannot be redacted, because they would be found
//!   everywhere.
//!
//! Everything that holds a byte of a value, or a byte of the stream, is protected memory: the
//! values, the tables that are made from them, and the buffers.
//!
//! **What is found.** The leftmost occurrence is replaced first, and of several that begin at
//! the same byte the longest. A byte is held back only while it may belong to an occurrence:
//! that is, while everything from some byte on is the beginning of a form of a value.
#![forbid(unsafe_code)]

mod form;
mod matcher;
mod stream;
mod suitable;

pub use form::Form;
pub use matcher::{Found, Matcher, Secret};
pub use stream::Stream;
pub use suitable::{MIN_LENGTH, Unsuitable, unsuitable};
