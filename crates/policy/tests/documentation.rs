//! Runs every example of `docs/configuration.md`: a block `toml` is a file, which is right
//! unless a block `error` follows with the beginning of what is said of it.

use std::path::Path;

use envward_policy::config::keys;
use envward_policy::kind::KIND_NAMES;
use envward_policy::{Config, Mechanism, Mode};
use envward_testkit::{Block, blocks};

const PAGE: &str = include_str!("../../../docs/configuration.md");

#[test]
fn every_example_is_true() {
    let blocks = blocks(PAGE);
    let mut errors = 0;
    for (index, Block { line, language, text }) in blocks.iter().enumerate() {
        let result = Config::parse(text, Path::new("/etc/app"));
        let expected = blocks.get(index + 1).filter(|next| next.language == "error");
        match (*language, expected) {
            ("error", None) => {}
            ("toml", Some(expected)) => {
                let shown = result.expect_err(&format!("line {line} is right")).to_string();
                assert!(shown.starts_with(expected.text.trim_end()), "line {line}: {shown}");
                assert!(!shown.contains("obviously"), "line {line}: shows what may be a secret");
                errors += 1;
            }
            ("toml", None) => assert!(result.is_ok(), "line {line}: {}", result.unwrap_err()),
            (language, _) => panic!("line {line}: {language}"),
        }
    }
    assert!(errors > 5 && blocks.len() > errors * 2 + 2, "{} blocks, {errors} errors", blocks.len());
}

#[test]
fn every_name_is_explained() {
    for mechanism in Mechanism::ALL {
        assert!(PAGE.contains(&format!("\n| `{mechanism}` |")), "{mechanism}");
    }
    for mode in [Mode::Full, Mode::Supervised, Mode::Sealed] {
        assert!(PAGE.contains(&format!("`{mode}`")), "{mode}");
    }
    for kind in KIND_NAMES {
        assert!(PAGE.contains(&format!("\n| `{kind}` |")), "{kind}");
    }
    for key in [keys::RUN, keys::STORE, keys::INHERIT, keys::VARIABLE, keys::SECRET].concat() {
        assert!(PAGE.contains(&format!("\n| `{key}` |")), "{key}");
    }
    for key in [keys::FILE, keys::PROFILE].concat() {
        assert!(
            PAGE.contains(&format!("`{key}`"))
                || PAGE.contains(&format!("## `[{key}]"))
                || PAGE.contains(&format!("`[{key}.NAME]`")),
            "{key}"
        );
    }
}
