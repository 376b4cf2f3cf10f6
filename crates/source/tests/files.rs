//! Env files and references to files, loaded into a vault.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not recognised as tests")]

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use envward_secret::{Backing, MAX_ENTRY, Vault};
use envward_source::{Dialect, EnvFile, FromEnv, NamedReference, Source, SourceError};

const MARK: &str = "s3kr1t";

fn vault() -> Vault {
    Vault::new(Backing::MemfdSecret).unwrap()
}

fn file(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn secret(name: &str, path: &Path) -> NamedReference {
    NamedReference::parse(OsStr::new(&format!("{name}=file:{}", path.display()))).unwrap()
}

#[test]
fn files_build_on_each_other_and_the_later_one_wins() {
    let directory = tempfile::tempdir().unwrap();
    let one = file(directory.path(), "one.env", "USER=me\nURL=db://${USER}\\u00e9@host\n");
    let two = file(directory.path(), "two.env", "# c\nUSER=\"${USER}too\"\nALL='${USER}'\n");
    let mut vault = vault();
    let sources: [Box<dyn Source>; 2] = [Box::new(EnvFile::new(&one)), Box::new(EnvFile::new(&two))];
    for source in &sources {
        source.load(&mut vault).unwrap();
    }
    assert!(vault.value("USER") == Some(b"metoo"));
    assert!(vault.value("URL") == Some("db://meé@host".as_bytes()));
    assert!(vault.value("ALL") == Some(b"${USER}"));
    let origins: Vec<_> = vault.entries().map(|entry| entry.origin.to_owned()).collect();
    assert_eq!(
        origins,
        [format!("{}:2", one.display()), format!("{}:2", two.display()), format!("{}:3", two.display())]
    );
    assert_eq!(sources[0].describe(), format!("env file {}", one.display()));
}

#[test]
fn a_referenced_file_is_a_value_without_its_last_line_break() {
    let directory = tempfile::tempdir().unwrap();
    let key = file(directory.path(), "key", "  line\r\nline\n\n");
    let mut vault = vault();
    let source = secret("KEY", &key);
    source.load(&mut vault).unwrap();
    assert!(vault.value("KEY") == Some(b"  line\r\nline\n"));
    assert_eq!(source.describe(), format!("KEY from file:{}", key.display()));
    assert_eq!(vault.entries().next().unwrap().origin, format!("file:{}", key.display()));
    let env = file(directory.path(), "a.env", "A=${KEY}x");
    EnvFile::new(env).load(&mut vault).unwrap();
    assert!(vault.value("A") == Some(b"  line\r\nline\nx"));
}

#[test]
fn the_process_environment_is_not_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    assert!(std::env::var_os("PATH").is_some());
    let env = file(directory.path(), "a.env", "A=1\nB=${PATH}\n");
    let error = EnvFile::new(&env).load(&mut vault()).unwrap_err();
    let expected =
        format!("{}:2:3: B: ${{PATH}} is not defined by an earlier line or an earlier source; ", env.display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn the_longest_value_fits_and_a_longer_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let longest = "v".repeat(MAX_ENTRY - "KEY=".len() - 1);
    let mut vault = vault();
    for ending in ["", "\n", "\r\n"] {
        let path = file(directory.path(), "long", format!("{longest}{ending}"));
        secret("KEY", &path).load(&mut vault).unwrap();
        assert_eq!(vault.value("KEY").map(<[u8]>::len), Some(longest.len()));
    }
    let env = file(directory.path(), "a.env", format!("KEY={longest}v\n"));
    let too_long = EnvFile::new(&env).load(&mut vault).unwrap_err();
    assert_eq!(
        too_long.to_string(),
        format!("the value of KEY ({}:1) is too long: name and value may have 131070 bytes", env.display())
    );
}

#[test]
fn what_is_wrong_is_told_with_the_place_and_without_a_value() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let missing = at.join("missing");
    let syntax = file(at, "syntax.env", "A=\"s3kr1t\nB=1\n");
    let latin = file(at, "latin.env", b"A=s3kr1t\xe9\n");
    let large = file(at, "large.env", "A=s3kr1t\n".repeat(200_000));
    let nul = file(at, "nul", "s3kr1t\0s3kr1t");
    let long = file(at, "long", MARK.repeat(40_000));
    let shown = at.display();
    let cases: [(Box<dyn Source>, String); 9] = [
        (
            Box::new(EnvFile::new(&missing)),
            format!(
                "cannot open {shown}/missing: No such file or directory (os error 2); \
                 check the path, which is relative to where envward runs"
            ),
        ),
        (
            Box::new(secret("KEY", &missing)),
            format!(
                "cannot open {shown}/missing: No such file or directory (os error 2); \
                 check the path, which is relative to where envward runs"
            ),
        ),
        (
            Box::new(EnvFile::new(at)),
            format!("cannot load env file {shown}: cannot read: Is a directory (os error 21)"),
        ),
        (
            Box::new(secret("KEY", at)),
            format!("cannot load KEY from file:{shown}: cannot read: Is a directory (os error 21)"),
        ),
        (
            Box::new(EnvFile::new(&syntax)),
            format!("{shown}/syntax.env:1:3: A: the value that starts here is not closed; "),
        ),
        (
            Box::new(EnvFile::new(&latin)),
            format!("{shown}/latin.env:1:9: this is not UTF-8; save the file in that encoding"),
        ),
        (
            Box::new(EnvFile::new(&large)),
            format!("cannot load env file {shown}/large.env: there is more than 1048576 bytes to read"),
        ),
        (
            Box::new(secret("KEY", &nul)),
            format!(
                "the value of KEY (file:{shown}/nul) contains a NUL byte, \
                 which no variable can hold"
            ),
        ),
        (
            Box::new(secret("KEY", &long)),
            format!("cannot load KEY from file:{shown}/long: there is more than 131074 bytes to read"),
        ),
    ];
    for (source, expected) in cases {
        let error = source.load(&mut vault()).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with(&expected), "{message}");
        let details = format!("{error:?} {}", source.describe());
        assert!(!(message + &details).contains(MARK));
    }
}

