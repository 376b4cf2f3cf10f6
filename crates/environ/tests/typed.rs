//! Variables as Rust types. One test: the environment is the whole process's.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are not recognised as tests")]

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use envward_environ::{self as environ, FromVariable, NonEmpty, Url, Value};

const NAME: &str = "ENVWARD_TYPED";

fn shown<T: FromVariable>(value: &[u8]) -> String {
    environ::set(NAME, OsStr::from_bytes(value)).unwrap();
    let error = environ::require::<T>(NAME).err().unwrap_or_else(|| panic!("a value was taken as a type"));
    assert_eq!(error.name(), NAME);
    format!("{error}|{error:?}")
}

fn taken<T: FromVariable>(value: &str) -> T {
    environ::set(NAME, value).unwrap();
    environ::require(NAME).unwrap()
}

#[test]
fn variables_are_taken_as_types() {
    values();
    messages();
    missing();
    cases_of_the_declarations();
}

fn values() {
    assert_eq!(taken::<u16>("8080"), 8080);
    assert_eq!(taken::<i64>("-1"), -1);
    assert_eq!(taken::<NonZero<u32>>("7").get(), 7);
    assert!((taken::<f64>("1.5e1") - 15.0).abs() < f64::EPSILON);
    assert!(taken::<bool>("Yes") && !taken::<bool>("OFF"));
    assert_eq!(taken::<char>("é"), 'é');
    assert_eq!(taken::<String>(""), "");
    assert_eq!(taken::<PathBuf>("/a b"), PathBuf::from("/a b"));
    assert_eq!(taken::<IpAddr>("::1"), "::1".parse::<IpAddr>().unwrap());
    assert_eq!(taken::<SocketAddr>("127.0.0.1:80").port(), 80);
    assert_eq!(&*taken::<NonEmpty>("x"), "x");
    assert_eq!(taken::<Vec<u16>>("1, 2,3"), [1, 2, 3]);
    assert_eq!(taken::<Vec<String>>("a,b c"), ["a", "b c"]);
    assert_eq!(taken::<Vec<String>>(""), [""; 0]);
    let url = taken::<Url>("postgres://user:pass@host/db");
    assert_eq!((url.scheme(), url.as_str().len()), ("postgres", 28));
    assert!(!format!("{url:?}").contains("pass"));
    // The value stays as it was, in place, whatever becomes of the variable.
    let value = taken::<Value>("kept");
    environ::remove(NAME).unwrap();
    assert_eq!(&value, "kept");
}

fn messages() {
    for (shown, message) in [
        (shown::<u16>(b"hunter2"), "must be an integer from 0 to 65535"),
        (shown::<u16>(b"65536"), "must be an integer from 0 to 65535"),
        (shown::<i8>(b" 1"), "must be an integer from -128 to 127"),
        (shown::<NonZero<u8>>(b"0"), "must be an integer from 0 to 255, and not 0"),
        (shown::<f32>(b"nan"), "must be a number"),
        (shown::<f64>(b"1e999"), "must be a number"),
        (shown::<bool>(b"hunter2"), "must be a boolean: true or false"),
        (shown::<char>(b"hunter2"), "must be one character"),
        (shown::<String>(b"hunter2\xff"), "must be text in UTF-8"),
        (shown::<Url>(b"hunter2"), "must be a URL"),
        (shown::<Url>(b"https://hunter2 "), "must be a URL"),
        (shown::<IpAddr>(b"hunter2"), "must be an IP address"),
        (shown::<Vec<u16>>(b"1,hunter2"), "must be a list of integers from 0 to 65535 with commas between"),
        (shown::<u16>(b""), "is empty"),
        (shown::<NonEmpty>(b""), "is empty"),
    ] {
        assert!(shown.starts_with(&format!("the variable {NAME} {message}")), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

fn missing() {
    environ::remove(NAME).unwrap();
    let error = environ::require::<u16>(NAME).unwrap_err();
    assert_eq!(error.to_string(), "the variable ENVWARD_TYPED is not set");
    assert_eq!(environ::optional::<u16>(NAME), Ok(None));
    assert_eq!(environ::or(NAME, 7_u16), Ok(7));
    assert!(environ::one_of(NAME, &[("a", 1)]).is_err());

    environ::set(NAME, "").unwrap();
    assert_eq!(environ::optional::<u16>(NAME), Ok(None));
    assert_eq!(environ::or(NAME, 7_u16), Ok(7));

    // A mistake is not a reason for the default.
    environ::set(NAME, "hunter2").unwrap();
    assert!(environ::optional::<u16>(NAME).is_err() && environ::or(NAME, 7_u16).is_err());
    let error = environ::one_of(NAME, &[("debug", 0), ("info", 1)]).unwrap_err();
    assert_eq!(error.to_string(), "the variable ENVWARD_TYPED must be one of debug, info");
    environ::set(NAME, "info").unwrap();
    assert_eq!(environ::one_of(NAME, &[("debug", 0), ("info", 1)]), Ok(1));
}

/// What `envward check` lets pass as an integer, a float, a boolean or a port, the getters take.
fn cases_of_the_declarations() {
    let cases = include_str!("../../policy/tests/types.txt");
    let mut count = 0;
    for line in cases.lines() {
        let mut parts = line.splitn(3, ' ');
        let (Some(name), Some(verdict)) = (parts.next(), parts.next()) else { continue };
        let value = parts.next().unwrap_or_default();
        let value = value.replace("\\n", "\n").replace("\\s", " ");
        environ::set(NAME, &value).unwrap();
        let is_taken = match name {
            "integer" => environ::require::<i64>(NAME).is_ok() || environ::require::<u64>(NAME).is_ok(),
            "float" => environ::require::<f64>(NAME).is_ok(),
            "boolean" => environ::require::<bool>(NAME).is_ok(),
            "url" if verdict == "yes" => environ::require::<Url>(NAME).is_ok(),
            "port" if verdict == "yes" => environ::require::<u16>(NAME).is_ok(),
            "non-empty" => environ::require::<NonEmpty>(NAME).is_ok(),
            _ => continue,
        };
        assert_eq!(is_taken, verdict == "yes", "{line}");
        count += 1;
    }
    assert!(count > 40, "{count} cases");
}
