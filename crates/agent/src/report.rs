//! Events as others read them: JSON lines and text for people. docs/agent-event.schema.json
//! describes the former. Never a value of a variable: nothing here reads an environment.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::event::{Executable, Party, Record};
use crate::process::Asked;
use crate::recipe::Recipe;

/// The version of the schema; it changes when a field changes its meaning or goes.
pub const SCHEMA: &str = "envward.agent.event/1";

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// When it happened, UTC, RFC 3339.
    pub time: String,
    /// Counts all events of this agent, lost ones too.
    pub sequence: u64,
    /// Events lost so far because the ring was full.
    pub lost: u64,
    /// Events like this one (recipe, verdict, reader's executable, user, cgroup) that were held
    /// back since the last one that was told; this one stands for them.
    pub repeats: u64,
    /// What it means; none when no recipe fits.
    pub recipe: Option<Meaning>,
    /// Which way was taken.
    pub route: &'static str,
    /// Where the kernel's programs saw it.
    pub hook: &'static str,
    /// `observed`, `denied` or `killed`.
    pub verdict: &'static str,
    /// What the hook knows besides: access mode, signal, command.
    pub detail: u64,
    /// Who did it.
    pub reader: Process,
    /// To whom; none when it is about the whole machine.
    pub target: Option<Process>,
}

/// The recipe of an event, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Meaning {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Its title.
    pub title: String,
    /// How bad it is.
    pub importance: &'static str,
    /// The tactic of MITRE ATT&CK.
    pub tactic: String,
    /// Techniques of MITRE ATT&CK.
    pub techniques: Vec<String>,
}

/// One side of an event, with what could be found out about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process, in the initial PID namespace.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Start of the process, in nanoseconds since the machine started.
    pub start_ns: u64,
    /// Real user.
    pub uid: u32,
    /// Real group.
    pub gid: u32,
    /// The thread's name; anybody may choose any.
    pub comm: String,
    /// The executable, as the kernel knows it.
    pub exe: Executable,
    /// Its path, if the process was still there to be asked.
    pub exe_path: Option<String>,
    /// Arguments, up to 128 bytes of them: the reader's as they were at the event, the target's if
    /// it was still there.
    pub argv: Vec<String>,
    /// The cgroup's id.
    pub cgroup_id: u64,
    /// The cgroup's path, if the process was still there.
    pub cgroup: Option<String>,
    /// The container's id, from the cgroup's path.
    pub container: Option<String>,
    /// The uid of the Kubernetes pod, from the cgroup's path.
    pub pod: Option<String>,
    /// Parents, the nearest first, if the process was still there.
    pub ancestors: Vec<Ancestor>,
}

/// A parent, or a parent's parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ancestor {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

/// What procfs said about processes, kept so that a flood of events asks once.
#[derive(Debug, Default)]
pub struct Lookup {
    known: HashMap<(u32, u64, u64), Option<Asked>>,
}

/// As many processes are kept.
const KEPT: usize = 1024;

impl Lookup {
    fn about(&mut self, party: &Party) -> Option<&Asked> {
        if self.known.len() >= KEPT {
            self.known.clear();
        }
        // A process is another after an exec.
        let key = (party.pid, party.start_ns, party.exe.inode);
        self.known.entry(key).or_insert_with(|| Asked::about(party.pid, party.start_ns)).as_ref()
    }
}

impl Report {
    /// Everything about an event, given the machine's two clocks now.
    #[must_use]
    pub fn new(
        record: &Record,
        repeats: u64,
        recipe: Option<&Recipe>,
        lookup: &mut Lookup,
        now: SystemTime,
        since_boot: Duration,
    ) -> Self {
        Self {
            schema: SCHEMA,
            time: rfc3339(record.when(now, since_boot)),
            sequence: record.sequence,
            lost: record.lost,
            repeats,
            recipe: recipe.map(|recipe| Meaning {
                id: recipe.id.clone(),
                version: recipe.version,
                title: recipe.title.clone(),
                importance: recipe.importance.name(),
                tactic: recipe.tactic.id.clone(),
                techniques: recipe.techniques.clone(),
            }),
            route: record.route.name(),
            hook: record.hook.name(),
            verdict: record.verdict.name(),
            detail: record.detail,
            reader: Process::new(&record.reader, Some(record.argv()), lookup),
            target: record.target.as_ref().map(|target| Process::new(target, None, lookup)),
        }
    }

