//! Runs every example of `docs/configuration.md`: a block `toml` is a file, which is right
//! unless a block `error` follows with the beginning of what is said of it.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

use std::path::Path;

use envward_policy::{Config, Mechanism, Mode};

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// The fenced blocks: line, language, text.
fn blocks(page: &str) -> Vec<(usize, &str, String)> {
    let mut blocks: Vec<(usize, &str, String)> = Vec::new();
    let mut inside = false;
    for (index, line) in page.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(language) => {
                inside = true;
                blocks.push((index + 1, language, String::new()));
            }
            None if inside => {
                let text = &mut blocks.last_mut().unwrap().2;
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

#[test]
fn every_example_is_true() {
    let blocks = blocks(PAGE);
    let mut errors = 0;
    for (index, (line, language, text)) in blocks.iter().enumerate() {
        let result = Config::parse(text, Path::new("/etc/app"));
        match (*language, blocks.get(index + 1)) {
            ("error", _) => {}
            ("toml", Some((_, "error", expected))) => {
                let shown = result.expect_err(&format!("line {line} is right")).to_string();
                assert!(shown.starts_with(expected.trim_end()), "line {line}: {shown}");
                assert!(!shown.contains("obviously"), "line {line}: shows what may be a secret");
                errors += 1;
            }
            ("toml", _) => assert!(result.is_ok(), "line {line}: {}", result.unwrap_err()),
            (language, _) => panic!("line {line}: {language}"),
        }
    }
    assert_eq!(errors, blocks.iter().filter(|(_, language, _)| *language == "error").count());
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
}
