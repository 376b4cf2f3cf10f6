//! `envward agent` and `envward recipes`: another program, so that the launcher stays small.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::failure::Failure;

/// The program.
const NAME: &str = "envward-agent";

/// Deny and report who reads another process's environment or memory
///
/// Starts `envward-agent`, which has its own --help. `--prove` makes the attack of every recipe
/// and shows the event that came back.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Agent {
    /// Arguments of `envward-agent`; `run` without any
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// Show what the agent's events mean and what to do about them: `list`, `show ID`
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Recipes {
    /// Arguments of `envward-agent recipes`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// Run a command under watch and fail when somebody reads secrets: `watch --ci -- COMMAND`
///
/// Starts `envward-agent watch`, which has its own --help. With --ci the exit status is 120 when
/// one of the agent's recipes fired, else the command's own.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Watch {
    /// Arguments of `envward-agent watch`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

/// Becomes the agent.
pub(crate) fn run(arguments: Agent) -> Result<u8, Failure> {
    become_agent(translate(arguments.arguments))
}

/// Becomes the agent that shows recipes.
pub(crate) fn recipes(arguments: Recipes) -> Result<u8, Failure> {
    become_agent([OsString::from("recipes")].into_iter().chain(arguments.arguments).collect())
}

/// Becomes the agent that watches a command.
pub(crate) fn watch(arguments: Watch) -> Result<u8, Failure> {
    let rest = || [OsString::from("watch")].into_iter().chain(arguments.arguments).collect();
    become_agent(own_words("watch", std::env::args_os()).unwrap_or_else(rest))
}

/// The words from the subcommand's name on: what is parsed here has lost its `--`.
fn own_words(name: &str, words: impl Iterator<Item = OsString>) -> Option<Vec<OsString>> {
    let words: Vec<OsString> = words.skip_while(|word| word != name).collect();
    (!words.is_empty()).then_some(words)
}

/// `--prove` is a subcommand there, and none means to run.
fn translate(mut arguments: Vec<OsString>) -> Vec<OsString> {
    match arguments.iter().position(|argument| argument == "--prove") {
        Some(place) => {
            arguments.remove(place);
            arguments.insert(0, "prove".into());
        }
        None if arguments.is_empty() => arguments.push("run".into()),
        None => {}
    }
    arguments
}

fn become_agent(arguments: Vec<OsString>) -> Result<u8, Failure> {
    // Beside this program, as it is built and installed; else wherever programs are.
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(NAME)).filter(|path| path.is_file());
    let program = beside.unwrap_or_else(|| PathBuf::from(NAME));
    let error = Command::new(&program).args(arguments).exec();
    let failure = Failure::new(Failure::NEGATIVE, format_args!("cannot start {}: {error}", program.display()));
    Err(if error.kind() == io::ErrorKind::NotFound {
        failure.hint(format_args!("the agent is a program of its own; install {NAME} beside envward"))
    } else {
        failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_subcommands() {
        let translated = |words: &[&str]| translate(words.iter().map(OsString::from).collect());
        assert_eq!(translated(&[]), ["run"]);
        assert_eq!(translated(&["--prove", "--json"]), ["prove", "--json"]);
        assert_eq!(translated(&["--strict", "--prove"]), ["prove", "--strict"]);
        assert_eq!(translated(&["run", "--strict"]), ["run", "--strict"]);
        let words = ["envward", "watch", "--ci", "--", "make", "watch"].map(OsString::from);
        assert_eq!(own_words("watch", words.into_iter()).unwrap(), ["watch", "--ci", "--", "make", "watch"]);
    }
}
