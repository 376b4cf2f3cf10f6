//! The env file source.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use envward_secret::{SecretBuf, Vault};

use crate::dialect::command::{Commands, MAX_OUTPUT, Programs};
use crate::dialect::{self, Dialect};
use crate::dotenv::{Excerpt, Parser, Piece, Problem, SyntaxError};
use crate::{Source, SourceError};

/// The largest env file in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// A file of `KEY=value` lines; see [`dotenv`](crate::dotenv) for the grammar of the default
/// dialect and [`dialect`](crate::dialect) for the others.
///
/// All its variables are secret. Of several lines with the same key the last
/// one counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    path: PathBuf,
    dialect: Dialect,
    allow_commands: bool,
}

impl EnvFile {
    /// The file at `path` in the default dialect, which is opened when it is loaded.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), dialect: Dialect::default(), allow_commands: false }
    }

    /// The same file in a dialect.
    #[must_use]
    pub fn dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// Whether `$(…)` runs programs, in the dialects that have it. Without this it is an error
    /// there.
    #[must_use]
    pub fn allow_commands(self, allow_commands: bool) -> Self {
        Self { allow_commands, ..self }
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

    fn syntax<'a>(&'a self, text: &'a [u8]) -> impl Fn(SyntaxError) -> SourceError {
        |source| SourceError::Syntax {
            path: self.path.clone(),
            excerpt: Excerpt::of(text, &source),
            source: Box::new(source),
        }
    }

    /// Loads the file and says which names it mentions, in the order of first appearance, and
    /// whether the last mention gave a value.
    ///
    /// # Errors
    ///
    /// As [`load`](Source::load).
    pub fn load_names(&self, vault: &mut Vault) -> Result<Vec<(String, bool)>, SourceError> {
        let text = self.read(vault)?;
        let names = self.load_text(text.as_slice(), vault)?;
        vault.recycle(text);
        Ok(names)
    }

    /// Loads a text as if it stood in the file.
    ///
    /// # Errors
    ///
    /// As [`load`](Source::load).
    pub fn load_text(&self, text: &[u8], vault: &mut Vault) -> Result<Vec<(String, bool)>, SourceError> {
        match self.dialect {
            Dialect::Dotenvy => self.load_dotenvy(text, vault),
            _ => self.load_other(text, vault),
        }
    }

    fn load_other(&self, text: &[u8], vault: &mut Vault) -> Result<Vec<(String, bool)>, SourceError> {
        let mut programs = Programs;
        let commands: Option<&mut dyn Commands> = if self.allow_commands { Some(&mut programs) } else { None };
        let (values, assignments) = match dialect::read(self.dialect, text, vault, commands) {
            Ok(draft) => draft.into_parts(),
            Err(dialect::Failure::Syntax(error)) => return Err(self.syntax(text)(error)),
            Err(dialect::Failure::Buffer(source)) => {
                return Err(SourceError::Read { from: self.describe(), source });
            }
        };
        let mut names = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let has_value = assignment.value.is_some();
            if let Some(range) = assignment.value {
                let origin = format!("{}:{}", self.path.display(), assignment.line);
                let mut entry = vault.writer(&assignment.name, &origin)?.at(assignment.line, 1);
                entry.note_taken(assignment.takes_in);
                entry.push(&values.as_slice()[range])?;
                entry.commit()?;
            }
            names.push((assignment.name, has_value));
        }
        Ok(names)
    }

    fn load_dotenvy(&self, text: &[u8], vault: &mut Vault) -> Result<Vec<(String, bool)>, SourceError> {
        let mut names = Vec::new();
        let mut known = HashSet::new();
        let backing = vault.backing();
        let mut parser = Parser::new(text).map_err(self.syntax(text))?;
        while let Some(key) = parser.next_key().map_err(self.syntax(text))? {
            if known.insert(key.name) {
                names.push((key.name.to_owned(), true));
            }
            let origin = format!("{}:{}", self.path.display(), key.line);
            let mut entry = vault.writer(key.name, &origin)?.at(key.value.line, key.value.column);
            while let Some(piece) = parser.next_piece().map_err(self.syntax(text))? {
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
                            return Err(self.syntax(text)(error));
                        }
                    }
                    Piece::Command { command, position } => {
                        let wrong = |problem| self.syntax(text)(SyntaxError::new(position, Some(key.name), problem));
                        if !self.allow_commands {
                            return Err(wrong(Problem::CommandSubstitution));
                        }
                        let mut output = SecretBuf::new(backing, MAX_OUTPUT)?;
                        Programs.run(command, &mut output).map_err(wrong)?;
                        entry.push(output.as_slice().trim_ascii())?;
                    }
                }
            }
            entry.commit()?;
        }
        Ok(names)
    }
}

impl Source for EnvFile {
    fn describe(&self) -> String {
        format!("env file {}", self.path.display())
    }

    fn load(&self, vault: &mut Vault) -> Result<(), SourceError> {
        self.load_names(vault).map(drop)
    }
}
