//! The embedded store: one text file of secrets, encrypted to age recipients.
//!
//! One line for each version of each secret, so that a change to one secret changes only its
//! lines and git merges the rest; `docs/store.md` describes the format.
//!
//! * [`document`]: the text, parsed and checked without a key
//! * [`key`]: the store's key, wrapped to its recipients as an age file
//! * [`record`]: one version of a secret, sealed and opened
//! * [`draft`]: the next text: versions added, or everything sealed anew
//! * [`identity`], [`recipient`]: who may open it
//! * [`note`]: a text sealed with the store's key, kept outside of it
//! * [`generate`]: values made by rule
//! * [`file`](mod@file): locked, replaced whole or not at all
//!
//! Values and keys are handled in whatever memory the process has: this crate is meant for
//! processes whose heap and stack are protected (`envward_secret::confined`). Errors name
//! secrets, lines and files, never a value.

#![forbid(unsafe_code)]

pub mod document;
pub mod draft;
mod error;
pub mod file;
pub mod generate;
pub mod identity;
pub mod key;
pub mod note;
pub mod recipient;
pub mod record;
mod time;

pub use document::{Document, State};
pub use draft::Draft;
pub use error::{Kind, StoreError};
pub use identity::Identities;
pub use key::Key;
pub use recipient::Recipient;
pub use time::now;
