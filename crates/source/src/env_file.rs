//! The env file source.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use envward_secret::{SecretBuf, Vault};

use crate::dotenv::{Parser, Piece, Problem, SyntaxError};
use crate::{Source, SourceError};

/// The largest env file in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// A file of `KEY=value` lines; see [`dotenv`](crate::dotenv) for the grammar.
///
/// All its variables are secret. Of several lines with the same key the last
/// one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    path: PathBuf,
}

impl EnvFile {
    /// The file at `path`, which is opened when it is loaded.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The path as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, vault: &Vault) -> Result<SecretBuf, SourceError> {
        let file = File::open(&self.path).map_err(|source| SourceError::Open { path: self.path.clone(), source })?;
        let mut text = SecretBuf::new(vault.backing(), MAX_FILE)?;
        text.read_from(file.as_fd()).map_err(|source| SourceError::Read { from: self.describe(), source })?;
        Ok(text)
    }

    fn syntax(&self) -> impl Fn(SyntaxError) -> SourceError {
        |source| SourceError::Syntax { path: self.path.clone(), source }
    }
}

impl Source for EnvFile {
    fn describe(&self) -> String {
        format!("env file {}", self.path.display())
    }

    fn load(&self, vault: &mut Vault) -> Result<(), SourceError> {
        let text = self.read(vault)?;
        let mut parser = Parser::new(text.as_slice()).map_err(self.syntax())?;
        while let Some(key) = parser.next_key().map_err(self.syntax())? {
            let origin = format!("{}:{}", self.path.display(), key.line);
            let mut entry = vault.writer(key.name, &origin)?.at(key.value.line, key.value.column);
            while let Some(piece) = parser.next_piece().map_err(self.syntax())? {
                match piece {
                    Piece::Bytes(bytes) => entry.push(bytes)?,
                    Piece::Character(character) => {
                        let mut bytes = [0; 4];
                        let outcome = entry.push(character.encode_utf8(&mut bytes).as_bytes());
                        bytes.fill(0);
                        std::hint::black_box(&mut bytes);
                        outcome?;
                    }
                    Piece::Variable { name, position } => {
                        if !entry.push_value_of(name)? {
                            let problem = Problem::UndefinedVariable { name: name.to_owned() };
                            let error = SyntaxError::new(position, Some(key.name), problem);
                            return Err(self.syntax()(error));
                        }
                    }
                }
            }
            entry.commit()?;
        }
        vault.recycle(text);
        Ok(())
    }
}
