//! Layers of a configuration: the file itself, and each profile on top of what it extends.

use std::ops::Range;
use std::path::PathBuf;

use super::error::Problem;
use super::{StoreSection, Variable};
use crate::dialect::Dialect;
use crate::inherit::NamePattern;
use crate::kind::Kind;
use crate::mechanism::Selection;
use crate::mode::Mode;
use crate::reference::Reference;
use crate::rules::Rule;

/// What one place of the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Layer {
    pub(super) env_files: Vec<PathBuf>,
    pub(super) dialect: Option<Dialect>,
    /// With where the path stands.
    pub(super) dialects: Vec<(PathBuf, Dialect, Range<usize>)>,
    pub(super) mode: Option<Mode>,
    pub(super) require: Vec<Selection>,
    pub(super) best_effort: Vec<Selection>,
    pub(super) store: Option<StoreSection>,
    pub(super) allow: Option<Vec<NamePattern>>,
    pub(super) deny: Option<Vec<NamePattern>>,
    pub(super) variables: Vec<Draft>,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) span: Range<usize>,
    pub(super) extends: Option<(String, Range<usize>)>,
    pub(super) layer: Layer,
}

/// What one table says of a variable, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) span: Range<usize>,
    pub(super) source: Option<Reference>,
    pub(super) required: Option<(bool, Range<usize>)>,
    pub(super) kind: Option<Kind>,
    pub(super) default: Option<(String, Range<usize>)>,
    pub(super) secret: Option<(bool, Range<usize>)>,
    pub(super) only: Option<(Vec<Rule>, Range<usize>)>,
    pub(super) deny: Option<(Vec<Rule>, Range<usize>)>,
    pub(super) description: Option<String>,
}

impl Layer {
    /// Puts another layer on top of this one.
    pub(super) fn put(&mut self, above: &Self) {
        self.env_files.extend(above.env_files.iter().cloned());
        self.dialect = above.dialect.or(self.dialect);
        self.dialects.extend(above.dialects.iter().cloned());
        self.mode = above.mode.or(self.mode);
        if let Some(above) = &above.store {
            let store = self.store.get_or_insert_default();
            replace(&mut store.path, above.path.clone());
            replace(&mut store.identity, above.identity.clone());
        }
        self.put_selections(above);
        self.allow = above.allow.clone().or_else(|| self.allow.take());
        self.deny = above.deny.clone().or_else(|| self.deny.take());
        for draft in &above.variables {
            match self.variables.iter_mut().find(|below| below.name == draft.name) {
                Some(below) => below.put(draft),
                None => self.variables.push(draft.clone()),
            }
        }
    }

    /// What is said above of a mechanism counts, as it does on the command line.
    fn put_selections(&mut self, above: &Self) {
        if above.require.contains(&Selection::All) || above.best_effort.contains(&Selection::All) {
            self.require.clear();
            self.best_effort.clear();
        }
        self.require.retain(|one| !above.best_effort.contains(one));
        self.best_effort.retain(|one| !above.require.contains(one));
        self.require.extend(&above.require);
        self.best_effort.extend(&above.best_effort);
    }
}

impl Draft {
    pub(super) fn new(name: String, line: usize, span: Range<usize>) -> Self {
        Self {
            name,
            line,
            span,
            source: None,
            required: None,
            kind: None,
            default: None,
            secret: None,
            only: None,
            deny: None,
            description: None,
        }
    }

    /// Key by key, what stands above counts. `required = true` takes a default below away.
    fn put(&mut self, above: &Self) {
        let Self { name: _, line, span, source, required, kind, default, secret, only, deny, description } =
            above.clone();
        self.line = line;
        self.span = span;
        if required.as_ref().is_some_and(|(yes, _)| *yes) {
            self.default = None;
        }
        if default.is_some() {
            self.required = None;
        }
        replace(&mut self.source, source);
        replace(&mut self.required, required);
        replace(&mut self.kind, kind);
        replace(&mut self.default, default);
        replace(&mut self.secret, secret);
        replace(&mut self.only, only);
        replace(&mut self.deny, deny);
        replace(&mut self.description, description);
    }

    fn is_secret(&self) -> bool {
        self.secret.as_ref().is_none_or(|(yes, _)| *yes)
    }

    /// What does not go together, with the key whose value it is.
    pub(super) fn problems(&self) -> Vec<(Range<usize>, &'static str, Problem)> {
        let mut problems = Vec::new();
        let name = || self.name.clone();
        if let Some((text, span)) = &self.default {
            if self.is_secret() {
                problems.push((span.clone(), "default", Problem::SecretDefault { name: name() }));
            } else if let Some(Err(mismatch)) = self.kind.as_ref().map(|kind| kind.check(text.as_bytes())) {
                problems.push((span.clone(), "default", Problem::DefaultMismatch { name: name(), mismatch }));
            }
        }
        for (key, rules) in [("only", &self.only), ("deny", &self.deny)] {
            if let Some((rules, span)) = rules
                && !self.is_secret()
                && !rules.is_empty()
            {
                problems.push((span.clone(), key, Problem::RuleOfPlain { name: name() }));
            }
        }
        problems
    }

    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        [&self.only, &self.deny].into_iter().flatten().flat_map(|(rules, _)| rules)
    }

    pub(super) fn variable(&self) -> Variable {
        Variable {
            name: self.name.clone(),
            line: self.line,
            source: self.source.clone(),
            required: self.default.is_none() && self.required.as_ref().is_none_or(|(yes, _)| *yes),
            kind: self.kind.clone().unwrap_or_default(),
            default: self.default.as_ref().map(|(text, _)| text.clone()),
            secret: self.is_secret(),
            description: self.description.clone(),
        }
    }
}

fn replace<T>(below: &mut Option<T>, above: Option<T>) {
    if above.is_some() {
        *below = above;
    }
}
