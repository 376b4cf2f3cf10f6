//! From the tables of a configuration file to layers.
//!
//! The tables are read by hand rather than by `serde`, whose messages quote the text that they
//! do not like, and that text may be a secret that somebody put there by mistake.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem, Shown};
use super::keys;
use super::layer::{Draft, Layer, Profile};
use crate::dialect::Dialect;
use crate::inherit::NamePattern;
use crate::kind::{KIND_NAMES, Kind, Pattern};
use crate::mechanism::{Requirements, Selection};
use crate::reference::{Reference, variable_name};
use crate::rules::{Rule, RuleError};

type Value<'a> = Spanned<DeValue<'a>>;

/// A string and where it stands.
type Text<'a> = (&'a str, Range<usize>);

/// A key and where it stands.
#[derive(Clone)]
struct Key<'a> {
    name: &'a str,
    span: Range<usize>,
}

/// Reads what it can and notes everything that is wrong.
pub(super) struct Reader<'a> {
    text: &'a str,
    directory: &'a Path,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, directory: &'a Path) -> Self {
        Self { text, directory, errors: RefCell::default() }
    }

    /// What was wrong, in the order of the file.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| (error.line, error.column));
        errors
    }

    /// A path of the file as it stands there.
    pub(super) fn as_written(&self, path: &Path) -> String {
        path.strip_prefix(self.directory).unwrap_or(path).display().to_string()
    }

    pub(super) fn file(&self) -> (Layer, Vec<Profile>) {
        let (mut base, mut profiles) = (Layer::default(), Vec::new());
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(self.text.len()..self.text.len());
            self.note(&span, Shown::Nothing, Problem::Syntax(error.message().to_owned()));
        }
        // What is behind a mistake in the syntax may be anything.
        if errors.is_empty() {
            self.each(document.get_ref(), |key, value| match key.name {
                "profiles" => self.each_of(&key, value, |key, value| profiles.extend(self.profile(&key, value))),
                _ if self.table_of_layer(&mut base, &key, value) => {}
                _ => self.unknown(&key, "the file".to_owned(), keys::FILE),
            });
        }
        (base, profiles)
    }

    fn profile(&self, key: &Key<'_>, value: &Value<'_>) -> Option<Profile> {
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if key.name.is_empty() || !key.name.bytes().all(may_stand) {
            self.note(&key.span, Shown::Nothing, Problem::ProfileName);
            return None;
        }
        let (name, span) = (key.name.to_owned(), key.span.clone());
        let mut profile = Profile { name, span, extends: None, layer: Layer::default() };
        self.each_of(key, value, |key, value| match key.name {
            "extends" => {
                if let Some(name) = self.string(&key, value) {
                    profile.extends = Some((name.to_owned(), value.span()));
                }
            }
            _ if self.table_of_layer(&mut profile.layer, &key, value) => {}
            _ => self.unknown(&key, format!("[profiles.{}]", profile.name), keys::PROFILE),
        });
        Some(profile)
    }

    /// Reads a table that stands at the top of the file and in profiles; false if it is none.
    fn table_of_layer(&self, layer: &mut Layer, key: &Key<'_>, value: &Value<'_>) -> bool {
        match key.name {
            "run" => self.run(layer, key, value),
            "store" => self.store(layer, key, value),
            "inherit" => self.inherit(layer, key, value),
            "variables" => self.variables(layer, key, value, false),
            "secrets" => self.variables(layer, key, value, true),
            _ => return false,
        }
        true
    }

    fn run(&self, layer: &mut Layer, key: &Key<'_>, value: &Value<'_>) {
        let mut best_effort_span = key.span.clone();
        self.each_of(key, value, |key, value| match key.name {
            "env-files" => {
                for (path, span) in self.strings(&key, value).unwrap_or_default() {
                    if path.is_empty() {
                        self.note(&span, Shown::ValueOf(key.name.to_owned()), Problem::EmptyPath);
                    }
                    layer.env_files.push(self.directory.join(path));
                }
            }
            "dialect" => layer.dialect = self.dialect(&key, value),
            "dialects" => self.each_of(&key, value, |key, value| {
                if let Some(dialect) = self.dialect(&key, value) {
                    layer.dialects.push((self.directory.join(key.name), dialect, key.span.clone()));
                }
            }),
            "mode" => {
                if let Some(name) = self.string(&key, value) {
                    layer.mode = self.noted(&key, &value.span(), name.parse().map_err(Problem::Mode));
                }
            }
            "require" => layer.require = self.selections(&key, value),
            "best-effort" => {
                best_effort_span = value.span();
                layer.best_effort = self.selections(&key, value);
            }
            _ => self.unknown(&key, "[run]".to_owned(), keys::RUN),
        });
        if let Err(conflict) = Requirements::default().apply(&layer.require, &layer.best_effort) {
            let shown = Shown::ValueOf("best-effort".to_owned());
            self.note(&best_effort_span, shown, Problem::Conflict(conflict));
        }
    }

    fn dialect(&self, key: &Key<'_>, value: &Value<'_>) -> Option<Dialect> {
        let name = self.string(key, value)?;
        self.noted(key, &value.span(), name.parse().map_err(Problem::Dialect))
    }

    fn store(&self, layer: &mut Layer, key: &Key<'_>, value: &Value<'_>) {
        let section = layer.store.get_or_insert_default();
        self.each_of(key, value, |key, value| {
            let place = match key.name {
                "path" => &mut section.path,
                "identity" => &mut section.identity,
                _ => return self.unknown(&key, "[store]".to_owned(), keys::STORE),
            };
            let Some(path) = self.string(&key, value) else { return };
            if path.is_empty() {
                self.note(&value.span(), Shown::ValueOf(key.name.to_owned()), Problem::EmptyPath);
            }
            // Relative to where the file is, or to the home directory.
            let at_home = path.starts_with("~/");
            *place = Some(if at_home { PathBuf::from(path) } else { self.directory.join(path) });
        });
    }

    fn inherit(&self, layer: &mut Layer, key: &Key<'_>, value: &Value<'_>) {
        self.each_of(key, value, |key, value| {
            let list = match key.name {
                "allow" => &mut layer.allow,
                "deny" => &mut layer.deny,
                _ => return self.unknown(&key, "[inherit]".to_owned(), keys::INHERIT),
            };
            let compile = |(text, span): Text<'_>| {
                self.noted(&key, &span, NamePattern::compile(text.as_bytes()).map_err(Problem::NameGlob))
            };
            *list = self.strings(&key, value).map(|texts| texts.into_iter().filter_map(compile).collect());
        });
    }

    fn variables(&self, layer: &mut Layer, key: &Key<'_>, value: &Value<'_>, secret: bool) {
        self.each_of(key, value, |key, value| {
            let DeValue::Table(table) = value.get_ref() else {
                return self.note_key(&key, Problem::VariableIsNoTable { secret });
            };
            let Some(name) = self.nameless(&key, variable_name(OsStr::new(key.name)).map_err(Problem::Reference))
            else {
                return;
            };
            let draft = self.variable(name, &key, table, secret);
            if layer.variables.iter().any(|other| other.name == draft.name) {
                return self.note_key(&key, Problem::DeclaredTwice { name: draft.name });
            }
            layer.variables.push(draft);
        });
    }

    fn variable(&self, name: String, key: &Key<'_>, table: &DeTable<'_>, secret: bool) -> Draft {
        let mut draft = Draft::new(name, self.line(key.span.start), key.span.clone());
        if secret {
            draft.secret = Some((true, key.span.clone()));
        }
        let (mut kind, mut values, mut pattern) = (None, None, None);
        self.each(table, |key, value| match key.name {
            "source" => draft.source = self.reference(&key, value),
            "required" => draft.required = self.boolean(&key, value).map(|yes| (yes, value.span())),
            "type" => kind = self.string(&key, value).map(|name| (name, value.span())),
            "values" => values = self.strings(&key, value).map(|values| (values, value.span())),
            "pattern" => {
                pattern = self.string(&key, value).map(|text| {
                    let pattern = Pattern::new(text).map_err(Problem::Pattern);
                    (self.noted(&key, &value.span(), pattern), value.span())
                });
            }
            "default" if !secret => draft.default = self.default(&key, value).map(|text| (text, value.span())),
            "default" => self.note_key(&key, Problem::SecretDefault { name: draft.name.clone() }),
            "secret" if secret => self.note_key(&key, Problem::SecretByTable),
            "secret" => draft.secret = self.boolean(&key, value).map(|yes| (yes, value.span())),
            "only" => draft.only = self.rules(&draft.name, &key, value, Rule::only),
            "deny" => draft.deny = self.rules(&draft.name, &key, value, Rule::deny),
            "description" => draft.description = self.string(&key, value).map(str::to_owned),
            "value" => self.note_key(&key, Problem::ValueInFile),
            _ if secret => self.unknown(&key, "a secret".to_owned(), keys::SECRET),
            _ => self.unknown(&key, "a variable".to_owned(), keys::VARIABLE),
        });
        draft.kind = self.kind(kind, values, pattern);
        if let (Some((true, span)), Some(_)) = (&draft.required, &draft.default) {
            let shown = Shown::ValueOf("required".to_owned());
            self.note(span, shown, Problem::RequiredDefault { name: draft.name.clone() });
        }
        draft
    }

    /// Puts the type together with what belongs to it.
    fn kind(
        &self,
        kind: Option<Text<'_>>,
        values: Option<(Vec<Text<'_>>, Range<usize>)>,
        pattern: Option<(Option<Pattern>, Range<usize>)>,
    ) -> Option<Kind> {
        let name = kind.as_ref().map(|(name, _)| *name);
        if let Some((_, span)) = values.as_ref().filter(|_| name != Some("enum")) {
            let problem = Problem::BelongsTo { key: "values", kind: "enum" };
            self.note(span, Shown::ValueOf("values".to_owned()), problem);
        }
        if let Some((_, span)) = pattern.as_ref().filter(|_| name != Some("regex")) {
            let problem = Problem::BelongsTo { key: "pattern", kind: "regex" };
            self.note(span, Shown::ValueOf("pattern".to_owned()), problem);
        }
        let (name, span) = kind?;
        let shown = || Shown::ValueOf("type".to_owned());
        match (name, values, pattern) {
            ("enum", Some((values, span)), _) => {
                if values.is_empty() {
                    self.note(&span, Shown::ValueOf("values".to_owned()), Problem::NoValues);
                }
                Some(Kind::Enum(values.into_iter().map(|(value, _)| value.to_owned()).collect()))
            }
            ("enum", None, _) => {
                self.note(&span, shown(), Problem::Needs { kind: "enum", key: "values" });
                None
            }
            ("regex", _, Some((pattern, _))) => pattern.map(Kind::Regex),
            ("regex", _, None) => {
                self.note(&span, shown(), Problem::Needs { kind: "regex", key: "pattern" });
                None
            }
            (name, ..) => {
                let kind = Kind::simple(name);
                if kind.is_none() {
                    let near = keys::nearest(name, KIND_NAMES.into_iter());
                    self.note(&span, shown(), Problem::UnknownKind { near });
                }
                kind
            }
        }
    }

    fn reference(&self, key: &Key<'_>, value: &Value<'_>) -> Option<Reference> {
        let text = self.string(key, value)?;
        let reference = Reference::parse(OsStr::new(text)).map_err(Problem::Reference);
        Some(match self.noted(key, &value.span(), reference)? {
            Reference::File(path) => Reference::File(self.directory.join(path)),
            other => other,
        })
    }

    fn rules(
        &self,
        name: &str,
        key: &Key<'_>,
        value: &Value<'_>,
        make: fn(&str, &[u8]) -> Result<Rule, RuleError>,
    ) -> Option<(Vec<Rule>, Range<usize>)> {
        let globs = self.strings(key, value)?;
        if globs.is_empty() && key.name == "only" {
            self.note(&value.span(), Shown::ValueOf(key.name.to_owned()), Problem::OnlyNothing);
        }
        let rule = |(glob, span): Text<'_>| self.noted(key, &span, make(name, glob.as_bytes()).map_err(Problem::Rule));
        Some((globs.into_iter().filter_map(rule).collect(), value.span()))
    }

    /// A default is text, or what TOML writes without quotes.
    fn default(&self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let number = |text: &str| {
            let plain = Kind::Float.check(text.as_bytes()).is_ok().then(|| text.to_owned());
            self.noted(key, &value.span(), plain.ok_or(Problem::DefaultNumber))
        };
        match value.get_ref() {
            DeValue::String(text) if text.contains('\0') => self.noted(key, &value.span(), Err(Problem::DefaultNul)),
            DeValue::String(text) => Some(text.clone().into_owned()),
            DeValue::Boolean(truth) => Some(truth.to_string()),
            DeValue::Integer(integer) if integer.radix() == 10 => number(integer.as_str()),
            DeValue::Integer(_) => number(""),
            DeValue::Float(float) => number(float.as_str()),
            _ => {
                self.wrong_type(key, value, "a string, a number or a boolean");
                None
            }
        }
    }

    fn each_of<'t>(&self, key: &Key<'_>, value: &'t Value<'t>, read: impl FnMut(Key<'t>, &'t Value<'t>)) {
        match value.get_ref() {
            DeValue::Table(table) => self.each(table, read),
            _ => self.wrong_type(key, value, "a table"),
        }
    }

    /// Calls `read` for every key, in the order of the file.
    #[expect(clippy::unused_self, reason = "beside each_of")]
    fn each<'t>(&self, table: &'t DeTable<'_>, mut read: impl FnMut(Key<'t>, &'t Value<'t>)) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let span = key.span();
            read(Key { name: key.get_ref().as_ref(), span }, value);
        }
    }

    fn string<'t>(&self, key: &Key<'_>, value: &'t Value<'t>) -> Option<&'t str> {
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type(key, value, "a string");
                None
            }
        }
    }

    fn boolean(&self, key: &Key<'_>, value: &Value<'_>) -> Option<bool> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(*truth),
            _ => {
                self.wrong_type(key, value, "true or false");
                None
            }
        }
    }

    fn strings<'t>(&self, key: &Key<'_>, value: &'t Value<'t>) -> Option<Vec<Text<'t>>> {
        const EXPECTED: &str = "an array of strings";
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key, value, EXPECTED);
            return None;
        };
        let text = |value: &'t Value<'t>| match value.get_ref() {
            DeValue::String(text) => Some((text.as_ref(), value.span())),
            _ => {
                self.wrong_type(key, value, EXPECTED);
                None
            }
        };
        Some(array.iter().filter_map(text).collect())
    }

    /// An array of names, or the string "all".
    fn selections(&self, key: &Key<'_>, value: &Value<'_>) -> Vec<Selection> {
        let names = match value.get_ref() {
            DeValue::String(name) => vec![(name.as_ref(), value.span())],
            _ => self.strings(key, value).unwrap_or_default(),
        };
        let selection = |(name, span): Text<'_>| self.noted(key, &span, name.parse().map_err(Problem::Mechanism));
        names.into_iter().filter_map(selection).collect()
    }

    fn unknown(&self, key: &Key<'_>, place: String, known: &'static [&'static str]) {
        self.note_key(key, Problem::UnknownKey { name: key.name.to_owned(), place, known });
    }

    fn wrong_type(&self, key: &Key<'_>, value: &Value<'_>, expected: &'static str) {
        let problem = Problem::WrongType { name: key.name.to_owned(), expected, found: value.get_ref().type_str() };
        self.note(&value.span(), Shown::ValueOf(key.name.to_owned()), problem);
    }

    fn note_key(&self, key: &Key<'_>, problem: Problem) {
        let text = self.text.get(key.span.clone()).unwrap_or_default();
        let shown = if text.contains('\n') { Shown::Nothing } else { Shown::Key(text.to_owned()) };
        self.note(&key.span, shown, problem);
    }

    /// What came of a value; what is wrong with it is noted.
    fn noted<T>(&self, key: &Key<'_>, span: &Range<usize>, outcome: Result<T, Problem>) -> Option<T> {
        outcome.map_err(|problem| self.note(span, Shown::ValueOf(key.name.to_owned()), problem)).ok()
    }

    /// The same for a key that may be a value that was put in the wrong place.
    fn nameless<T>(&self, key: &Key<'_>, outcome: Result<T, Problem>) -> Option<T> {
        outcome.map_err(|problem| self.note(&key.span, Shown::Nothing, problem)).ok()
    }

    pub(super) fn note(&self, span: &Range<usize>, shown: Shown, problem: Problem) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.errors.borrow_mut().push(ConfigError {
            line: self.line(span.start),
            column: before[line_start..].chars().count() + 1,
            shown,
            problem: Box::new(problem),
        });
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }
}
