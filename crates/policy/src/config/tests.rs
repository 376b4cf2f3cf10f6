use super::*;
use crate::mechanism::Mechanism;
use crate::rules::Rule;
use proptest::prelude::*;

mod declarations;
mod profiles;

/// Stands for a secret that was put into the file by mistake.
const MISPLACED: &str = "hunter2";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/app"))
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(parse("# only\n[run]\n[secrets]\n").unwrap(), Config::default());
}

#[test]
fn a_full_file_is_read() {
    let config = parse(
        r#"
        [run]
        env-files = ["app.env", "/abs/b.env"]
        mode = "sealed"
        require = ["memfd_secret", "all"]
        best-effort = ["yama"]

        [secrets.PGPASSWORD]
        source = "file:pg"
        only = ["*/psql", "/usr/bin/pg_dump"]
        deny = ["*/curl"]

        [secrets]
        TOKEN = { source = "fd:5" }
        INHERITED.source = "env"
        RULES_ONLY = { deny = ["/tmp/*"] }
        "#,
    )
    .unwrap();
    assert_eq!(config.env_files, [Path::new("/etc/app/app.env"), Path::new("/abs/b.env")]);
    assert_eq!(config.mode, Some(Mode::Sealed));
    assert_eq!(config.require, [Selection::One(Mechanism::MemfdSecret), Selection::All]);
    assert_eq!(config.best_effort, [Selection::One(Mechanism::Yama)]);
    let secrets: Vec<String> =
        config.secrets.iter().map(|secret| format!("{}={}", secret.name, secret.reference)).collect();
    assert_eq!(secrets, ["PGPASSWORD=file:/etc/app/pg", "TOKEN=fd:5", "INHERITED=env"]);
    let rules: Vec<String> = config.rules.iter().map(Rule::to_string).collect();
    assert_eq!(
        rules,
        [
            "only PGPASSWORD=*/psql",
            "only PGPASSWORD=/usr/bin/pg_dump",
            "deny PGPASSWORD=*/curl",
            "deny RULES_ONLY=/tmp/*"
        ]
    );
}

#[test]
fn all_may_be_a_plain_string() {
    let config = parse("[run]\nrequire = \"all\"\nbest-effort = \"no-core\"\n").unwrap();
    assert_eq!(config.require, [Selection::All]);
    assert_eq!(config.best_effort, [Selection::One(Mechanism::NoCore)]);
}

#[test]
fn without_a_directory_paths_stay_as_they_are() {
    let text = "[run]\nenv-files = [\"a\"]\n[secrets.A]\nsource = \"file:b\"\n";
    let config = Config::parse(text, Path::new("")).unwrap();
    assert_eq!(config.env_files, [Path::new("a")]);
    assert_eq!(config.secrets[0].reference, Reference::File("b".into()));
}

