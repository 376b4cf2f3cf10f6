//! What a program gets of envward's own environment.

use super::project::Project;

const ENVIRONMENT: &[(&str, &str)] =
    &[("HOME", "/h"), ("LC_ALL", "C"), ("LC_TIME", "C"), ("AWS_KEY", "1"), ("LISTED", "plain"), ("KEEP", "1")];

/// The names that a program gets, with these options and this `[inherit]`.
fn names(project: &Project, options: &[&str]) -> String {
    let arguments = [&["run", "-q", "--secret", "S=file:s"], options, &["--", "env"]].concat();
    let said = project.run_with(&arguments, ENVIRONMENT);
    assert_eq!(said.code, 0, "{}", said.err);
    let mut names: Vec<&str> = said.out.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    names.join(" ")
}

#[test]
fn lists_say_what_is_inherited() {
    let project = |inherit: &str| {
        let config =
            format!("{inherit}\n[variables]\nLISTED.secret = false\nD = {{ secret = false, default = \"d\" }}\n");
        Project::new(&[("envward.toml", &config), ("s", "x")])
    };
    let all = "AWS_KEY D HOME KEEP LC_ALL LC_TIME LISTED PATH S";
    for (inherit, options, expected) in [
        ("", &[][..], all),
        ("[inherit]\n", &[], all),
        ("[inherit]\ndeny = [\"AWS_*\", \"LISTED\"]", &[], "D HOME KEEP LC_ALL LC_TIME PATH S"),
        ("[inherit]\nallow = []", &[], "D LISTED S"),
        ("[inherit]\nallow = [\"LC_*\", \"PA?H\"]\ndeny = [\"LC_ALL\"]", &[], "D LC_TIME LISTED PATH S"),
        ("", &["--pristine"], "D LISTED S"),
        ("[inherit]\nallow = [\"HOME\"]", &["--pristine"], "D HOME LISTED S"),
        ("", &["--pristine", "--inherit", "PATH", "--inherit", "LC_*"], "D LC_ALL LC_TIME LISTED PATH S"),
        ("", &["--inherit", "HOME"], "D HOME LISTED S"),
        ("[inherit]\ndeny = [\"HOME\"]", &["--inherit", "HOME"], "D LISTED S"),
        ("", &["--no-config", "--pristine"], "S"),
    ] {
        // A denied variable that is required would stop the start.
        let inherit =
            inherit.replace(", \"LISTED\"]", ", \"LISTED\"]\n[variables.LISTED]\nrequired = false\nsecret = false");
        let project = if inherit.contains("[variables") {
            Project::new(&[
                ("envward.toml", &format!("{inherit}\n[variables.D]\nsecret = false\ndefault = \"d\"\n")),
                ("s", "x"),
            ])
        } else {
            project(&inherit)
        };
        assert_eq!(names(&project, options), expected, "{inherit} {options:?}");
    }
}

#[test]
fn a_required_variable_that_is_denied_is_missing() {
    let config = "[inherit]\ndeny = [\"A\"]\n[variables.A]\nsecret = false\n[variables.B]\n";
    let project = Project::new(&[("envward.toml", config)]);
    let said = project.run_with(&["run", "--", "true"], &[("A", "1"), ("B", "1")]);
    said.complains(125, &["envward.toml:3: A: required, and no source has it; `deny` of [inherit] keeps the one in the environment out\n"]);
    project
        .run(&["run", "--inherit", "A=B", "--", "true"])
        .complains(125, &["--inherit: the pattern can match no name"]);
}

/// The program is found on envward's own `PATH`, which it need not get.
#[test]
fn a_program_is_found_without_a_path_of_its_own() {
    let project = Project::new(&[("s", "x"), ("bin/only-here", "#!/bin/sh\n/usr/bin/env\n")]);
    let script = project.path("bin/only-here");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = project.path("bin");
    let arguments = ["run", "-q", "--pristine", "--secret", "S=file:s", "--", "only-here"];
    let said = project.run_with(&arguments, &[("PATH", path.to_str().unwrap())]);
    said.expect(0, &["S=x\n"]);
    assert!(!said.out.contains("bin"), "{}", said.out);
}
