//! `envward completions` and `envward man`: what clap knows of the command line, for shells and as
//! manual pages. Both come from the same description as `--help`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use envward_policy::{Mechanism, Mode};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output;

/// Print the completions of a shell, to be put where it looks for them
///
/// bash: /usr/share/bash-completion/completions/envward; zsh: _envward in a directory of its fpath;
/// fish: ~/.config/fish/completions/envward.fish.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// bash, zsh or fish
    #[arg(value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

/// Write the manual pages into a directory
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The directory, which has to be there
    directory: PathBuf,
}

/// Arguments that are no options, which are left out for fish.
const FISH_ARGUMENTS: &[u8] =
    b"complete -c envward -n \"__fish_envward_using_subcommand completions\" -f -a \"bash zsh fish\"
complete -c envward -n \"__fish_envward_using_subcommand status\" -f -a \"(__fish_complete_pids)\"
complete -c envward -n \"__fish_envward_using_subcommand run\" -a \"(__fish_complete_subcommand)\"
";

/// Prints completions.
pub(crate) fn run(arguments: &Completions) -> Result<u8, Failure> {
    let shell = match arguments.shell.as_str() {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        _ => Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "envward", &mut script);
    if shell == Shell::Fish {
        script.extend_from_slice(FISH_ARGUMENTS);
    }
    output::result(&String::from_utf8_lossy(&script))
        .map_err(|error| Failure::new(Failure::NEGATIVE, format!("cannot write: {error}")))?;
    Ok(0)
}

/// Writes manual pages.
pub(crate) fn write_manual(arguments: &Man) -> Result<u8, Failure> {
    clap_mangen::generate_to(command(), &arguments.directory).map_err(|error| {
        Failure::new(Failure::NEGATIVE, format!("cannot write into {}: {error}", arguments.directory.display()))
    })?;
    Ok(0)
}

/// The command line with the values that options of `run` and others take: they are checked where
/// they are used, with messages of their own, but a shell wants to know them.
fn command() -> Command {
    let mechanisms = || values(Mechanism::ALL.iter().map(|mechanism| mechanism.name()).chain(["all"]));
    let confidences = || ["high", "medium", "low"].into_iter();
    Arguments::command()
        .mut_subcommand("run", |run| {
            run.mut_arg("mode", |arg| arg.value_parser(values(Mode::ALL.iter().map(|mode| mode.name()))))
                .mut_arg("tier", |arg| arg.value_parser(values(["injected", "preload"].into_iter())))
                .mut_arg("require", |arg| arg.value_parser(mechanisms()))
                .mut_arg("best_effort", |arg| arg.value_parser(mechanisms()))
                .mut_arg("command", |arg| arg.value_hint(clap::ValueHint::CommandWithArguments))
        })
        .mut_subcommand("scan", |scan| {
            scan.mut_arg("fail_on", |arg| arg.value_parser(values(confidences().chain(["never"]))))
                .mut_arg("show", |arg| arg.value_parser(values(confidences())))
        })
}

fn values(names: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(names)
}
