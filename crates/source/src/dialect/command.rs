//! `$(command)`, when it was allowed: a program with arguments, without a shell.

use std::io;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use envward_secret::SecretBuf;

use crate::dotenv::Problem;

/// The most that a command may write, in bytes.
pub const MAX_OUTPUT: usize = 64 * 1024;

/// What runs the commands of a file.
pub(crate) trait Commands {
    /// Runs a command and appends what it writes to its standard output, without the line
    /// breaks at the end.
    fn run(&mut self, command: &str, output: &mut SecretBuf) -> Result<(), Problem>;
}

/// Starts programs directly, found in `PATH`, with envward's own environment and no standard
/// input.
#[derive(Debug, Default)]
pub(crate) struct Programs;

impl Commands for Programs {
    fn run(&mut self, command: &str, output: &mut SecretBuf) -> Result<(), Problem> {
        let words = words(command)?;
        let [program, arguments @ ..] = words.as_slice() else {
            return Err(Problem::EmptyCommand);
        };
        let not_started =
            |error: io::Error| Problem::CommandNotStarted { program: program.clone(), reason: error.to_string() };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let written = child.stdout.take().map_or(Ok(()), |pipe| read(pipe, output));
        if written.is_err() {
            // It may write for ever.
            let _ = child.kill();
        }
        let status = child.wait().map_err(not_started)?;
        written.map_err(|()| Problem::CommandOutput { program: program.clone() })?;
        if status.success() { Ok(()) } else { Err(Problem::CommandFailed { program: program.clone() }) }
    }
}

/// Appends everything up to the end of the pipe, of which the kernel writes every byte into
/// protected memory.
fn read(pipe: impl AsFd, output: &mut SecretBuf) -> Result<(), ()> {
    let start = output.len();
    output.read_at_most(pipe.as_fd(), MAX_OUTPUT).map_err(|_| ())?;
    let text = &output.as_slice()[start..];
    if text.contains(&0) || str::from_utf8(text).is_err() {
        return Err(());
    }
    let end = text.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    output.truncate(start + end);
    Ok(())
}

/// Splits a command at blanks. Quotes keep blanks together, and a backslash takes what follows as
/// it is; in single quotes nothing is special.
///
/// # Errors
///
/// [`Problem::CommandNeedsShell`] for what only a shell does: variables, substitutions, pipes,
/// redirections, lists, patterns and unclosed quotes.
fn words(command: &str) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = command.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, '\\') => word.get_or_insert_default().push(characters.next().ok_or(Problem::CommandNeedsShell)?),
            (_, '$' | '`') => return Err(Problem::CommandNeedsShell),
            (None, ' ' | '\t' | '\n') => words.extend(word.take()),
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[') => {
                return Err(Problem::CommandNeedsShell);
            }
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(Problem::CommandNeedsShell);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use envward_secret::Backing;

    use super::*;

    fn output_of(command: &str) -> Result<Vec<u8>, Problem> {
        let mut output = SecretBuf::new(Backing::MemfdSecret, 1 << 20).unwrap();
        output.push(b"before").unwrap();
        Programs.run(command, &mut output)?;
        Ok(output.as_slice().strip_prefix(b"before").unwrap().to_vec())
    }

    #[test]
    fn a_command_is_split_without_a_shell() {
        let shown = |command| output_of(command).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(shown("printf %s- a  'b c' \"d'e\" f\\ g ''").unwrap(), "a-b c-d'e-f g--");
        assert_eq!(shown("printf 'x\\n\\n'").unwrap(), "x");
        assert_eq!(shown("true").unwrap(), "");
    }

    #[test]
    fn what_needs_a_shell_is_told() {
        for command in ["a | b", "a $B", "a `b`", "a > b", "a; b", "a & b", "ls *", "a 'b", "a \"$B\"", "a \\"] {
            assert_eq!(output_of(command), Err(Problem::CommandNeedsShell), "{command}");
        }
        assert_eq!(output_of(" "), Err(Problem::EmptyCommand));
    }

    #[test]
    fn what_goes_wrong_is_told() {
        assert_eq!(output_of("false"), Err(Problem::CommandFailed { program: "false".to_owned() }));
        assert!(matches!(output_of("/nonexistent/program"), Err(Problem::CommandNotStarted { .. })));
        let output = Err(Problem::CommandOutput { program: "yes".to_owned() });
        assert_eq!(output_of("yes"), output);
        assert!(matches!(output_of("printf '\\377'"), Err(Problem::CommandOutput { .. })));
        assert!(matches!(output_of("printf 'a\\0b'"), Err(Problem::CommandOutput { .. })));
    }
}
