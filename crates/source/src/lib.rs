//! Where secrets come from: one module each behind one trait.
//!
//! A [`Source`] puts variables into a [`Vault`], in protected memory, without
//! a detour through ordinary memory. Sources are loaded one after the other;
//! what a later one says of a variable wins, and what an earlier one said is
//! what `${KEY}` in a later env file means.
//!
//! * [`env_file`]: a dotenv file, in the grammar of [`dotenv`] or another [`dialect`]
//! * [`mod@reference`]: one variable from a file, an inherited descriptor or
//!   standard input
//! * [`from_env`]: variables of this process's own environment, wiped there

#![forbid(unsafe_code)]

pub mod dialect;
pub mod dotenv;
pub mod env_file;
mod error;
pub mod from_env;
pub mod reference;

use envward_secret::Vault;

pub use dialect::{Dialect, UnknownDialect};
pub use env_file::EnvFile;
pub use error::SourceError;
pub use from_env::FromEnv;
pub use reference::{NamedReference, Reference, ReferenceError};

/// Something that secrets come from.
pub trait Source {
    /// What it is, for messages and reports: `env file app.env`. Never a value.
    fn describe(&self) -> String;

    /// Puts its variables into the vault. The variables that are there already
    /// are what it may refer to.
    ///
    /// # Errors
    ///
    /// The vault may then hold a part of the source, so nothing should be
    /// started with it.
    fn load(&self, vault: &mut Vault) -> Result<(), SourceError>;
}
