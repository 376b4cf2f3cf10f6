//! Chains of programs that differ in width, libc, user or namespace.

use std::ffi::OsString;

use envward_testkit::{Identity, Language, interpreter, require_root, stage, tool};

use crate::{BOTH, behind_a_shell, leaf};

/// 64 to 32 bit and back, dynamic and static, each having the secret.
#[test]
fn between_64_and_32_bit() {
    let stage = stage!();
    let links = [
        Language::C,
        Language::I386,
        Language::CStatic,
        Language::I386Static,
        Language::Musl,
        Language::I386,
        Language::I386Static,
        Language::CStaticPie,
    ]
    .map(|language| stage.program(language, "check"));
    let command: Vec<OsString> = links.iter().flat_map(|link| stage.asked([link])).collect();
    let holders: Vec<_> = links.iter().map(|link| &**link).collect();
    for identity in BOTH {
        stage.trial(command.clone()).identity(identity).says(&["seen"; 8]).holders(&holders).run();
    }
}

/// Across languages, each starting the next.
#[test]
fn through_every_runtime() {
    let stage = stage!();
    let classes = stage.classes("Check").into_os_string();
    let script =
        |name: &str, package: &str, script: &str| stage.asked([interpreter(name, package), stage.script(script)]);
    let command = [
        script("bash", "bash", "check.sh"),
        script("python3", "python3", "check.py"),
        stage.asked([stage.program(Language::Go, "check")]),
        script("perl", "perl", "check.pl"),
        stage.asked([
            interpreter("java", "default-jre-headless").as_os_str(),
            "-cp".as_ref(),
            &classes,
            "Check".as_ref(),
        ]),
        script("ruby", "ruby", "check.rb"),
        stage.asked([stage.program(Language::RustStatic, "check")]),
        script("node", "nodejs", "check.js"),
        stage.asked([stage.program(Language::I386Static, "check")]),
        script("php", "php-cli", "check.php"),
        leaf(&stage),
    ]
    .concat();
    let leaf_program = stage.program(Language::C, "check");
    for identity in BOTH {
        stage.trial(command.clone()).identity(identity).says(&["seen"; 11]).holders(&[&leaf_program]).run();
    }
}

/// The commands that people put in front of commands.
#[test]
fn through_wrappers() {
    let wrappers = [
        "env",
        "nice",
        "nohup",
        "setsid -w",
        "stdbuf -oL",
        "timeout 60",
        "ionice -c3",
        "chrt --other 0",
        "taskset -c 0",
        "unshare",
        "prlimit --nofile=256",
        "setarch --addr-no-randomize",
        "setpriv --no-new-privs",
        "flock lock",
        "sh -c 'exec \"$@\"' sh",
    ];
    let stage = stage!();
    let _ = tool("setpriv", "util-linux");
    let leaf_program = stage.program(Language::C, "check");
    for wrapper in wrappers.iter().map(ToString::to_string).chain([wrappers.join(" ")]) {
        let mut command: Vec<OsString> =
            ["/bin/sh", "-c", &format!("{wrapper} \"$@\"; exit $?"), "sh"].map(Into::into).to_vec();
        command.extend(leaf(&stage));
        for identity in BOTH {
            stage.trial(command.clone()).identity(identity).says(&["seen"]).holders(&[&leaf_program]).run();
        }
    }
}

/// A service that starts as root and drops to another user keeps its secrets.
#[test]
fn through_a_change_of_user() {
    require_root("a change of user");
    let stage = stage!();
    let leaf_program = stage.program(Language::C, "check");
    let setpriv = tool("setpriv", "util-linux");
    let mut command = stage.asked([stage.program(Language::C, "check")]);
    command.push(setpriv.into());
    command.extend(["--reuid=65534", "--regid=65534", "--clear-groups"].map(Into::into));
    command.extend(stage.asked([stage.shell(), stage.script("check.sh")]));
    command.extend(leaf(&stage));
    stage.trial(command).says(&["seen"; 3]).holders(&[&stage.shell(), &leaf_program]).run();
}

/// Namespaces that a sandbox or a container tool in the tree would make. In a
/// PID namespace of its own a process has another number for itself.
#[test]
fn through_namespaces() {
    let stage = stage!();
    let leaf_program = stage.program(Language::C, "check");
    let unshare = tool("unshare", "util-linux");
    let mut wrappers = vec![(Identity::Unprivileged, vec!["--user", "--map-root-user", "--pid", "--fork"])];
    if envward_testkit::is_root() {
        wrappers.push((Identity::Caller, vec!["--pid", "--fork", "--mount-proc"]));
        wrappers.push((Identity::Caller, vec!["--user", "--map-root-user"]));
        wrappers.push((Identity::Caller, vec!["--mount", "--uts", "--ipc", "--net"]));
    }
    for (identity, options) in wrappers {
        let mut inner = vec![unshare.clone().into_os_string()];
        inner.extend(options.into_iter().map(OsString::from));
        inner.extend(stage.asked([stage.shell(), stage.script("check.sh")]));
        inner.extend(leaf(&stage));
        stage
            .trial(behind_a_shell(&stage, inner))
            .identity(identity)
            .says(&["seen"; 3])
            .holders(&[&stage.shell(), &leaf_program])
            .run();
    }
}

/// A path that only the program has: a file system that is mounted in its own
/// mount namespace. Found through PATH, past a directory that is missing.
#[test]
fn through_a_private_mount() {
    require_root("mounts");
    let stage = stage!();
    let leaf_program = stage.program(Language::C, "check");
    let directory = stage.room.directory("mounted", Identity::Caller);
    let text = format!(
        "mount -t tmpfs tmpfs {0} && cp {1} {0}/private && PATH=/nonexistent:{0}:/usr/bin && \
         cd {0} && env private \"$1\" \"$2\" env ./private \"$1\" \"$2\" \"$0\" \"$1\" \"$2\"; exit $?",
        directory.display(),
        leaf_program.display()
    );
    let mut inner: Vec<OsString> = vec![tool("unshare", "util-linux").into()];
    inner.extend(["--mount", "/bin/sh", "-c", &text].map(Into::into));
    inner.extend(leaf(&stage));
    stage.trial(behind_a_shell(&stage, inner)).says(&["seen"; 4]).holders(&[&stage.shell(), &leaf_program]).run();
}

/// A root directory with nothing but the program: no /proc, no libc, no vDSO
/// lookup by path.
#[test]
fn through_chroot() {
    require_root("chroot");
    let stage = stage!();
    let program = stage.program(Language::Musl, "check");
    let name = program.file_name().expect("a program has a name");
    let inside = std::path::Path::new("/").join(name);
    let mut inner: Vec<OsString> = vec![tool("chroot", "coreutils").into(), stage.room.path().into()];
    inner.extend(stage.asked([&inside]));
    inner.extend(stage.asked([&inside]));
    stage.trial(behind_a_shell(&stage, inner)).says(&["seen"; 3]).holders(&[&stage.shell(), &program]).run();
}
