//! `envward status`.

use crate::arguments;
use crate::failure::Failure;

/// Shows what the kernel says of a process.
pub(crate) fn run(_arguments: &arguments::Status) -> Result<u8, Failure> {
    Err(Failure::new(Failure::NEGATIVE, "not there yet"))
}
