//! The parser of `envward.toml`: whatever the text, it is read or refused, every profile of what
//! was read can be taken, and no error lies about its place or shows a value.
#![no_main]

use std::path::Path;

use envward_policy::config::File;
use libfuzzer_sys::fuzz_target;

/// Stands in the seeds wherever a value is.
const MARK: &str = "hunter2";

fuzz_target!(|text: &str| {
    match File::parse(text, Path::new("/etc/app")) {
        Ok(file) => {
            let names: Vec<&str> = file.profiles().collect();
            for name in names.iter().copied().map(Some).chain([None]) {
                let Ok(config) = file.select(name) else { panic!("a profile of the file cannot be taken") };
                assert_eq!(config.profiles.first().map(String::as_str), name);
                for variable in &config.variables {
                    assert!(!(variable.secret && variable.default.is_some()), "a secret with a default");
                    assert!(!(variable.required && variable.default.is_some()), "required and with a default");
                    let _ = variable.kind.check(text.as_bytes());
                }
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            let lines = text.split('\n').count();
            for error in errors {
                assert!((1..=lines).contains(&error.line()));
                let shown = format!("{error} {error:?} {}", error.excerpt());
                // A key may be shown, so a mark in a key says nothing.
                let may_show = text.lines().any(|line| {
                    let key = line.split(['=', '"', '\'']).next().unwrap_or_default();
                    key.contains(MARK) || line.matches(MARK).count() > 1 || line.contains(['{', '['])
                });
                assert!(may_show || !shown.contains(MARK), "a value is shown");
            }
        }
    }
});
