//! What ends up in the launcher: it holds secrets and may trace, so nothing in it speaks to a
//! network or brings a scheduler of its own.

use crate::Finding;
use crate::metadata::Workspace;

/// The packages that make up the launcher.
const LAUNCHER: &[&str] = &[
    "envward-kernel",
    "envward-secret",
    "envward-redact",
    "envward-launch",
    "envward-policy",
    "envward-store",
    "envward",
];

/// Packages by name, or by the beginning of it when that ends in `*`.
const KEPT_OUT: &[&str] = &[
    "actix*",
    "async-*",
    "attohttpc",
    "curl*",
    "futures*",
    "h2",
    "h3*",
    "hickory-*",
    "hyper*",
    "isahc",
    "may",
    "mio*",
    "monoio*",
    "native-tls",
    "openssl*",
    "polling",
    "quinn*",
    "rayon*",
    "reqwest*",
    "rustls*",
    "smol*",
    "socket2",
    "surf",
    "tokio*",
    "tonic*",
    "trust-dns-*",
    "ureq*",
    "webpki*",
];

/// What is in the launcher all the same: a package and the one through which it gets there. The
/// library that age writes its header with depends on futures for writers that it does not use
/// here; nothing polls one, and nothing in them speaks to a network.
const EXCEPTIONS: &[(&str, &str)] = &[("futures", "cookie-factory"), ("futures-*", "futures*")];

/// Packages in the launcher that must not be there.
pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in workspace.members().filter(|package| LAUNCHER.contains(&package.name.as_str())) {
        for (found, wanting) in workspace.closure(package) {
            let excepted = EXCEPTIONS.iter().any(|(what, through)| matches(what, found) && matches(through, wanting));
            if !excepted && KEPT_OUT.iter().any(|pattern| matches(pattern, found)) {
                findings.push(format!("{} reaches {found} through {wanting}", package.name));
            }
        }
    }
    findings
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::workspace;

    #[test]
    fn a_runtime_two_steps_away_is_found() {
        let bad = workspace(&["envward-launch"], &["envward-launch -> nice", "nice -> tokio-util"]);
        assert_eq!(check(&bad), ["envward-launch reaches tokio-util through nice"]);
    }

    #[test]
    fn an_exception_holds_for_its_own_way_only() {
        let good = workspace(
            &["envward-store"],
            &["envward-store -> cookie-factory", "cookie-factory -> futures", "futures -> futures-util"],
        );
        assert_eq!(check(&good), [""; 0]);
        let bad = workspace(&["envward-store"], &["envward-store -> nice", "nice -> futures"]);
        assert_eq!(check(&bad), ["envward-store reaches futures through nice"]);
    }

    #[test]
    fn tests_and_other_packages_may_use_what_they_like() {
        let good = workspace(
            &["envward-launch", "envward-source"],
            &["envward-launch -dev> tokio", "envward-source -> ureq", "envward-launch -> h2o"],
        );
        assert_eq!(check(&good), [""; 0]);
    }
}
