//! `envward export`.

use std::path::PathBuf;

use clap::Args;
use envward_store::file;
use serde_json::{Map, Value};

use crate::failure::Failure;

use super::{Place, confined, print, require_reveal};

/// Print all secrets as an env file, or write them to one
///
/// At a terminal only with --reveal.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    /// Print them even if standard output is a terminal
    #[arg(long)]
    reveal: bool,
    /// Write a new file that only you can read, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object of names and values instead of an env file
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Export) -> Result<u8, Failure> {
    require_reveal(arguments.reveal || arguments.output.is_some(), "all values")?;
    let located = arguments.place.locate()?;
    confined(located.backing, || {
        let text = located.with_key(|document, key| {
            let (mut text, mut object) = (String::new(), Map::new());
            for record in document.all_current().map_err(|error| located.say(error))? {
                let value = record.open(key).map_err(|error| located.say(error))?;
                let value = String::from_utf8_lossy(&value);
                if arguments.json {
                    object.insert(record.name.to_owned(), Value::String(value.into_owned()));
                } else {
                    text.push_str(&line(record.name, &value));
                }
            }
            Ok(if arguments.json { format!("{}\n", Value::Object(object)) } else { text })
        })?;
        match &arguments.output {
            Some(path) => file::create(path, text.as_bytes(), 0o600)?,
            None => print(text.as_bytes())?,
        }
        Ok(0)
    })
}

/// `NAME=value` in the grammar of env files, so that reading it gives the same value.
pub(super) fn line(name: &str, value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
    let mut line = format!("{name}=");
    if !value.is_empty() && value.bytes().all(is_plain) {
        line.push_str(value);
    } else if !value.contains(['\'', '\r']) {
        line.push('\'');
        line.push_str(value);
        line.push('\'');
    } else {
        line.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' | '$' => line.extend(['\\', c]),
                '\r' => line.push_str("\\r"),
                c => line.push(c),
            }
        }
        line.push('"');
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use envward_source::dotenv::{Parser, Piece};

    use super::*;

    /// What the parser makes of a line.
    fn read_back(text: &str) -> (String, Vec<u8>) {
        let mut parser = Parser::new(text.as_bytes()).unwrap();
        let name = parser.next_key().unwrap().unwrap().name.to_owned();
        let mut value = Vec::new();
        while let Some(piece) = parser.next_piece().unwrap() {
            match piece {
                Piece::Bytes(bytes) => value.extend_from_slice(bytes),
                Piece::Character(c) => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                _ => unreachable!("variables and commands are escaped"),
            }
        }
        assert_eq!(parser.next_key().unwrap(), None);
        (name, value)
    }

    #[test]
    fn every_value_reads_back_as_it_was() {
        for value in [
            "",
            "a",
            "a b",
            " a ",
            "#x",
            "it's",
            "\"q\"",
            "'\"'",
            "$HOME ${x} $(y)",
            "'${x}'",
            "a\nb\n",
            "'\n'",
            "\\",
            "'\\",
            "'\\n",
            "a\r\nb",
            "'\r",
            "''' \"\"\"",
            "\"\"\"",
            "'''",
            "é世",
            "'é",
            "=",
            "\t",
            "'\t",
            "`x`",
            "a\u{feff}",
        ] {
            let (name, read) = read_back(&line("A", value));
            assert_eq!(name, "A");
            assert_eq!(read, value.as_bytes(), "{value:?} as {:?}", line("A", value));
        }
    }
}
