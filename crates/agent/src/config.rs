//! The agent's configuration file: whom to protect, whom to trust, what to do. Parsed here and
//! turned into orders for the [`Guard`]; docs/agent.md describes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::flood::Limit;
use crate::guard::{Guard, GuardError};
use crate::layout::{Action, Route, Settings, trust};
use crate::output::Destination;

/// Where it is read from when no other is named.
pub const PLACE: &str = "/etc/envward/agent.toml";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// Whom to protect besides what registers.
    pub protect: Protect,
    /// Whom to trust with what.
    pub trust: Vec<Trust>,
    /// What to do about routes: `off`, `report` or `deny`.
    pub actions: BTreeMap<String, String>,
    /// What makes a sweep.
    pub sweep: Sweep,
    /// A directory with recipes that come before ours.
    pub recipes: Option<PathBuf>,
    /// Where events go, as with `--output`.
    pub outputs: Vec<String>,
    /// How much of the same is told.
    pub flood: FloodControl,
}

/// How much of what the same reader does under the same recipe is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FloodControl {
    /// So many events; 0 for all.
    pub events: u32,
    /// Within so many seconds.
    pub seconds: u32,
}

impl Default for FloodControl {
    fn default() -> Self {
        Self { events: 20, seconds: 10 }
    }
}

/// Whom to protect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Protect {
    /// Directories of cgroups.
    pub cgroups: Vec<PathBuf>,
    /// Executables.
    pub executables: Vec<PathBuf>,
}

/// Who is trusted: exactly one of executable, user and cgroup. With an executable, `uid` says
/// who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// An executable.
    #[serde(default)]
    pub executable: Option<PathBuf>,
    /// A user.
    #[serde(default)]
    pub uid: Option<u32>,
    /// The directory of a cgroup.
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
    /// With what: `read`, `kernel`, `sweep`, `signal`.
    pub with: Vec<String>,
}

/// What makes a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sweep {
    /// So many processes; 0 for never.
    pub targets: u32,
    /// Within so many seconds.
    pub seconds: u32,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { targets: 10, seconds: 10 }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No TOML, or a key that is unknown or of the wrong kind.
    #[error("{}", .0.to_string().trim_end())]
    Syntax(#[from] Box<toml::de::Error>),
    /// A route, an action or a trust that does not exist.
    #[error("{place}: there is no `{found}`; there are {known}")]
    Unknown {
        /// The key.
        place: &'static str,
        /// What stands there.
        found: String,
        /// What could.
        known: String,
    },
    /// An output that does not exist, or that cannot go there.
    #[error("outputs: {0}")]
    Output(String),
    /// Somebody who is nobody.
    #[error("trust: name an executable, a uid, both, or a cgroup")]
    Nobody,
}

impl Config {
    /// Reads the file's text.
    ///
    /// # Errors
    /// See [`ConfigError`]: everything in it is checked before anything is done.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(Box::new)?;
        config.settings(false)?;
        config.destinations()?;
        for trust in &config.trust {
            trust.bits()?;
            match (&trust.executable, trust.uid, &trust.cgroup) {
                (Some(_), _, None) | (None, Some(_), None) | (None, None, Some(_)) => {}
                _ => return Err(ConfigError::Nobody),
            }
        }
        Ok(config)
    }

    /// What is done about each route; with `strict`, everything is refused that the file does
    /// not speak of.
    ///
    /// # Errors
    /// Names that do not exist.
    pub fn settings(&self, strict: bool) -> Result<Settings, ConfigError> {
        let mut settings = if strict { Settings::all(Action::Deny) } else { Settings::usual() };
        for (route, action) in &self.actions {
            let route = Route::from_name(route)
                .ok_or_else(|| unknown("actions", route, Route::ALL.iter().map(|route| route.name())))?;
            let action = Action::from_name(action)
                .ok_or_else(|| unknown("actions", action, Action::ALL.iter().map(|action| action.name())))?;
            settings.set(route, action);
        }
        settings.sweep_targets = self.sweep.targets;
        settings.sweep_window_ns = u64::from(self.sweep.seconds) * 1_000_000_000;
        Ok(settings)
    }

    /// Where events go.
    ///
    /// # Errors
    /// Outputs that do not exist.
    pub fn destinations(&self) -> Result<Vec<Destination>, ConfigError> {
        self.outputs.iter().map(|text| text.parse().map_err(ConfigError::Output)).collect()
    }

    /// How much of the same is told.
    #[must_use]
    pub fn limit(&self) -> Limit {
        Limit { events: self.flood.events, window: Duration::from_secs(self.flood.seconds.into()) }
    }

    /// Gives the orders.
    ///
    /// # Errors
    /// When somebody in it does not exist.
    pub fn apply(&self, guard: &mut Guard) -> Result<(), GuardError> {
        for directory in &self.protect.cgroups {
            guard.protect_cgroup(directory)?;
        }
        for path in &self.protect.executables {
            guard.protect_exe(path)?;
        }
        for trust in &self.trust {
            let bits = trust.bits().unwrap_or(0);
            match (&trust.executable, trust.uid, &trust.cgroup) {
                (Some(path), uid, _) => guard.trust_exe(path, uid, bits)?,
                (None, Some(uid), _) => guard.trust_uid(uid, bits)?,
                (None, None, Some(directory)) => guard.trust_cgroup(directory, bits)?,
                (None, None, None) => {}
            }
        }
        Ok(())
    }
}