    /// How bad it is; what has no recipe is not.
    #[must_use]
    pub fn importance(&self) -> &'static str {
        self.recipe.as_ref().map_or("low", |recipe| recipe.importance)
    }

    /// The recipe's id, or the route when no recipe fits.
    #[must_use]
    pub fn name(&self) -> &str {
        self.recipe.as_ref().map_or(self.route, |recipe| recipe.id.as_str())
    }

    /// Who did what to whom.
    #[must_use]
    pub fn sentence(&self) -> String {
        let target = self.target.as_ref().map_or_else(String::new, |target| format!(" of {}", target.short()));
        let repeats = match self.repeats {
            0 => String::new(),
            repeats => format!(", and {repeats} times before"),
        };
        format!("{} took {}{target}{repeats}", self.reader.short(), self.route)
    }

    /// One line of text, with colours if `coloured`.
    #[must_use]
    pub fn line(&self, coloured: bool) -> String {
        let colour = match self.importance() {
            _ if !coloured => None,
            "critical" => Some("1;31"),
            "high" => Some("31"),
            "medium" => Some("33"),
            _ => Some("36"),
        };
        let importance = format!("{:8}", self.importance());
        let importance = colour.map_or(importance.clone(), |code| format!("\x1b[{code}m{importance}\x1b[0m"));
        format!("{} {importance} {:8} {}: {}", self.time, self.verdict, self.name(), self.sentence())
    }
}

impl Ancestor {
    fn new((pid, comm): &(u32, String)) -> Self {
        Self { pid: *pid, comm: comm.clone() }
    }
}

impl Process {
    fn new(party: &Party, argv: Option<Vec<String>>, lookup: &mut Lookup) -> Self {
        let asked = lookup.about(party);
        let cgroup = asked.and_then(|asked| asked.cgroup.clone());
        Self {
            pid: party.pid,
            tid: party.tid,
            start_ns: party.start_ns,
            uid: party.uid,
            gid: party.gid,
            comm: party.comm.clone(),
            exe: party.exe.clone(),
            exe_path: asked.and_then(|asked| asked.exe.clone()),
            argv: argv.or_else(|| asked.map(|asked| asked.argv.clone())).unwrap_or_default(),
            cgroup_id: party.cgroup_id,
            container: cgroup.as_deref().and_then(container),
            pod: cgroup.as_deref().and_then(pod),
            cgroup,
            ancestors: asked.map(|asked| asked.ancestors.iter().map(Ancestor::new).collect()).unwrap_or_default(),
        }
    }

    fn short(&self) -> String {
        format!("{} (pid {}, uid {})", self.exe_path.as_deref().unwrap_or(&self.exe.name), self.pid, self.uid)
    }
}

/// The container's id: the last part of the path that has 64 hexadecimal digits.
fn container(cgroup: &str) -> Option<String> {
    cgroup.rsplit('/').find_map(|part| {
        part.split(|c: char| !c.is_ascii_hexdigit()).find(|digits| digits.len() == 64).map(str::to_owned)
    })
}

/// The pod's uid: what follows `pod`, with the dashes that systemd takes away.
fn pod(cgroup: &str) -> Option<String> {
    cgroup.split('/').find_map(|part| {
        let (_, rest) = part.rsplit_once("pod")?;
        let uid: String = rest.trim_end_matches(".slice").replace('_', "-");
        let digits = uid.chars().filter(char::is_ascii_hexdigit).count();
        (uid.len() == 36 && digits == 32).then_some(uid)
    })
}

/// UTC, to the microsecond.
fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (days, rest) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", since.subsec_micros())
}

