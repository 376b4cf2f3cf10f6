//! [OCSF](https://schema.ocsf.io/1.8.0/classes/detection_finding) 1.8.0: the class Detection
//! Finding (2004), with the profiles Security Control and, where there is one, Container.

use std::io;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::Event;
use crate::matrix::matrix;
use crate::recipe::Recipe;
use crate::report::{Process, Report};

/// The version of OCSF.
const VERSION: &str = "1.8.0";

/// The event on one line.
pub(super) fn line(event: &Event<'_>) -> io::Result<String> {
    Ok(serde_json::to_string(&finding(event))?)
}

fn finding(event: &Event<'_>) -> Value {
    let report = event.report;
    let milliseconds = event.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let (severity_id, severity) = severity(report.importance());
    let (action_id, action, disposition_id, disposition) = outcome(report.verdict);
    let attacks = event.recipe.map(attacks).unwrap_or_default();
    let mut profiles = vec!["security_control"];
    let mut evidences = vec![json!({ "actor": { "process": process(&report.reader) } })];
    evidences.extend(report.target.as_ref().map(|target| json!({ "process": process(target) })));
    let in_container = |process: &Process| process.container.is_some();
    if in_container(&report.reader) || report.target.as_ref().is_some_and(in_container) {
        profiles.push("container");
    }
    let mut finding = json!({
        "activity_id": 1,
        "activity_name": "Create",
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "type_uid": 200_401,
        "type_name": "Detection Finding: Create",
        "time": milliseconds,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": 1,
        "status": "New",
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "is_alert": severity_id >= 3,
        "message": report.sentence(),
        "attacks": attacks,
        "metadata": {
            "version": VERSION,
            "profiles": profiles,
            "product": { "name": "envward-agent", "vendor_name": "envward", "version": env!("CARGO_PKG_VERSION") },
            "log_name": "envward.agent",
            "sequence": report.sequence,
            "original_time": report.time,
        },
        "finding_info": info(event, milliseconds, &attacks),
        "evidences": evidences,
        "unmapped": {
            "schema": report.schema,
            "route": report.route,
            "hook": report.hook,
            "detail": report.detail,
            "lost": report.lost,
            "repeats": report.repeats,
            "reader": unmapped(&report.reader),
            "target": report.target.as_ref().map(unmapped),
        },
    });
    if let Some(recipe) = event.recipe {
        finding["remediation"] = json!({ "desc": recipe.actions.production.join("\n") });
    }
    finding
}

fn info(event: &Event<'_>, milliseconds: u64, attacks: &[Value]) -> Value {
    let report = event.report;
    let mut info = json!({
        "uid": identity(report),
        "title": event.recipe.map_or(report.route, |recipe| recipe.title.as_str()),
        "types": [report.route],
        "created_time": milliseconds,
        "attacks": attacks,
    });
    if let Some(recipe) = event.recipe {
        info["desc"] = recipe.description.trim().into();
        info["analytic"] = json!({
            "uid": recipe.id,
            "name": recipe.title,
            "version": recipe.version.to_string(),
            "type_id": 1,
            "type": "Rule",
        });
    }
    info
}

/// Unique: nobody does two things in the same microsecond under the same number.
fn identity(report: &Report) -> String {
    format!("{}-{}-{}", report.time, report.sequence, report.reader.tid)
}

fn severity(importance: &str) -> (u8, &'static str) {
    match importance {
        "critical" => (5, "Critical"),
        "high" => (4, "High"),
        "medium" => (3, "Medium"),
        _ => (2, "Low"),
    }
}

fn outcome(verdict: &str) -> (u8, &'static str, u8, &'static str) {
    match verdict {
        "denied" => (2, "Denied", 2, "Blocked"),
        "observed" => (3, "Observed", 15, "Detected"),
        _ => (99, "Killed", 99, "Killed"),
    }
}

fn attacks(recipe: &Recipe) -> Vec<Value> {
    let own = recipe.techniques.iter().map(|technique| (&recipe.tactic.id, technique));
    let related = recipe.related.iter().map(|related| (&related.tactic, &related.technique));
    own.chain(related).map(|(tactic, technique)| attack(tactic, technique)).collect()
}

