//! Finding, reading and choosing from the configuration file.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use envward_policy::Config;
use envward_policy::config::File;

use super::finding::{self, Finding, Kind, Place};
use crate::failure::Failure;

/// The configuration file that is read when there is one.
const CONFIG_FILE: &str = "envward.toml";

/// Names a profile for whoever does not give `--profile`.
const VARIABLE: &str = "ENVWARD_PROFILE";

/// Which file and profile were asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Choice<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) none: bool,
    pub(crate) profile: Option<&'a OsString>,
}

/// What the file says, and which it was.
#[derive(Debug, Default)]
pub(crate) struct Configuration {
    pub(crate) config: Config,
    pub(crate) path: Option<PathBuf>,
}

impl Configuration {
    /// Reads the file that was chosen. Without one nothing is configured.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn read(choice: Choice<'_>) -> Result<Self, Vec<Finding>> {
        if choice.none {
            return Ok(Self::default());
        }
        let path: PathBuf = choice.file.map_or_else(|| PathBuf::from(CONFIG_FILE), Path::to_owned);
        let text =
            match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if choice.file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                    return match Profile::asked(choice) {
                        None => Ok(Self::default()),
                        Some(profile) => Err(vec![profile.finding(
                            format_args!("there is no {CONFIG_FILE} in this directory to take it from"),
                            None,
                        )]),
                    };
                }
                Err(error) => {
                    return Err(vec![Finding::new(Kind::Config, format!("cannot read {}: {error}", path.display()))]);
                }
            };
        let directory = path.parent().unwrap_or(Path::new(""));
        let file = File::parse(&text, directory)
            .map_err(|errors| errors.iter().map(|error| Finding::config(&path, error)).collect::<Vec<_>>())?;
        let profile = Profile::asked(choice);
        let name = profile.as_ref().map(|profile| profile.name.to_string_lossy());
        match file.select(name.as_deref()) {
            Ok(config) => Ok(Self { config, path: Some(path) }),
            Err(error) => Err(profile.map(|profile| profile.finding(error, Some(&path))).into_iter().collect()),
        }
    }
}

/// A profile that was asked for.
struct Profile {
    name: OsString,
    /// How.
    by: &'static str,
}

impl Profile {
    /// An empty name is none, so that a variable can be switched off.
    fn asked(choice: Choice<'_>) -> Option<Self> {
        let by_option = choice.profile.map(|name| Self { name: name.clone(), by: "--profile" });
        let by_variable = || std::env::var_os(VARIABLE).map(|name| Self { name, by: VARIABLE });
        by_option.or_else(by_variable).filter(|profile| !profile.name.is_empty())
    }

    fn finding(&self, why: impl std::fmt::Display, path: Option<&Path>) -> Finding {
        let name = self.name.to_string_lossy();
        let place = path.map(|path| Place { file: path.display().to_string(), line: None, column: None });
        Finding::new(Kind::Profile, format!("no profile `{}` ({}): {why}", name.escape_debug(), self.by)).at(place)
    }
}

/// What the file says without a profile.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn read_config(file: Option<&Path>, none: bool) -> Result<Config, Failure> {
    let choice = Choice { file, none, profile: None };
    Configuration::read(choice).map(|read| read.config).map_err(|findings| finding::failure(&findings))
}
