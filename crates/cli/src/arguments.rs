//! The command line, as typed. The doc comments are the help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, FromArgMatches as _, Parser};

pub(crate) use crate::check::Check;
pub(crate) use crate::env::Env;

use crate::completions::{Completions, Man};
use crate::doctor::Doctor;
use crate::scan::Scan;

/// Run a program with secrets in its environment that no /proc ever shows
#[derive(Debug, Parser)]
#[command(name = "envward", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    Run(Box<Run>),
    Status(Status),
    Check(Check),
    Env(Env),
    Doctor(Doctor),
    Scan(Scan),
    Completions(Completions),
    Man(Man),
    Agent(crate::agent::Agent),
    Recipes(crate::agent::Recipes),
    Watch(crate::agent::Watch),
    #[command(flatten)]
    Store(crate::store::Command),
}

/// Run a program with secrets in its environment
///
/// The program and everything that it starts find the variables where they always did;
/// /proc/PID/environ of no process among them holds one. Exit status: the program's own; 125
/// when envward fails, 126 when the program cannot be executed, 127 when it is not found.
#[derive(Debug, Default, Args)]
pub(crate) struct Run {
    /// Take variables from a dotenv file; may be given several times, later files win
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// The dialect of the env files: dotenvy (the default), dotenv, dotenv-expand, dotenvx, node,
    /// ruby, python, compose or shell
    #[arg(long, value_name = "DIALECT")]
    pub(crate) dialect: Option<String>,
    /// Run what stands in $(…) in env files, without a shell; it is an error otherwise
    #[arg(long)]
    pub(crate) allow_commands: bool,
    /// Take one variable from file:PATH, fd:N or stdin; wins over env files
    #[arg(long, value_name = "NAME=REF")]
    pub(crate) secret: Vec<OsString>,
    /// Take one variable out of envward's own environment, and wipe it there
    #[arg(long, value_name = "NAME")]
    pub(crate) from_env: Vec<OsString>,
    /// Give a secret only to programs whose executable's path matches; `*` matches `/` too
    #[arg(long, value_name = "NAME=GLOB")]
    pub(crate) only: Vec<OsString>,
    /// Do not give a secret to programs whose executable's path matches
    #[arg(long, value_name = "NAME=GLOB")]
    pub(crate) deny: Vec<OsString>,
    /// Require a mode: full (needs CAP_SYS_PTRACE), supervised or sealed; without this the
    /// strongest possible one of full and supervised
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<String>,
    /// How the secrets get into the program: injected (the default), or preload for where ptrace
    /// is not to be had: dynamic programs take them over through libenvward.so
    #[arg(long, value_name = "TIER")]
    pub(crate) tier: Option<String>,
    /// Do not start without this mechanism, or `all`
    #[arg(long, value_name = "MECHANISM")]
    pub(crate) require: Vec<String>,
    /// Start without this mechanism, or `all`, if it cannot be had, and say so
    #[arg(long, value_name = "MECHANISM")]
    pub(crate) best_effort: Vec<String>,
    /// Replace secrets in the program's standard output and error by `[redacted NAME]`: values
    /// as they are and in base64, hexadecimal, URL and JSON encoding. A net for accidents, which
    /// a program that wants to can evade: not caught are other encodings, compression and
    /// encryption, values that are cut up or changed (colours, line breaks, capitals), values
    /// of fewer than 6 bytes, and what goes into files, sockets or another terminal
    #[arg(long)]
    pub(crate) redact: bool,
    /// Let the program write no core files (RLIMIT_CORE 0)
    #[arg(long)]
    pub(crate) no_core: bool,
    /// Read this configuration file instead of ./envward.toml
    #[arg(long, value_name = "FILE", conflicts_with = "no_config")]
    pub(crate) config: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long)]
    pub(crate) no_config: bool,
    /// Take this profile of the configuration file; without this the one that ENVWARD_PROFILE
    /// names, if any
    #[arg(long, value_name = "PROFILE", conflicts_with = "no_config")]
    pub(crate) profile: Option<OsString>,
    /// Pass on nothing of envward's own environment but what --inherit and the configuration
    /// file name
    #[arg(long)]
    pub(crate) pristine: bool,
    /// Pass on these variables of envward's own environment, and none that nobody names; `*`
    /// matches any characters
    #[arg(long, value_name = "GLOB")]
    pub(crate) inherit: Vec<OsString>,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say which protection the program has got, mechanism by mechanism
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Show what protects a running process, as the kernel tells it
///
/// Exit status: 0 when the process has protected secrets, 1 when it has none or cannot be
/// looked at, 2 for a wrong command line.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// The process
    #[arg(value_name = "PID")]
    pub(crate) pid: i32,
}