fn attack(tactic: &str, technique: &str) -> Value {
    let named = |id: &str, name: Option<&str>| match name {
        Some(name) => json!({ "uid": id, "name": name }),
        None => json!({ "uid": id }),
    };
    let technique_name = |id| matrix().technique(id).map(|known| known.name.as_str());
    let main = technique.split('.').next().unwrap_or(technique);
    let mut attack = json!({
        "version": matrix().version,
        "tactic": named(tactic, matrix().tactic(tactic)),
        "technique": named(main, technique_name(main)),
    });
    if main != technique {
        attack["sub_technique"] = named(technique, technique_name(technique));
    }
    attack
}

fn process(process: &Process) -> Value {
    let mut file = json!({ "name": process.exe.name, "type_id": 1, "type": "Regular File" });
    if let Some(path) = &process.exe_path {
        file["path"] = path.as_str().into();
    }
    let mut value = json!({
        "pid": process.pid,
        "tid": process.tid,
        "name": process.comm,
        "file": file,
        "user": { "uid": process.uid.to_string() },
    });
    if !process.argv.is_empty() {
        value["cmd_line"] = process.argv.join(" ").into();
    }
    let entity = |parent: &crate::report::Ancestor| json!({ "pid": parent.pid, "name": parent.comm });
    if let Some(parent) = process.ancestors.first() {
        value["parent_process"] = entity(parent);
        value["ancestry"] = process.ancestors.iter().map(entity).collect();
    }
    if let Some(id) = &process.container {
        value["container"] = json!({ "uid": id });
        if let Some(pod) = &process.pod {
            value["container"]["pod_uuid"] = pod.as_str().into();
        }
    }
    value
}

/// What OCSF has no place for.
fn unmapped(process: &Process) -> Value {
    json!({
        "start_ns": process.start_ns,
        "gid": process.gid,
        "cgroup_id": process.cgroup_id,
        "cgroup": process.cgroup,
        "exe": process.exe,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::with_event;

    /// What version 1.8.0 requires of the class, and of the objects in it.
    const REQUIRED: &[(&str, &[&str])] = &[
        (
            "",
            &[
                "activity_id",
                "category_uid",
                "class_uid",
                "finding_info",
                "metadata",
                "severity_id",
                "time",
                "type_uid",
            ],
        ),
        ("/metadata", &["product", "version"]),
        ("/metadata/product", &["name", "vendor_name", "version"]),
        ("/finding_info", &["uid", "title"]),
        ("/finding_info/analytic", &["type_id"]),
        ("/evidences/0/actor/process/file", &["name", "type_id"]),
    ];

    #[test]
    fn a_finding_is_of_its_class() {
        with_event(|event| {
            let value: Value = serde_json::from_str(&line(event).unwrap()).unwrap();
            for (place, fields) in REQUIRED {
                for field in *fields {
                    assert!(!value.pointer(place).unwrap()[field].is_null(), "{place}/{field}");
                }
            }
            let number = |name: &str| value[name].as_u64().unwrap();
            assert_eq!((number("class_uid"), number("category_uid")), (2004, 2));
            assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
            assert_eq!(number("time") / 1000, 1_735_689_599, "milliseconds");
            assert_eq!((number("severity_id"), number("action_id"), number("disposition_id")), (4, 2, 2));
            assert_eq!(value["metadata"]["version"], "1.8.0");
            assert_eq!(value["metadata"]["profiles"], json!(["security_control"]));
            let attack = &value["finding_info"]["attacks"][1];
            assert_eq!(attack["tactic"], json!({ "uid": "TA0006", "name": "Credential Access" }));
            assert_eq!(attack["sub_technique"], json!({ "uid": "T1003.007", "name": "Proc Filesystem" }));
            assert_eq!(attack["technique"]["name"], "OS Credential Dumping");
            let actor = &value["evidences"][0]["actor"]["process"];
            assert_eq!((&actor["pid"], &actor["user"]["uid"]), (&json!(20), &json!("1000")));
            assert_eq!(value["evidences"][1]["process"]["pid"], 10);
            assert!(value["evidences"][1]["process"].get("environment_variables").is_none());
        });
    }

    #[test]
    fn verdicts_are_the_classes_numbers() {
        assert_eq!(outcome("observed"), (3, "Observed", 15, "Detected"));
        assert_eq!(outcome("killed").0, 99);
    }
}
