//! `envward env convert`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use envward_source::dialect::write::{self, WriteError};

use super::{Contents, dialect, failed, protect};
use crate::failure::Failure;
use crate::output;

/// Write the variables of an env file in another dialect
///
/// The values are the same when the new file is read in its dialect, which is checked before
/// anything is written; variables are put in their places, and comments are left out.
/// Exit status: 0, 1 when a file cannot be read or written, 2 for a wrong command line, 3 when
/// a dialect rejects the file or cannot express one of its variables.
#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// The dialect of FILE
    #[arg(long, value_name = "DIALECT")]
    from: String,
    /// The dialect to write
    #[arg(long, value_name = "DIALECT")]
    to: String,
    /// Write to standard output
    #[arg(long, conflicts_with = "output", required_unless_present = "output")]
    reveal: bool,
    /// Write to a new file, which only its owner can read
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Run what stands in $(…), without a shell; it is an error otherwise
    #[arg(long)]
    allow_commands: bool,
    /// The env file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(arguments: &Convert) -> Result<u8, Failure> {
    protect()?;
    let from = dialect("--from", Some(&arguments.from))?;
    let to = dialect("--to", Some(&arguments.to))?;
    let contents = Contents::read(&arguments.file, from, arguments.allow_commands)?;
    let names = contents.names.iter().filter(|(_, has_value)| *has_value).map(|(name, _)| name.as_str());
    let text = write::file(names, &contents.vault, to).map_err(|error| match error {
        WriteError::Inexpressible { .. } => Failure::new(Failure::REJECTED, &error)
            .hint("choose another dialect, or keep this variable in a file of its own"),
        error => failed(error),
    })?;
    let Some(path) = &arguments.output else {
        output::bytes(text.as_slice()).map_err(|error| failed(format!("cannot write: {error}")))?;
        return Ok(0);
    };
    let cannot = |error| failed(format!("cannot write {}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(cannot)?;
    let written = file.write_all(text.as_slice()).and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half of a file is worse than none.
        let _ = std::fs::remove_file(path);
        return Err(cannot(error));
    }
    Ok(0)
}
