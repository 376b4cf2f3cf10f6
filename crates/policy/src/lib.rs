//! `envward.toml` and the rules in it, parsed and matched.
//!
//! Pure functions on text: nothing here reads a file, asks the kernel or holds a
//! value of a secret.
//!
//! * [`config`]: the configuration file, its profiles and declarations
//! * [`dialect`]: the dialects of env files
//! * [`inherit`]: which inherited variables the program gets
//! * [`kind`]: types of variables, checked where the value lies
//! * [`mechanism`]: the protections, and which of them are required
//! * [`mode`]: the modes of running a program
//! * [`mod@reference`]: where a secret is to be taken from
//! * [`rules`]: which program may have which secret

#![forbid(unsafe_code)]

pub mod config;
pub mod dialect;
mod glob;
pub mod inherit;
pub mod kind;
pub mod mechanism;
pub mod mode;
pub mod reference;
pub mod rules;

pub use config::{Config, ConfigError, Variable};
pub use dialect::{Dialect, UnknownDialect};
pub use inherit::Inherit;
pub use kind::{Kind, Mismatch};
pub use mechanism::{Mechanism, Requirement, Requirements};
pub use mode::Mode;
pub use reference::{NamedReference, Reference, ReferenceError};
pub use rules::{Rule, RuleError, Rules};