impl Trust {
    fn bits(&self) -> Result<u32, ConfigError> {
        const NAMES: [(&str, u32); 4] =
            [("read", trust::READ), ("kernel", trust::KERNEL), ("sweep", trust::SWEEP), ("signal", trust::SIGNAL)];
        self.with.iter().try_fold(0, |bits, word| {
            let found = NAMES.iter().find(|(name, _)| name == word);
            let (_, bit) = found.ok_or_else(|| unknown("trust.with", word, NAMES.iter().map(|(name, _)| *name)))?;
            Ok(bits | bit)
        })
    }
}

fn unknown(place: &'static str, found: &str, known: impl Iterator<Item = &'static str>) -> ConfigError {
    ConfigError::Unknown { place, found: found.to_owned(), known: known.collect::<Vec<_>>().join(", ") }
}

/// Programs that look at every environment by design, where they usually are: trusted with
/// sweeps, nothing else.
pub const SWEEPERS: &[&str] = &["/usr/bin/ps", "/usr/bin/pgrep", "/usr/bin/top", "/usr/bin/htop", "/usr/bin/lsof"];

/// The service manager, which signals what it manages, and loads programs for device rules.
pub const SERVICE_MANAGERS: &[&str] = &["/usr/lib/systemd/systemd"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_can_be_said() {
        let config = Config::parse(
            "recipes = '/etc/envward/recipes.d'\noutputs = ['journald', 'json=/var/log/e']\n\
             [flood]\nevents = 7\nseconds = 3\n\
             [protect]\ncgroups = ['/sys/fs/cgroup/app.slice']\nexecutables = ['/opt/runner/Runner.Worker']\n\
             [actions]\nmodule = 'deny'\nkcmp = 'off'\n[sweep]\ntargets = 5\nseconds = 2\n\
             [[trust]]\nexecutable = '/usr/bin/gdb'\nuid = 0\nwith = ['read', 'signal']\n\
             [[trust]]\nuid = 7\nwith = ['sweep']\n[[trust]]\ncgroup = '/sys/fs/cgroup/m'\nwith = ['kernel']\n",
        )
        .unwrap();
        let settings = config.settings(false).unwrap();
        assert_eq!(settings.action(Route::Module), Action::Deny);
        assert_eq!(settings.action(Route::Kcmp), Action::Off);
        assert_eq!(settings.action(Route::Signal), Action::Report);
        assert_eq!(settings.action(Route::Environ), Action::Deny);
        assert_eq!((settings.sweep_targets, settings.sweep_window_ns), (5, 2_000_000_000));
        assert_eq!(config.settings(true).unwrap().action(Route::Signal), Action::Deny);
        assert_eq!(config.destinations().unwrap()[1].to_string(), "json=/var/log/e");
        assert_eq!(config.limit(), Limit { events: 7, window: Duration::from_secs(3) });
        assert_eq!(config.trust[0].bits().unwrap(), trust::READ | trust::SIGNAL);
    }

    #[test]
    fn nothing_is_the_usual() {
        assert_eq!(Config::parse("").unwrap().settings(false).unwrap(), Settings::usual());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("protekt = 1", "unknown field `protekt`"),
            ("[protect]\npids = [1]", "unknown field `pids`"),
            ("[actions]\nenviron = 'allow'", "actions: there is no `allow`; there are off, report, deny"),
            ("[actions]\nenvirons = 'deny'", "actions: there is no `environs`; there are environ,"),
            ("[[trust]]\nuid = 1\nwith = ['all']", "trust.with: there is no `all`; there are read,"),
            ("[[trust]]\nwith = ['read']", "name an executable"),
            ("[[trust]]\nuid = 1\ncgroup = '/c'\nwith = ['read']", "name an executable"),
            ("[[trust]]\nuid = 1", "missing field `with`"),
            ("[sweep]\ntargets = -1", "invalid value"),
            ("outputs = ['xml']", "outputs: there is no output `xml`; there are json,"),
            ("outputs = ['prometheus=0.0.0.0:9477']", "0.0.0.0 is not a loopback address"),
            ("[flood]\nevent = 1", "unknown field `event`"),
            ("[", "TOML parse error"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
