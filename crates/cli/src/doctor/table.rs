//! The examination for people.

use std::fmt::Write;

use super::check::{Check, Examination, Group, Remedy, State};
use crate::output::Paint;

/// Three sections, a line for each check, and below it what mends it.
pub(crate) fn render(examination: &Examination, paint: Paint) -> String {
    let mut text = String::new();
    for (group, title) in [
        (Group::Mode, "What envward can do here"),
        (Group::Mechanism, "Mechanisms"),
        (Group::Machine, "The machine and envward itself"),
    ] {
        let _ = writeln!(text, "{}", paint.heading(title));
        for check in examination.checks.iter().filter(|check| check.group == group) {
            line(&mut text, check, paint);
        }
    }
    text
}

fn line(text: &mut String, check: &Check, paint: Paint) {
    let mark = match check.state {
        State::Ok => paint.good("ok     "),
        State::Open => paint.warning("open   "),
        State::Missing => paint.error("missing"),
        State::Unknown => paint.warning("?      "),
        State::Told => paint.faint("-      "),
    };
    // A path or a pattern may hold anything.
    let found = check.found.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"");
    let _ = writeln!(text, "  {mark}  {:<16}  {found}", check.name);
    for remedy in &check.remedies {
        let (what, how) = match remedy {
            Remedy::Command { command, as_root: true } => ("as root:", command.clone()),
            Remedy::Command { command, as_root: false } => ("mend:", command.clone()),
            Remedy::Setting { setting, place } => ("set:", format!("{setting}  {}", paint.faint(format!("({place})")))),
        };
        let _ = writeln!(text, "  {:<7}  {:<16}  {what} {how}", "", "");
    }
}
