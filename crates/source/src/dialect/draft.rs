//! What is read of a file before it goes into the vault.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use envward_secret::{ReadError, SecretBuf, Vault};

use super::command::Commands;
use crate::dotenv::Problem;

/// How much the values of a file may come to, in bytes, with what is being worked on.
const MAX_DRAFT: usize = 16 * 1024 * 1024;

/// The assignments of a file. Their values lie behind one another in one protected buffer;
/// behind the last of them is the value that is being made.
pub(crate) struct Draft<'a> {
    pub(crate) buffer: SecretBuf,
    assignments: Vec<Assignment>,
    by_name: HashMap<Arc<str>, usize>,
    earlier: &'a Vault,
    commands: Option<&'a mut dyn Commands>,
    /// The variables whose values went into the value that is being made.
    taken: Vec<String>,
}

/// A name of the file, in the order of first appearance, with its last value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) name: Arc<str>,
    /// The line of the last assignment, from 1.
    pub(crate) line: usize,
    /// Where its value stands in the text.
    pub(crate) offset: usize,
    /// Where its value lies; `None` for a name that was only mentioned.
    pub(crate) value: Option<Range<usize>>,
    /// The variables whose values went into it.
    pub(crate) takes_in: Vec<String>,
}

/// Why reading stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The text is wrong there.
    At { offset: usize, key: Option<String>, problem: Problem },
    /// No memory.
    Buffer(ReadError),
}

impl Stop {
    pub(crate) fn at(offset: usize, key: Option<&str>, problem: Problem) -> Self {
        Self::At { offset, key: key.map(str::to_owned), problem }
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Buffer(error)
    }
}

/// Where a name's value is found.
enum Found<'v> {
    Here(Range<usize>),
    Earlier(&'v [u8]),
}

impl<'a> Draft<'a> {
    /// For a text.
    pub(crate) fn new(
        text: &[u8],
        earlier: &'a Vault,
        commands: Option<&'a mut dyn Commands>,
    ) -> Result<Self, ReadError> {
        let buffer = SecretBuf::with_room(earlier.backing(), text.len(), MAX_DRAFT).map_err(ReadError::Memory)?;
        let lines = super::line_count(text);
        let (assignments, by_name) = (Vec::with_capacity(lines), HashMap::with_capacity(lines));
        Ok(Self { buffer, assignments, by_name, earlier, commands, taken: Vec::new() })
    }

    /// Another buffer, for a changed copy of the text.
    pub(crate) fn scratch(&self, limit: usize) -> Result<SecretBuf, Stop> {
        SecretBuf::with_room(self.earlier.backing(), limit, limit)
            .map_err(|error| Stop::Buffer(ReadError::Memory(error)))
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer.as_slice()[range]
    }

    pub(crate) fn from(&self, start: usize) -> &[u8] {
        &self.buffer.as_slice()[start..]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        Ok(self.buffer.push(bytes)?)
    }

    /// Appends a byte of its own and those behind it up to the next that is one of `stops`,
    /// which are of ASCII; says where it stopped.
    pub(crate) fn push_run(&mut self, range: Range<usize>, stops: &[u8]) -> Result<usize, Stop> {
        let rest = self.bytes(range.start + 1..range.end);
        let len = rest.iter().position(|byte| stops.contains(byte)).unwrap_or(rest.len());
        let end = range.start + 1 + len;
        self.buffer.push_within(range.start..end)?;
        Ok(end)
    }

    /// Makes what lies from `start` on the value of a name.
    ///
    /// It stands at `offset` in the text.
    pub(crate) fn set(&mut self, name: &str, line: usize, offset: usize, start: usize) {
        self.record(name, line, offset, Some(start..self.buffer.len()));
    }

    pub(crate) fn record(&mut self, name: &str, line: usize, offset: usize, value: Option<Range<usize>>) {
        let takes_in = std::mem::take(&mut self.taken);
        self.assign(Assignment { name: name.into(), line, offset, value, takes_in });
    }

    /// As [`set`](Self::set), to be [assigned](Self::assign) later.
    pub(crate) fn hold(&mut self, name: &str, line: usize, offset: usize, start: usize) -> Assignment {
        let takes_in = std::mem::take(&mut self.taken);
        Assignment { name: name.into(), line, offset, value: Some(start..self.buffer.len()), takes_in }
    }

    pub(crate) fn assign(&mut self, new: Assignment) {
        let Some(place) = self.by_name.get(&new.name) else {
            self.by_name.insert(Arc::clone(&new.name), self.assignments.len());
            self.assignments.push(new);
            return;
        };
        let assignment = &mut self.assignments[*place];
        let mut before = std::mem::replace(assignment, new);
        if assignment.takes_in.iter().any(|taken| **taken == *before.name) {
            assignment.takes_in.append(&mut before.takes_in);
        }
    }

    /// Makes lines and columns of the offsets.
    pub(crate) fn locate(&mut self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut order: Vec<usize> = (0..self.assignments.len()).collect();
        order.sort_by_key(|index| self.assignments[*index].offset);
        let mut places = vec![(1, 1); order.len()];
        let (mut at, mut line, mut column) = (0, 1, 1);
        for index in order {
            let offset = self.assignments[index].offset.min(text.len());
            for byte in &text[at..offset] {
                match *byte {
                    b'\n' => (line, column) = (line + 1, 1),
                    byte => column += usize::from(byte & 0b1100_0000 != 0b1000_0000),
                }
            }
            at = offset;
            places[index] = (line, column);
        }
        places
    }

    /// Takes the assignments out, for a second pass over them.
    pub(crate) fn take_assignments(&mut self) -> Vec<Assignment> {
        self.by_name.clear();
        std::mem::take(&mut self.assignments)
    }

    /// The buffer and the assignments whose values lie in it.
    pub(crate) fn into_parts(self) -> (SecretBuf, Vec<Assignment>) {
        (self.buffer, self.assignments)
    }

    /// Whether this file mentions the name.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The value of a name: this file's, else an earlier source's.
    pub(crate) fn value(&self, name: &str) -> Option<&[u8]> {
        match self.find(name)? {
            Found::Here(range) => Some(&self.buffer.as_slice()[range]),
            Found::Earlier(bytes) => Some(bytes),
        }
    }

    pub(crate) fn earlier_value(&self, name: &str) -> Option<&'a [u8]> {
        self.earlier.value(name)
    }

    fn find(&self, name: &str) -> Option<Found<'a>> {
        match self.by_name.get(name) {
            Some(place) => self.assignments[*place].value.clone().map(Found::Here),
            None => self.earlier.value(name).map(Found::Earlier),
        }
    }

    /// Appends the value of a name; false if it has none.
    pub(crate) fn push_value_of(&mut self, name: &str) -> Result<bool, Stop> {
        match self.find(name) {
            None => return Ok(false),
            Some(Found::Here(range)) => self.buffer.push_within(range)?,
            Some(Found::Earlier(bytes)) => self.buffer.push(bytes)?,
        }
        if !self.taken.iter().any(|taken| taken == name) {
            self.taken.push(name.to_owned());
        }
        Ok(true)
    }

    /// Runs a command and appends what it writes, without line breaks at the end.
    pub(crate) fn push_output_of(&mut self, command: &str) -> Result<(), Problem> {
        match &mut self.commands {
            None => Err(Problem::CommandSubstitution),
            Some(commands) => commands.run(command, &mut self.buffer),
        }
    }
}
