//! `[profiles.NAME]`.

use super::*;

const FILE: &str = r#"
    [run]
    env-files = ["app.env"]
    require = ["yama", "memfd_secret"]
    mode = "supervised"

    [inherit]
    deny = ["AWS_*"]

    [variables.LOG_LEVEL]
    secret = false
    type = "enum"
    values = ["debug", "info"]
    default = "debug"

    [secrets.DB]
    source = "file:dev"
    only = ["*/psql"]
    description = "the database"

    [profiles.base]
    run.env-files = ["base.env"]
    run.best-effort = ["yama"]

    [profiles.staging]
    extends = "base"
    run.env-files = ["staging.env"]
    run.mode = "full"
    inherit.allow = ["PATH"]
    variables.LOG_LEVEL.required = true
    secrets.DB = { source = "file:staging", only = ["*/pg_dump"] }
    variables.EXTRA.required = false

    [profiles.last]
    extends = "staging"
    run.require = "all"
    secrets.DB.deny = ["*/curl"]
    variables.LOG_LEVEL = { type = "string", default = "x" }
"#;

fn select(name: Option<&str>) -> Config {
    File::parse(FILE, Path::new("")).unwrap().select(name).unwrap()
}

#[test]
fn without_a_profile_the_file_counts() {
    let config = select(None);
    assert_eq!(config.env_files, [Path::new("app.env")]);
    assert_eq!(config.mode, Some(Mode::Supervised));
    assert!(config.profiles.is_empty() && config.variable("EXTRA").is_none());
    assert_eq!(config.variable("LOG_LEVEL").unwrap().default.as_deref(), Some("debug"));
}

#[test]
fn a_profile_stands_on_what_it_extends() {
    let config = select(Some("staging"));
    assert_eq!(config.profiles, ["staging", "base"]);
    assert_eq!(config.env_files, ["app.env", "base.env", "staging.env"].map(Path::new));
    assert_eq!(config.mode, Some(Mode::Full));
    assert_eq!(config.require, [Selection::One(Mechanism::MemfdSecret)]);
    assert_eq!(config.best_effort, [Selection::One(Mechanism::Yama)]);
    let level = config.variable("LOG_LEVEL").unwrap();
    assert_eq!((level.default.as_deref(), level.required, level.kind.name()), (None, true, "enum"));
    let db = config.variable("DB").unwrap();
    assert_eq!(db.source, Some(Reference::File("staging".into())));
    assert_eq!(db.description.as_deref(), Some("the database"));
    assert!(!config.variable("EXTRA").unwrap().required);
    let rules: Vec<String> = config.rules.iter().map(Rule::to_string).collect();
    assert_eq!(rules, ["only DB=*/pg_dump"]);
    // One list is replaced, the other stays.
    let passes = |name: &[u8]| config.inherit.passage(name, false) == crate::inherit::Passage::Passes;
    assert!(passes(b"PATH") && !passes(b"HOME") && !passes(b"AWS_REGION"));
}

#[test]
fn profiles_stand_on_profiles() {
    let config = select(Some("last"));
    assert_eq!(config.profiles, ["last", "staging", "base"]);
    assert_eq!((&config.require[..], &config.best_effort[..]), (&[Selection::All][..], &[][..]));
    let rules: Vec<String> = config.rules.iter().map(Rule::to_string).collect();
    assert_eq!(rules, ["only DB=*/pg_dump", "deny DB=*/curl"]);
    let level = config.variable("LOG_LEVEL").unwrap();
    assert_eq!((level.default.as_deref(), level.required, &level.kind), (Some("x"), false, &Kind::String));
}

#[test]
fn unknown_profiles_are_told_with_those_that_there_are() {
    let file = File::parse(FILE, Path::new("")).unwrap();
    for (name, message) in [
        ("stagin", "the file has no such profile; did you mean `staging`?"),
        ("zzz", "the file has no such profile; its profiles are base, staging, last"),
    ] {
        assert_eq!(file.select(Some(name)).unwrap_err().to_string(), message);
    }
    let none = File::default().select(Some("x")).unwrap_err();
    assert_eq!(none.to_string(), "the file has no profiles");
}

#[test]
fn wrong_profiles_are_told() {
    let cases: &[(&str, &[&str])] = &[
        ("[profiles.a]\nextends = \"a\"\n", &["2:11: profiles that extend each other in a circle: a → a"]),
        (
            "[profiles.a]\nextends = \"b\"\n[profiles.b]\nextends = \"c\"\n[profiles.c]\nextends = \"a\"\n",
            &["2:11: profiles that extend each other in a circle: a → b → c → a"],
        ),
        // What only leads to the circle is not told.
        (
            "[profiles.x]\nextends = \"a\"\n[profiles.a]\nextends = \"b\"\n[profiles.b]\nextends = \"a\"\n",
            &["4:11: profiles that extend each other in a circle: a → b → a"],
        ),
        ("[profiles.a]\nextends = \"aa\"\n[profiles.ab]\n", &["2:11: no such profile; the profiles are a, ab"]),
        (
            "[profiles.a]\nextends = \"stagin\"\n[profiles.staging]\n",
            &["2:11: no such profile; did you mean `staging`?"],
        ),
        ("[profiles.\"a b\"]\n", &["1:11: not a name of a profile"]),
        ("[profiles]\na = 1\n", &["2:5: `a` is of type integer; it must be a table"]),
        ("[profiles.a]\nenv-files = []\n", &["2:1: unknown key `env-files` in [profiles.a]; known are extends, run,"]),
        ("[profiles.a.run]\nmod = 1\n", &["2:1: unknown key `mod` in [run]; did you mean `mode`?"]),
        (
            "[variables.A]\nsecret = false\ndefault = 1\n[profiles.p]\nvariables.A.secret = true\n",
            &["3:11: in the profile p: A: a default for a secret would be"],
        ),
        (
            "[variables.A]\nsecret = false\ntype = \"port\"\ndefault = 1\n[profiles.p]\nvariables.A.default = \"x\"\n",
            &["6:23: in the profile p: A: the default must be a port"],
        ),
        // What is wrong below is told once.
        ("[variables.A]\ndefault = 1\n[profiles.p]\n[profiles.q]\n", &["2:11: A: a default for a secret would be"]),
    ];
    for (text, messages) in cases {
        let errors = File::parse(text, Path::new("")).expect_err(text);
        assert_eq!(errors.len(), messages.len(), "{text}: {errors:?}");
        for (error, message) in errors.iter().zip(*messages) {
            assert!(error.to_string().starts_with(message), "{text}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever profiles extend, the file is refused or every profile can be taken.
    #[test]
    fn profiles_end(extends in prop::collection::vec(prop::option::of(0..6_usize), 1..6)) {
        let mut text = String::new();
        for (index, above) in extends.iter().enumerate() {
            text += &format!("[profiles.p{index}]\n");
            if let Some(above) = above {
                text += &format!("extends = \"p{above}\"\n");
            }
        }
        let leads_nowhere = |mut at: usize| {
            for _ in 0..=extends.len() {
                match extends.get(at) {
                    None => return true,
                    Some(None) => return false,
                    Some(Some(next)) => at = *next,
                }
            }
            true
        };
        match File::parse(&text, Path::new("")) {
            Ok(file) => for index in 0..extends.len() {
                prop_assert!(!leads_nowhere(index));
                let config = file.select(Some(&format!("p{index}"))).unwrap();
                prop_assert_eq!(&config.profiles[0], &format!("p{index}"));
            },
            Err(errors) => {
                prop_assert!((0..extends.len()).any(leads_nowhere), "{text} {errors:?}");
            }
        }
    }
}
