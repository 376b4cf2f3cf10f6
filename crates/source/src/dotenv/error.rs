//! What can be wrong with an env file.

use std::fmt;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The kinds of quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// `"`
    Double,
    /// `'`
    Single,
    /// `"""`
    DoubleHeredoc,
    /// `'''`
    SingleHeredoc,
}

impl Quote {
    /// The quote that `text` starts with.
    pub(super) fn opening(text: &[u8]) -> Option<Self> {
        [Self::DoubleHeredoc, Self::SingleHeredoc, Self::Double, Self::Single]
            .into_iter()
            .find(|quote| text.starts_with(quote.delimiter()))
    }

    pub(super) fn delimiter(self) -> &'static [u8] {
        self.as_str().as_bytes()
    }

    pub(super) fn is_heredoc(self) -> bool {
        matches!(self, Self::DoubleHeredoc | Self::SingleHeredoc)
    }

    /// True if escapes and variables are text in it.
    pub(super) fn is_raw(self) -> bool {
        matches!(self, Self::Single | Self::SingleHeredoc)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Double => "\"",
            Self::Single => "'",
            Self::DoubleHeredoc => "\"\"\"",
            Self::SingleHeredoc => "'''",
        }
    }
}

/// What is wrong, in terms of the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The file is not UTF-8.
    InvalidUtf8,
    /// The file holds a NUL byte.
    NulByte,
    /// A line starts with `=`.
    MissingKey,
    /// A key has a character that it must not have, or starts with a digit.
    InvalidKey,
    /// No `=` follows the key.
    MissingEquals,
    /// A quote inside an unquoted value.
    TextBeforeQuote,
    /// Something other than a comment behind a closing quote.
    TextAfterClosing,
    /// Something other than a comment behind the opening of a heredoc.
    TextAfterOpening,
    /// The file ends inside quotes.
    Unterminated(Quote),
    /// `\u` without four hexadecimal digits.
    InvalidUnicodeEscape,
    /// `\uD800` to `\uDFFF`.
    SurrogateEscape,
    /// `\u0000`.
    NulEscape,
    /// A backslash with nothing behind it in an unquoted value.
    BackslashAtEnd,
    /// `${` without `}` on its line.
    UnterminatedReference,
    /// `${…}` with something else than a key inside.
    InvalidReference,
    /// `${…}` with a key that has no value yet.
    UndefinedVariable {
        /// The key.
        name: String,
    },
    /// `$(`.
    CommandSubstitution,
    /// `$(` that is not closed.
    UnterminatedCommand,
    /// `$()`.
    EmptyCommand,
    /// A command that only a shell could run.
    CommandNeedsShell,
    /// A command could not be started.
    CommandNotStarted {
        /// The program.
        program: String,
        /// What the kernel said.
        reason: String,
    },
    /// A command failed.
    CommandFailed {
        /// The program.
        program: String,
    },
    /// What a command wrote is too long, not UTF-8, or holds a NUL byte.
    CommandOutput {
        /// The program.
        program: String,
    },
    /// A name that no variable can have.
    ImpossibleName,
    /// A character that a key of the dialect cannot have.
    KeyCharacter,
    /// A blank inside a key.
    BlankInKey,
    /// `export NAME` of a name that has no value.
    ExportUnset {
        /// The name.
        name: String,
    },
    /// `${NAME:?…}` of a name that has no value.
    RequiredVariable {
        /// The name.
        name: String,
    },
    /// `${…}` of another form than the dialect knows.
    InvalidTemplate,
    /// Expanding a value never ends.
    EndlessExpansion,
    /// Something in a shell's file that is no assignment.
    NotAnAssignment,
    /// `~` where a shell puts a home directory.
    Tilde,
    /// `$$`, `$!`, `$-`, `$0`: what depends on the shell's process.
    ShellParameter,
    /// `$((`.
    Arithmetic,
    /// `$'` and `$"`, which shells read differently.
    DollarQuote,
    /// `${#…}`, `${…%…}` and others that are not done here.
    ShellExpansion,
    /// Quotes inside `"${…}"`, which shells read differently.
    NestedQuotes,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::InvalidUtf8 => "this is not UTF-8; save the file in that encoding",
            Self::NulByte => "a NUL byte, which no variable can hold; remove it",
            Self::MissingKey => "no key before `=`; write KEY=value",
            Self::InvalidKey => {
                "not a key; keys have letters, digits and `_` and do not start with a digit \
                 (is this line part of the value before it? put that in quotes)"
            }
            Self::MissingEquals => {
                "no `=` after the key; write KEY=value \
                 (is this line part of the value before it? put that in quotes)"
            }
            Self::TextBeforeQuote => {
                "a quote inside an unquoted value; \
                 put the whole value in quotes or a backslash before the quote"
            }
            Self::TextAfterClosing => "text after the closing quote; only a `#` comment may follow it",
            Self::TextAfterOpening => "text after the opening quotes of a heredoc; its value starts on the next line",
            Self::Unterminated(quote) => {
                return write!(f, "the value that starts here is not closed; end it with {}", quote.as_str());
            }
            Self::InvalidUnicodeEscape => "`\\u` without four hexadecimal digits; write \\\\u for a backslash and a u",
            Self::SurrogateEscape => "`\\u` with half of a surrogate pair; write the character itself",
            Self::NulEscape => "`\\u0000`, but no variable can hold a NUL; remove it",
            Self::BackslashAtEnd => {
                "a backslash at the end of an unquoted value; \
                 write \\\\ for a backslash or put the value in quotes"
            }
            Self::UnterminatedReference => {
                "`${` without `}` on the same line; write \\${ or use single quotes for plain text"
            }
            Self::InvalidReference => {
                "`${…}` with something other than a key inside; operators such as `:-` do not \
                 exist here (write \\${ or use single quotes for plain text)"
            }
            Self::UndefinedVariable { name } => {
                return write!(
                    f,
                    "${{{name}}} is not defined by an earlier line or an earlier source; \
                     the process environment is not looked at \
                     (write \\${{ or use single quotes for plain text)"
                );
            }
            Self::CommandSubstitution => {
                "`$(`: commands run only with --allow-commands; give that, or use single quotes for \
                 plain text, or pass the command's output with --secret KEY=fd:N"
            }
            Self::UnterminatedCommand => "`$(` without `)`; close it",
            Self::EmptyCommand => "an empty command; name a program",
            Self::CommandNeedsShell => {
                "this command needs a shell, and none is used: no variables, pipes, redirections or \
                 patterns; put it into a script and name that"
            }
            Self::CommandNotStarted { program, reason } => {
                return write!(f, "cannot start `{}`: {reason}", program.escape_debug());
            }
            Self::CommandFailed { program } => {
                return write!(f, "`{}` failed; its own messages are above", program.escape_debug());
            }
            Self::CommandOutput { program } => {
                return write!(
                    f,
                    "what `{}` wrote cannot be a value: at most {} bytes of UTF-8 without NUL",
                    program.escape_debug(),
                    crate::dialect::command::MAX_OUTPUT
                );
            }
            Self::ImpossibleName => "no variable can have this name; it must not hold `=` and not be empty",
            Self::KeyCharacter => {
                "a character that a key cannot have here; keys have letters, digits and `_`, `.`, `-`, `[`, `]`"
            }
            Self::BlankInKey => "a blank inside a key; write KEY=value",
            Self::ExportUnset { name } => {
                return write!(f, "`export {name}`, but {name} has no value; set it on a line before");
            }
            Self::RequiredVariable { name } => {
                return write!(
                    f,
                    "{name} is required here and has no value; set it on a line before or in an earlier source"
                );
            }
            Self::InvalidTemplate => "not a variable; write ${NAME}, or $$ for a plain dollar",
            Self::EndlessExpansion => {
                "expanding this value never ends, as it comes back to itself; \
                 write \\$ or use single quotes for plain text"
            }
            Self::NotAnAssignment => {
                "not an assignment; only NAME=value and `export` are read here, commands are not run"
            }
            Self::Tilde => "an unquoted `~` stands for a home directory; put it in quotes or write the path",
            Self::ShellParameter => "this depends on the shell's own process; write \\$ for a plain dollar",
            Self::Arithmetic => "`$((`: there is no arithmetic here; write the number",
            Self::DollarQuote => "`$` before a quote means different things to different shells; write \\$",
            Self::ShellExpansion => {
                "an expansion that is not done here; there are ${NAME} and :- - := = :? ? :+ + with a word"
            }
            Self::NestedQuotes => {
                "a double quote inside \"${…}\" means different things to different shells; leave it out"
            }
        };
        f.write_str(text)
    }
}

/// An env file does not follow the grammar.
///
/// `Display` reads `LINE:COLUMN: KEY: what is wrong; what to do`, so that a
/// path and a colon can be put in front. It holds no text of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    position: Position,
    key: Option<String>,
    problem: Problem,
}

impl SyntaxError {
    /// An error in the value of `key`, or outside a value if that is `None`.
    pub(crate) fn new(position: Position, key: Option<&str>, problem: Problem) -> Self {
        Self { position, key: key.map(str::to_owned), problem }
    }

    /// Where it is.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// The key whose value it is in.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What is wrong.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: {key}: {}", self.position, self.problem),
            None => write!(f, "{}: {}", self.position, self.problem),
        }
    }
}

impl std::error::Error for SyntaxError {}