#[test]
fn wrong_files_are_told_with_place_and_remedy() {
    let unknown_mechanism = "no such mechanism; the mechanisms are memfd_secret, non-dumpable, \
                             supervision, fork-away, no-core, guard-pages, yama, perf-paranoid, \
                             or all";
    let no_value = "this file holds references, never values; put the value into a file of its \
                    own and write source = \"file:PATH\"";
    let no_table = "a secret is a table; write [secrets.NAME] and below it \
                    source = \"file:PATH\" (this file holds references, never values)";
    let no_reference = "not a reference to a secret; write file:PATH, fd:N, stdin or env \
                        (a value itself would be seen by everyone who reads this file)";
    let cases = [
        ("[runn]\n", "1:2: unknown key `runn` in the file; did you mean `run`?"),
        ("x = 1\n", "1:1: unknown key `x` in the file; known are run, store, inherit, variables, secrets, profiles"),
        ("[run]\n\nmod = \"full\"\n", "3:1: unknown key `mod` in [run]; did you mean `mode`?"),
        (
            "[run]\nfast = 1\n",
            "2:1: unknown key `fast` in [run]; known are env-files, dialect, dialects, mode, require, best-effort",
        ),
        ("[secrets.A]\nsorce = \"stdin\"\n", "2:1: unknown key `sorce` in a secret; did you mean `source`?"),
        ("[secrets.A]\nvalue = \"hunter2\"\n", &format!("2:1: {no_value}")),
        ("[secrets]\nA = \"hunter2\"\n", &format!("2:1: {no_table}")),
        ("[secrets]\nÜÄ.A = 1\n", "2:1: not TOML: "),
        ("[secrets.A]\nsource = \"hunter2\"\n", &format!("2:10: {no_reference}")),
        ("[secrets.A]\nsource = 7\n", "2:10: `source` is of type integer; it must be a string"),
        ("[secrets.\"\"]\n", "1:10: not a name of a variable; it must be UTF-8, not empty and without `=`"),
        ("[secrets.\"A=hunter2\"]\n", "1:10: not a name of a variable; it must be UTF-8, not empty and without `=`"),
        ("run = \"hunter2\"\n", "1:7: `run` is of type string; it must be a table"),
        ("secrets = [\"hunter2\"]\n", "1:11: `secrets` is of type array; it must be a table"),
        ("[run]\nenv-files = \"app.env\"\n", "2:13: `env-files` is of type string; it must be an array of strings"),
        ("[run]\nenv-files = [\"a\", true]\n", "2:19: `env-files` is of type boolean; it must be an array of strings"),
        ("[run]\nenv-files = [\"\"]\n", "2:14: an empty path; name a file"),
        (
            "[run]\nenv-files = [\"a.env\", \"b.env\"]\ndialects = { \"a.env\" = \"ruby\", \"c.env\" = \"ruby\" }\n",
            "3:32: the dialect of a file that is not among the env-files; write its path as it stands there, \
             one of a.env, b.env",
        ),
        (
            "[run]\ndialects = { \"a.env\" = \"ruby\" }\n",
            "2:14: the dialect of a file that is not read: there are no env-files; \
             list the file there, or leave this out",
        ),
        ("[run]\nmode = \"strong\"\n", "2:8: no such mode; the modes are full, supervised and sealed"),
        ("[run]\nrequire = [\"memfd_secret\", \"memfd\"]\n", &format!("2:28: {unknown_mechanism}")),
        ("[run]\nbest-effort = \"some\"\n", &format!("2:15: {unknown_mechanism}")),
        (
            "[run]\nrequire = [\"yama\"]\nbest-effort = [\"yama\"]\n",
            "3:15: yama is both required and best effort; leave out one of them",
        ),
        (
            "[secrets.A]\nonly = []\n",
            "2:8: an empty `only` would keep the secret from every program; \
             name programs or leave it out",
        ),
        (
            "[secrets.A]\nonly = [\"*/ok\", \"psql\"]\n",
            "2:17: A: the pattern can match no path, as paths of programs start with `/`; \
             start it with `/` or `*`, as in */psql",
        ),
        ("[run\n", "1:5: not TOML: "),
        ("[run]\nmode = full\n", "2:8: not TOML: "),
        ("[run]\nmode = \"full\"\nmode = \"full\"\n", "3:1: not TOML: duplicate key"),
        ("[secrets.A]\nsource = \"hunter2\n", "2:18: not TOML: "),
        ("[secrets.A]\nsource = hunter2\n", "2:10: not TOML: "),
    ];
    for (text, message) in cases {
        let error = parse(text).unwrap_err();
        let shown = error.to_string();
        if message.ends_with("TOML: ") {
            assert!(shown.starts_with(message), "{text}: {shown}");
        } else {
            assert_eq!(shown, message, "{text}");
        }
        assert!(!format!("{error} {error:?}").contains(MISPLACED), "{shown}");
        assert_eq!(shown.split(": ").next(), Some(&*format!("{}:{}", error.line(), error.column())));
    }
}

#[test]
fn the_first_error_of_the_file_is_told() {
    let error = parse("[secrets.Z]\nz = 1\n[secrets.A]\na = 1\n[run]\nb = 1\n").unwrap_err();
    assert_eq!(error.line(), 2);
}

#[test]
fn columns_count_characters() {
    let error = parse("[run]\n\"ü\" = 1\n").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 1));
    let error = parse("[secrets.\"üü\"]\nonly = [\"/ü\", 1]\n").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 15));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_read_or_refused(text in "[\\[\\]{}=\".,'#a-z\\n é-]{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.line() <= text.lines().count() + 1);
        }
    }

    /// Wherever a secret is put as a value by mistake, no message shows it.
    #[test]
    fn no_message_shows_a_misplaced_value(
        before in prop::sample::select(vec![
            "", "[run]\n", "[secrets]\n", "[secrets.A]\n", "[run]\nmode = \"full\"\n", "[run\n",
            "[variables]\n", "[variables.A]\n", "[variables.A]\nsecret = false\ntype = \"port\"\n", "[inherit]\n",
            "[profiles.p]\n", "[profiles.p.variables.A]\ntype = \"json\"\n", "[profiles]\n",
        ]),
        key in prop::sample::select(vec![
            "value", "source", "only", "deny", "mode", "require", "env-files", "A", "A.value", "x",
            "type", "default", "values", "required", "secret", "extends", "allow", "secrets.A", "run",
        ]),
        around in prop::sample::select(vec![
            ("\"", "\""), ("'", "'"), ("", ""), ("\"", ""), ("[\"", "\"]"), ("{ x = \"", "\" }"),
            ("\"\"\"", "\"\"\""), ("\"\\u", "\""), ("[[\"", "\"]]"), ("\"", "\" x"), ("1", ""),
        ]),
    ) {
        let text = format!("{before}{key} = {}{MISPLACED}{}\n", around.0, around.1);
        for error in File::parse(&text, Path::new("")).err().into_iter().flatten() {
            let shown = format!("{error} {error:?} {} {}", error.message(), error.excerpt());
            prop_assert!(!shown.contains(MISPLACED), "{shown}");
        }
    }
}