impl Run {
    /// Reads what follows `run`; `None` where the whole parser has to say something.
    pub(crate) fn parse_alone(arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let arguments: Vec<OsString> = arguments.collect();
        Self::parse_plain(&arguments).or_else(|| Self::parse_described(arguments))
    }

    /// The command line of most starts: options that everybody uses, each a word of its own, and
    /// the program after `--`. To describe all options to the parser takes a twentieth of
    /// `envward run -- true`. `None` for everything else, right or wrong.
    fn parse_plain(arguments: &[OsString]) -> Option<Self> {
        let mut run = Self::default();
        let mut words = arguments.iter();
        loop {
            let word = words.next()?.to_str()?;
            let flag = match word {
                "--" => break,
                "--quiet" | "-q" => &mut run.quiet,
                "--no-config" => &mut run.no_config,
                "--env-file" => {
                    run.env_file.push(value(words.next()?)?.into());
                    continue;
                }
                "--secret" => {
                    run.secret.push(value(words.next()?)?);
                    continue;
                }
                "--from-env" => {
                    run.from_env.push(value(words.next()?)?);
                    continue;
                }
                _ => return None,
            };
            if std::mem::replace(flag, true) {
                return None;
            }
        }
        run.command = words.cloned().collect();
        (!run.command.is_empty()).then_some(run)
    }

    fn parse_described(arguments: Vec<OsString>) -> Option<Self> {
        let command = Self::augment_args(clap::Command::new("run").no_binary_name(true));
        let matches = command.try_get_matches_from(arguments).ok()?;
        Self::from_arg_matches(&matches).ok()
    }
}

/// The value of an option that stands in the next word: not what may be another option.
fn value(word: &OsString) -> Option<OsString> {
    let first = word.as_encoded_bytes().first()?;
    (*first != b'-').then(|| word.clone())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn plain_command_lines_are_read_without_the_parser() {
        let line = words(&[
            "-q",
            "--no-config",
            "--env-file",
            "a",
            "--secret",
            "B=stdin",
            "--from-env",
            "C",
            "--",
            "-d",
            "--",
            "e",
        ]);
        let run = Run::parse_plain(&line).expect("plain");
        assert_eq!(run.command, words(&["-d", "--", "e"]));
        assert_eq!(format!("{run:?}"), format!("{:?}", Run::parse_described(line).expect("right")));
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for line in [
            &["--env-file", "a", "program"][..],
            &["--env-file=a", "--", "program"],
            &["--env-file", "-a", "--", "program"],
            &["--env-file", "", "--", "program"],
            &["--env-file", "--", "program"],
            &["-q", "-q", "--", "program"],
            &["-qv", "--", "program"],
            &["--verbose", "--", "program"],
            &["--"],
            &["-q"],
            &[],
        ] {
            assert!(Run::parse_plain(&words(line)).is_none(), "{line:?}");
        }
    }

    proptest! {
        /// What is read here is what the parser reads.
        #[test]
        fn agrees_with_the_parser(
            options in prop::collection::vec(
                prop::sample::select(vec![
                    "-q", "--quiet", "--no-config", "--env-file", "--secret", "--from-env", "--verbose", "--config",
                    "--", "-", "a", "B=c", "=", "", "é", "--env-file=d", "-x", "--quie", "-qq", "--only", "--redact",
                ]),
                0..8,
            ),
            command in prop::collection::vec(prop::sample::select(vec!["true", "-q", "--", "--env-file", "", "a b"]), 0..4),
        ) {
            let mut line = words(&options);
            line.push("--".into());
            line.extend(words(&command));
            if let Some(plain) = Run::parse_plain(&line) {
                let described = Run::parse_described(line.clone());
                prop_assert_eq!(Some(format!("{plain:?}")), described.map(|run| format!("{run:?}")), "{:?}", line);
            }
        }
    }
}
