//! The corner cases: as the host's libc has them, but for a list of decisions. The table in
//! docs/environment.md has the reasons.

use std::collections::BTreeMap;

use super::harness::{Libc, Program};

/// What differs from glibc: the case, glibc's answer and ours.
const DECISIONS: &[(&str, &str, &str)] = &[
    ("name with sign, getenv", "bad", "(null)"),
    ("getenv(NULL)", "killed by signal 11", "(null)"),
    ("setenv(X, NULL)", "killed by signal 11", "-1 errno EINVAL"),
    ("putenv(empty)", "0", "-1 errno EINVAL"),
    ("assigned array untouched by overwrite", "0", "1"),
    ("restored", "[O=1] [NEW=v]", "[C2=two] [C3=3] [C1=again]"),
    ("environ++", "[NEW=v]", "[C3=3] [C1=again]"),
    ("free(environ)", "killed by signal 11", "and on: x"),
];

fn cases(output: &[u8]) -> BTreeMap<String, String> {
    String::from_utf8_lossy(output)
        .lines()
        .map(|line| {
            // The one case that reads on when it lives.
            if let Some(rest) = line.strip_prefix("free(environ) ") {
                return ("free(environ)".to_owned(), rest.to_owned());
            }
            let (case, answer) = line.split_once(':').unwrap();
            (case.to_owned(), answer.trim().to_owned())
        })
        .collect()
}

#[test]
fn corner_cases_are_those_of_glibc_or_decided() {
    for libc in [Libc::Glibc, Libc::Newer] {
        corner_cases_are_decided(libc);
    }
}

fn corner_cases_are_decided(libc: Libc) {
    let program = Program::new("corners", libc);
    let mut host = cases(&program.command().output().unwrap().stdout);
    let host_free = host.remove("free(environ)").unwrap();
    host.insert("free(environ)".to_owned(), host_free);
    let ours = cases(&program.preloaded().output().unwrap().stdout);
    assert!(host.len() > 50, "{host:?}");
    for (case, answer) in &ours {
        let decided = DECISIONS.iter().find(|(decided, _, _)| decided == case);
        match decided {
            Some((_, glibc, envward)) => {
                assert_eq!(answer, envward, "{libc:?} {case}");
                assert_eq!(&host[case], glibc, "{libc:?} {case}: this glibc is another than the table's");
            }
            None => assert_eq!(answer, &host[case], "{libc:?} {case}"),
        }
    }
    assert_eq!(host.len(), ours.len());
}

/// The same object gives the same answers on musl. (musl itself dies in the middle of them.)
#[test]
fn corner_cases_are_the_same_on_musl() {
    let glibc = Program::new("corners", Libc::Glibc).preloaded().output().unwrap();
    let musl = Program::new("corners", Libc::Musl).preloaded().output().unwrap();
    assert!(musl.status.success());
    assert_eq!(String::from_utf8_lossy(&glibc.stdout), String::from_utf8_lossy(&musl.stdout));
}
