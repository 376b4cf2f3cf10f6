//! GitHub: [workflow commands](https://docs.github.com/actions/reference/workflow-commands-for-github-actions)
//! that become annotations, and the summary of a job.

use std::io;

use super::Event;

/// The annotation of an event.
pub(super) fn line(event: &Event<'_>) -> io::Result<String> {
    Ok(annotation(event))
}

/// The command by which an event becomes an annotation: an error, a warning or a notice.
#[must_use]
pub fn annotation(event: &Event<'_>) -> String {
    let report = event.report;
    let command = match report.importance() {
        "critical" | "high" => "error",
        "medium" => "warning",
        _ => "notice",
    };
    let title = event.recipe.map_or(report.route, |recipe| recipe.title.as_str());
    let mut text = format!("{}: {} ({})", report.verdict, report.sentence(), report.name());
    for action in event.recipe.iter().flat_map(|recipe| &recipe.actions.ci) {
        text.push_str(&format!("\n- {action}"));
    }
    format!("::{command} title={}::{}", property(&format!("envward: {title}")), data(&text))
}

/// A value of the message, in which line ends stand for themselves.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value of a property, which commas and colons would end.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A row of a summary: importance, verdict, recipe, who, how often.
type Row<'a> = (&'a str, &'a str, &'a str, String, u64);

/// The summary of a job, as Markdown: what happened, and what the command's end was.
#[must_use]
pub fn summary(command: &str, end: &str, events: &[Event<'_>], others: u64) -> String {
    let mut text = format!("## envward watch\n\n{} {end}.\n\n", code(command));
    if events.is_empty() {
        text.push_str("No recipe fired.\n");
    } else {
        text.push_str("| importance | verdict | recipe | who | times |\n| --- | --- | --- | --- | ---: |\n");
        for (importance, verdict, name, who, times) in rows(events) {
            text.push_str(&format!("| {importance} | {verdict} | {} | {} | {times} |\n", code(name), code(&who)));
        }
        text.push('\n');
        let mut seen: Vec<&str> = Vec::new();
        for recipe in events.iter().filter_map(|event| event.recipe) {
            if !seen.contains(&recipe.id.as_str()) {
                seen.push(&recipe.id);
                text.push_str(&format!("**{}.** {}\n\n", escape(&recipe.title), escape(recipe.implications.ci.trim())));
                for action in &recipe.actions.ci {
                    text.push_str(&format!("* {}\n", escape(action)));
                }
                text.push('\n');
            }
        }
    }
    if others > 0 {
        text.push_str(&format!("{others} events were about others than this command.\n"));
    }
    text
}

fn rows<'a>(events: &[Event<'a>]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for event in events {
        let report = event.report;
        let who = report.reader.exe_path.clone().unwrap_or_else(|| report.reader.exe.name.clone());
        let row = (report.importance(), report.verdict, report.name(), who);
        match rows.iter_mut().find(|known| (known.0, known.1, known.2, &known.3) == (row.0, row.1, row.2, &row.3)) {
            Some(known) => known.4 += report.repeats + 1,
            None => rows.push((row.0, row.1, row.2, row.3, report.repeats + 1)),
        }
    }
    rows
}

/// Code in a table: what others chose (names of programs) is shown and means nothing.
fn code(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c == '`' || c == '|' || c.is_control() { '_' } else { c }).collect();
    format!("`{plain}`")
}

/// Text of recipes, which may be a user's own.
fn escape(text: &str) -> String {
    let unwrapped = text.replace('\n', " ");
    unwrapped.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::with_event;

    /// What GitHub's runner makes of a line: command, properties, message.
    fn parse(line: &str) -> (String, Vec<(String, String)>, String) {
        let unescape = |text: &str| {
            text.replace("%0A", "\n").replace("%0D", "\r").replace("%3A", ":").replace("%2C", ",").replace("%25", "%")
        };
        let (head, message) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
        let (command, properties) = head.split_once(' ').unwrap();
        let properties = properties.split(',').map(|pair| pair.split_once('=').unwrap());
        let properties = properties.map(|(name, value)| (name.to_owned(), unescape(value))).collect();
        (command.to_owned(), properties, unescape(message))
    }

    #[test]
    fn an_event_becomes_an_error_on_one_line() {
        with_event(|event| {
            let line = annotation(event);
            assert_eq!(line.lines().count(), 1);
            let (command, properties, message) = parse(&line);
            assert_eq!(command, "error");
            let title = "envward: Environment of another process read through procfs".to_owned();
            assert_eq!(properties, [("title".to_owned(), title)]);
            assert!(message.starts_with("denied: cat (pid 20, uid 1000) took environ of sleep (pid 10"), "{message}");
            assert!(message.contains("\n- "), "{message}");
        });
    }

    #[test]
    fn what_others_chose_begins_no_command() {
        with_event(|event| {
            let mut report = event.report.clone();
            report.reader.exe_path = Some("/tmp/x\n::set-output name=a::%0Ab".to_owned());
            let line = annotation(&Event { report: &report, ..*event });
            assert_eq!(line.lines().count(), 1);
            assert!(parse(&line).2.contains("/tmp/x\n::set-output name=a::%0Ab"));
            let text = summary("a | `b`", "ended with status 0", &[Event { report: &report, ..*event }], 3);
            assert!(text.contains("`a _ _b_` ended with status 0."), "{text}");
            assert!(text.contains("| `/tmp/x_::set-output name=a::%0Ab` | 1 |"), "{text}");
            assert!(text.ends_with("3 events were about others than this command.\n"), "{text}");
        });
    }

    #[test]
    fn a_summary_counts() {
        with_event(|event| {
            let repeated = Report { repeats: 4, ..event.report.clone() };
            let text = summary("make", "was killed", &[*event, Event { report: &repeated, ..*event }], 0);
            let rows = text.lines().filter(|line| line.starts_with("| high ")).collect::<Vec<_>>();
            assert_eq!(rows, ["| high | denied | `environ_read_from_procfs` | `cat` | 6 |"]);
            assert_eq!(text.matches("**Environment of another process").count(), 1);
        });
        assert!(summary("make", "ended", &[], 0).contains("No recipe fired."));
    }

    use crate::report::Report;
}