/// The Gregorian date of a day after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let length = |year: u64| {
        if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) { 366 } else { 365 }
    };
    let (mut year, mut left) = (1970, days);
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::tests::record;
    use crate::recipe::Book;

    #[test]
    fn dates_are_right() {
        let at = |seconds: u64| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_micros(seconds * 1_000_000 + 7));
        assert_eq!(at(0), "1970-01-01T00:00:00.000007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000007Z");
        assert_eq!(at(1_735_689_599), "2024-12-31T23:59:59.000007Z");
        assert_eq!(at(4_102_444_800), "2100-01-01T00:00:00.000007Z");
    }

    #[test]
    fn containers_and_pods_are_found_in_paths() {
        let id = "0123456789abcdef".repeat(4);
        let uid = "6f5c7d3e-0000-4000-8000-0123456789ab";
        let plain = format!("/kubepods/burstable/pod{uid}/{id}");
        let systemd = format!("/kubepods.slice/kubepods-pod{}.slice/cri-containerd-{id}.scope", uid.replace('-', "_"));
        for path in [plain, systemd] {
            assert_eq!((container(&path), pod(&path)), (Some(id.clone()), Some(uid.to_owned())), "{path}");
        }
        assert_eq!(container(&format!("/system.slice/docker-{id}.scope")), Some(id));
        assert_eq!((container("/user.slice/podman"), pod("/user.slice/podman")), (None, None));
    }

    #[test]
    fn a_report_has_exactly_the_fields_of_the_schema() {
        let record = record();
        let book = Book::own().unwrap();
        let report = Report::new(
            &record,
            0,
            book.find(&record),
            &mut Lookup::default(),
            SystemTime::now(),
            Duration::from_secs(1),
        );
        let json = serde_json::to_value(&report).unwrap();
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/agent-event.schema.json")).unwrap();
        compare(&json, &schema, &schema);
        assert_eq!(schema["properties"]["schema"]["const"], SCHEMA);
        for (field, names) in [
            ("route", crate::layout::Route::ALL.iter().map(|item| item.name()).collect::<Vec<_>>()),
            ("hook", crate::layout::Hook::ALL.iter().map(|item| item.name()).collect()),
            ("verdict", crate::layout::Verdict::ALL.iter().map(|item| item.name()).collect()),
        ] {
            let listed = schema["properties"][field]["enum"].as_array().unwrap();
            assert_eq!(listed.iter().filter_map(|name| name.as_str()).collect::<Vec<_>>(), names, "{field}");
        }
        assert!(
            report.line(false).contains("high     denied   environ_read_from_procfs: cat"),
            "{}",
            report.line(false)
        );
    }

    #[test]
    fn lines_have_colours_and_counts() {
        let book = Book::own().unwrap();
        let record = record();
        let recipe = book.find(&record);
        let mut lookup = Lookup::default();
        let report = Report::new(&record, 7, recipe, &mut lookup, SystemTime::now(), Duration::from_secs(1));
        assert!(report.line(true).contains("\x1b[31mhigh    \x1b[0m denied   "), "{:?}", report.line(true));
        assert!(!report.line(false).contains('\x1b'));
        assert!(report.line(false).ends_with(", and 7 times before"), "{}", report.line(false));
    }

    /// What the project promises to be in an event, by its names here.
    #[test]
    fn nothing_that_was_promised_is_missing() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../../docs/agent-event.schema.json")).unwrap();
        for name in ["route", "hook", "verdict", "recipe", "sequence", "lost", "repeats", "reader", "target"] {
            assert!(schema["properties"][name].is_object(), "{name}");
        }
        let process = &schema["$defs"]["process"]["properties"];
        for name in ["pid", "tid", "start_ns", "exe", "exe_path", "argv", "uid", "gid", "cgroup_id", "cgroup"] {
            assert!(process[name].is_object(), "{name}");
        }
        for name in ["container", "pod", "ancestors"] {
            assert!(process[name].is_object(), "{name}");
        }
        for name in ["env", "envp", "environ"] {
            assert!(process[name].is_null(), "{name}");
        }
    }

    /// Objects have the properties that the schema lists, all of them required.
    fn compare(value: &serde_json::Value, schema: &serde_json::Value, root: &serde_json::Value) {
        let schema = match schema["$ref"].as_str() {
            Some(path) => &root["$defs"][path.rsplit('/').next().unwrap()],
            None => schema,
        };
        if let Some(choices) = schema["anyOf"].as_array() {
            if !value.is_null() {
                compare(value, &choices[0], root);
            }
            return;
        }
        match value {
            serde_json::Value::Object(fields) => {
                let listed = schema["properties"].as_object().unwrap();
                assert_eq!(fields.keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
                let required = schema["required"].as_array().unwrap();
                assert_eq!(required.len(), listed.len());
                for (name, field) in fields {
                    compare(field, &listed[name], root);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| compare(item, &schema["items"], root)),
            other => {
                let kind = match other {
                    serde_json::Value::String(_) => "string",
                    serde_json::Value::Number(_) => "integer",
                    _ => "null",
                };
                let types = &schema["type"];
                let fits = types == kind || types.as_array().is_some_and(|types| types.iter().any(|one| one == kind));
                assert!(fits, "{other} is no {types}");
            }
        }
    }
}