#[test]
fn no_permission_is_told_with_the_remedy() {
    let error = SourceError::Open { path: "/x".into(), source: io::Error::from(ErrorKind::PermissionDenied) };
    assert_eq!(
        error.to_string(),
        "cannot open /x: permission denied; the user that runs envward must be able to read it"
    );
}

#[test]
fn an_argument_of_from_env_is_a_name_only() {
    let source = FromEnv::parse(OsStr::new("TOKEN")).unwrap();
    assert_eq!(source.name(), "TOKEN");
    assert_eq!(source.describe(), "TOKEN from envward's own environment");
    for wrong in ["", "TOKEN=s3kr1t"] {
        let error = FromEnv::parse(OsStr::new(wrong)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(MARK));
    }
}

#[test]
fn a_process_with_threads_cannot_take_from_its_environment() {
    let name = OsStr::new("PATH");
    let worker = std::thread::spawn(move || FromEnv::parse(name).unwrap().load(&mut vault()));
    let error = worker.join().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot take PATH out of the environment: the environment can only be wiped \
         before this process starts its second thread"
    );
}

#[test]
fn every_dialect_knows_where_a_value_stands() {
    let text = b"A=1\n# \xc3\xa9\nBB='two'\nCCC=\"three\"\n";
    for dialect in Dialect::ALL {
        let mut vault = Vault::new(Backing::MemfdSecret).unwrap();
        EnvFile::new("").dialect(dialect).load_text(text, &mut vault).unwrap();
        let places: Vec<_> = vault.entries().map(|entry| (entry.name, entry.place)).collect();
        let expected = [("A", Some((1, 3))), ("BB", Some((3, 4))), ("CCC", Some((4, 5)))];
        assert_eq!(places, expected, "{dialect}");
    }
}
