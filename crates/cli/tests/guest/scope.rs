//! Yama's setting, and whether a program gets its secret.

#![allow(dead_code, reason = "several test binaries share it and none uses all of it")]

use std::ffi::OsString;
use std::fs;

use envward_guest::{Fact, Guest};

use crate::stage::case::{Case, SEALED};
use crate::stage::job::{Ended, Output, Start};
use crate::stage::{Secrets, stage};

const SETTING: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// `kernel.yama.ptrace_scope`, until it is dropped.
pub(crate) struct Scope {
    before: String,
}

impl Scope {
    /// Sets it.
    pub(crate) fn set(value: u32) -> Self {
        assert!(Guest::here().offers(Fact::Yama), "every boot promises Yama");
        let before = fs::read_to_string(SETTING).expect("Yama");
        fs::write(SETTING, value.to_string()).expect("Yama takes the value");
        assert_eq!(fs::read_to_string(SETTING).expect("Yama").trim(), value.to_string());
        Self { before }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // 3 stays; what needs it comes last.
        let _ = fs::write(SETTING, &self.before);
    }
}

/// Leaves a mark, compares its secret with the file that has it, and lets a child do so, which
/// gets the secret by an exec of its own. (What sealed programs start gets none or does not run.)
const COMPARE: &str = r#"
: > "$2"
read -r expected < "$1"
[ "$API_TOKEN" = "$expected" ] || exit 41
sh -c 'read -r expected < "$1"; [ "$API_TOKEN" = "$expected" ]' sh "$1"
case "$3-$?" in
gets-0 | lacks-1 | lacks-126) exit 0 ;;
*) exit 42 ;;
esac
"#;

/// A shell that compares its secret.
pub(crate) struct Compared {
    pub(crate) output: Output,
    /// Whether it was started at all.
    pub(crate) started: bool,
}

impl Compared {
    /// In `case`, with further options of `envward run`.
    pub(crate) fn new(case: &Case, options: &[&str]) -> Self {
        let secrets = Secrets::new(case.uid);
        let file = secrets.value_file("API_TOKEN");
        let mark = stage().scratch(case.uid).join("started");
        let child = if case.mode == SEALED.mode { "lacks" } else { "gets" };
        let words = ["sh", "-c", COMPARE, "sh"].map(OsString::from);
        let operands = [file.into_os_string(), mark.clone().into_os_string(), child.into()];
        let start = Start::new(case, words.into_iter().chain(operands)).secrets(secrets);
        let output = options.iter().fold(start, |start, option| start.option(*option)).output();
        Self { output, started: mark.exists() }
    }

    /// Fails unless it ran, had its secret, and its child had it too (in the sealed mode, had not).
    pub(crate) fn expect_delivery(&self, case: &Case) {
        assert_eq!(self.output.ended, Ended::Exit(0), "{}: {:?}", case.name, self.output.err);
        assert!(self.started, "{}: it left no mark", case.name);
    }

    /// Fails unless envward refused, saying all of `texts`, and nothing was started.
    pub(crate) fn expect_refusal(&self, case: &Case, texts: &[&str]) {
        assert_eq!(self.output.ended, Ended::Exit(125), "{}: {:?}", case.name, self.output.err);
        assert!(!self.started, "{}: it was started", case.name);
        let said = self.output.err.join("\n");
        for text in texts {
            assert!(said.contains(text), "{}: nothing about {text:?}: {said:?}", case.name);
        }
    }
}
