//! The env file source.

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use envward_secret::{SecretBuf, Vault};

use crate::dialect::command::{Commands, MAX_OUTPUT, Programs};
use crate::dialect::{self, Assignment, Dialect, Read};
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
        // One more, where the end of the file is read.
        let size = file.metadata().map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(0)) + 1;
        let mut text = SecretBuf::with_room(vault.backing(), size, MAX_FILE)?;
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
        if self.dialect == Dialect::Dotenvy {
            let mut names = Names::default();
            self.load_dotenvy(text.as_slice(), vault, Some(&mut names))?;
            let list = names.list;
            vault.recycle(text);
            return Ok(list);
        }
        let read = self.draft(text.as_slice(), vault)?;
        // The file's memory for the entries, and that of the values for the program's copy.
        let lengths =
            read.assignments.iter().map(|one| one.value.as_ref().map_or(0, |value| one.name.len() + value.len() + 2));
        vault.make_room_of(text, lengths.sum())?;
        self.commit(&read, vault)?;
        vault.recycle(read.values);
        Ok(names_of(&read.assignments))
    }

    /// Loads a text as if it stood in the file.
    ///
    /// # Errors
    ///
    /// As [`load`](Source::load).
    pub fn load_text(&self, text: &[u8], vault: &mut Vault) -> Result<Vec<(String, bool)>, SourceError> {
        if self.dialect == Dialect::Dotenvy {
            let mut names = Names::default();
            self.load_dotenvy(text, vault, Some(&mut names))?;
            return Ok(names.list);
        }
        let read = self.draft(text, vault)?;
        self.commit(&read, vault)?;
        Ok(names_of(&read.assignments))
    }

    /// Reads a text of another dialect than the default one.
    fn draft(&self, text: &[u8], vault: &Vault) -> Result<Read, SourceError> {
        let mut programs = Programs;
        let commands: Option<&mut dyn Commands> = if self.allow_commands { Some(&mut programs) } else { None };
        dialect::read(self.dialect, text, vault, commands).map_err(|failure| match failure {
            dialect::Failure::Syntax(error) => self.syntax(text)(error),
            dialect::Failure::Buffer(source) => SourceError::Read { from: self.describe(), source },
        })
    }

    /// Puts what was read into the vault.
    fn commit(&self, read: &Read, vault: &mut Vault) -> Result<(), SourceError> {
        let mut origin = format!("{}:", self.path.display());
        let file = origin.len();
        vault.expect(read.assignments.len());
        for (assignment, (line, column)) in read.assignments.iter().zip(&read.places) {
            let Some(range) = assignment.value.clone() else { continue };
            origin.truncate(file);
            origin.push_str(&assignment.line.to_string());
            let mut entry = vault.writer_of(&assignment.name, &origin)?.at(*line, *column);
            entry.note_taken(&assignment.takes_in);
            entry.push(&read.values.as_slice()[range])?;
            entry.commit()?;
        }
        Ok(())
    }

    fn load_dotenvy<'t>(
        &self,
        text: &'t [u8],
        vault: &mut Vault,
        mut names: Option<&mut Names<'t>>,
    ) -> Result<(), SourceError> {
        let mut origin = format!("{}:", self.path.display());
        let file = origin.len();
        let backing = vault.backing();
        let mut parser = Parser::new(text).map_err(self.syntax(text))?;
        // An entry is no longer than its line with the line break, if no variables go into it.
        vault.make_room(text.len() + 1)?;
        vault.expect(dialect::line_count(text));
        while let Some(key) = parser.next_key().map_err(self.syntax(text))? {
            if let Some(names) = &mut names
                && names.known.insert(key.name)
            {
                names.list.push((key.name.to_owned(), true));
            }
            origin.truncate(file);
            origin.push_str(&key.line.to_string());
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
        Ok(())
    }
}

/// The names of a draft, and which have a value.
fn names_of(assignments: &[Assignment]) -> Vec<(String, bool)> {
    assignments.iter().map(|assignment| (assignment.name.to_string(), assignment.value.is_some())).collect()
}

/// The names that a text mentions, in the order of first appearance.
#[derive(Default)]
struct Names<'t> {
    list: Vec<(String, bool)>,
    known: HashSet<&'t str>,
}

impl Source for EnvFile {
    fn describe(&self) -> String {
        format!("env file {}", self.path.display())
    }

    fn load(&self, vault: &mut Vault) -> Result<(), SourceError> {
        if self.dialect != Dialect::Dotenvy {
            return self.load_names(vault).map(drop);
        }
        let text = self.read(vault)?;
        self.load_dotenvy(text.as_slice(), vault, None)?;
        vault.recycle(text);
        Ok(())
    }
}
