//! A launcher that stays has to be as good a process as one that replaces
//! itself: whoever starts `envward run -- CMD` must not be able to tell it from
//! `CMD`, apart from the secrets.
//!
//! Every test makes the same observation twice, first of a direct `execve` and
//! then through envward, as root and as an ordinary user in each mode. The
//! direct side is held against what is known to be right, so that a check that
//! sees nothing cannot pass.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says what went wrong by ending")]

mod stage;

mod conformance {
    mod descriptors;
    mod endurance;
    mod environment;
    mod groups;
    mod inheritance;
    mod notify;
    mod pid1;
    mod signals;
    mod status;
    mod terminal;

    use std::fmt::Debug;

    use crate::stage::case::{Case, DIRECT, DIRECT_USER};

    /// Observes a direct start, which must give `expected`, and then each case,
    /// which must give the same.
    fn equal<T: Debug + PartialEq>(cases: &[Case], expected: &T, observe: impl Fn(&Case) -> T) {
        same(cases, observe, |seen| {
            assert_eq!(seen, expected, "a direct start does not do what is expected");
        });
    }

    /// Observes a direct start, which `plausible` judges, and then each case,
    /// which must give the same.
    fn same<T: Debug + PartialEq>(cases: &[Case], observe: impl Fn(&Case) -> T, plausible: impl Fn(&T)) {
        let mut wrong = Vec::new();
        for reference in [DIRECT, DIRECT_USER] {
            let cases: Vec<&Case> = cases.iter().filter(|case| case.reference() == reference).collect();
            if cases.is_empty() {
                continue;
            }
            let direct = observe(&reference);
            plausible(&direct);
            for case in cases {
                let seen = observe(case);
                if seen != direct {
                    let text = |value: &T| format!("{value:?}").chars().take(2_000).collect::<String>();
                    wrong.push(format!("{}\n  direct {}\n  seen   {}", case.name, text(&direct), text(&seen)));
                }
            }
        }
        assert!(wrong.is_empty(), "differs from a direct start:\n{}", wrong.join("\n"));
    }
}
