//! What the program writes, and what comes out.

use std::fs;
use std::process::Stdio;
use std::thread;

use crate::stage::case::{Case, FULL, FULL_REDACTING, REDACTING};
use crate::stage::job::{Ended, SETTLE, Start};
use crate::stage::{Secrets, random, stage};

const NAME: &str = "API_TOKEN";
const MARKER: &str = "[redacted API_TOKEN]";

/// A shell script behind `envward run --redact`.
fn script(case: &Case, text: &str) -> Start {
    Start::new(case, ["sh", "-c", text])
}

/// A script with one secret of this value, and no other.
fn with_value(case: &Case, value: &[u8], text: &str) -> Start {
    let path = stage().scratch(case.uid).join("value");
    fs::write(&path, value).expect("secret file");
    let reference = format!("{NAME}=file:{}", path.display());
    script(case, text).no_env_file().option("--secret").option(reference)
}

#[test]
fn both_streams_are_redacted_and_stay_apart() {
    for case in REDACTING {
        let output = script(&case, "echo \"<$API_TOKEN>\"; echo \"err $DB_PASSWORD$API_TOKEN\" >&2; exit 7").output();
        assert_eq!(output.ended, Ended::Exit(7), "{}", case.name);
        assert_eq!(output.out, [format!("<{MARKER}>")], "{}", case.name);
        assert_eq!(output.err, [format!("err [redacted DB_PASSWORD]{MARKER}")], "{}", case.name);
    }
    // Without the flag it all comes through, or the test would show nothing.
    let start = script(&FULL, "echo \"$API_TOKEN\"");
    let secret = start.given().expect("secrets").value(NAME);
    assert!(start.output().out[0].as_bytes() == secret, "without --redact nothing is changed");
}

#[test]
fn what_real_encoders_write_is_redacted() {
    // Encoders of other people, so that we do not agree with ourselves only.
    let value = b"k/+ \"q\\\xc3\xa9 %41_\xf0\x9f\x98\x80=end";
    let python = "import base64, binascii, json, os, sys, urllib.parse
v = os.environb[b'API_TOKEN']; t = v.decode()
for b in (base64.b64encode(v), base64.urlsafe_b64encode(v), base64.b64encode(b'x' + v), base64.b64encode(b'xx' + v + b'y'),
          base64.b64encode(b'user:' + v).rstrip(b'='), binascii.hexlify(v), binascii.hexlify(v).upper()):
    print(b.decode())
for s in (t, json.dumps(t), json.dumps(t, ensure_ascii=False), json.dumps({'k': [t]}), json.dumps(t).replace('/', '\\\\/'),
          urllib.parse.quote(t), urllib.parse.quote(t, safe=''), urllib.parse.quote_plus(t), urllib.parse.urlencode({'a': t, 'b': 1})):
    print(s)
sys.stdout.flush()
";
    for case in REDACTING {
        let path = stage().scratch(case.uid).join("encode.py");
        fs::write(&path, python).expect("script");
        let output = with_value(&case, value, &format!("exec python3 {}", path.display())).output();
        assert_eq!(output.ended, Ended::Exit(0), "python3 is missing? apt-get install python3: {:?}", output.err);
        assert_eq!(output.out.len(), 16, "{}", case.name);
        for line in &output.out {
            // What is left is what was around the value: quotes, other bytes' base64, padding.
            let rest = line.replacen(MARKER, "", 1);
            assert!(rest.len() < line.len() && rest.len() <= 12, "{}: left of a line: {rest:?}", case.name);
        }
    }
}

#[test]
fn a_value_in_pieces_is_redacted() {
    let text = "a=${API_TOKEN%????????????????????}; b=${API_TOKEN#$a};
        printf 'one %s' \"$a\"; sleep 0.3; printf '%s two\\n' \"$b\";
        t=$API_TOKEN; while [ -n \"$t\" ]; do r=${t#?}; printf %s \"${t%\"$r\"}\"; t=$r; done; echo";
    for case in REDACTING {
        let output = script(&case, text).output();
        assert_eq!(output.out, [format!("one {MARKER} two"), MARKER.to_owned()], "{}", case.name);
    }
}

#[test]
fn a_prompt_appears_while_the_program_waits() {
    for case in REDACTING {
        let mut job = script(&case, "printf 'Name? \\n'; printf 'Go: '; read x; echo \"$API_TOKEN\"").spawn();
        assert_eq!(job.line(), "Name? ", "{}", case.name);
        // What has no line end is not seen by this reader until there is one; so look at the pipe.
        job.write("y\n");
        assert_eq!(job.line(), format!("Go: {MARKER}"), "{}", case.name);
        assert_eq!(job.wait(), Ended::Exit(0));
    }
}

#[test]
fn a_prompt_without_a_line_end_appears_at_once() {
    for case in REDACTING {
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        let mut job = script(&case, "printf 'Password: '; read x; echo done").spawn_with(
            Stdio::piped(),
            writer.into(),
            Stdio::inherit(),
        );
        let mut seen = [0; 10];
        std::io::Read::read_exact(&mut reader, &mut seen).expect("the prompt");
        assert_eq!(&seen, b"Password: ", "{}", case.name);
        job.write("\n");
        assert_eq!(job.wait(), Ended::Exit(0));
    }
}

#[test]
fn binary_files_pass_unchanged() {
    for case in REDACTING {
        let directory = stage().scratch(case.uid);
        let (source, copy) = (directory.join("source"), directory.join("copy"));
        let envward = fs::read(env!("CARGO_BIN_EXE_envward")).expect("binary");
        let bytes = &envward[..envward.len().min(8 << 20)];
        fs::write(&source, bytes).expect("file");
        let target = fs::File::create(&copy).expect("file");
        let ended = Start::new(&case, ["cat".as_ref(), source.as_os_str()])
            .spawn_with(Stdio::null(), target.into(), Stdio::inherit())
            .wait();
        assert_eq!(ended, Ended::Exit(0), "{}", case.name);
        assert!(fs::read(&copy).expect("copy") == bytes, "{}: the copy is another one", case.name);
    }
}

#[test]
fn what_goes_to_one_place_keeps_its_order() {
    let text = "i=0; while [ $i -lt 200 ]; do echo out$i; echo err$i $API_TOKEN >&2; i=$((i+1)); done";
    for case in REDACTING {
        let (reader, writer) = std::io::pipe().expect("pipe");
        let other = writer.try_clone().expect("copy");
        let job =
            thread::spawn(move || script(&case, text).spawn_with(Stdio::null(), writer.into(), other.into()).wait());
        let all = std::io::read_to_string(reader).expect("output");
        assert_eq!(job.join().expect("job"), Ended::Exit(0), "{}", case.name);
        let expected: String = (0..200).map(|i| format!("out{i}\nerr{i} {MARKER}\n")).collect();
        assert!(all == expected, "{}: out of order", case.name);
    }
}

#[test]
fn values_that_cannot_be_redacted_are_named() {
    let directory = stage().scratch(None);
    let file = directory.join("weak.env");
    let good = random(12);
    fs::write(&file, format!("WEAK_PIN=xq4z\nWEAK_ZEROS=000000000\nGOOD={good}\n")).expect("env file");
    let run = |options: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_envward"))
            .args(["run", "--no-config", "--mode", "full", "--redact", "--env-file"])
            .arg(&file)
            .args(options)
            .args(["--", "sh", "-c", "echo $WEAK_PIN $GOOD"])
            .output()
            .expect("envward");
        (String::from_utf8(output.stdout).expect("UTF-8"), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let (out, err) = run(&[]);
    assert_eq!(out, "xq4z [redacted GOOD]\n");
    assert_eq!(
        err,
        "envward: the value of WEAK_PIN is not redacted: it has fewer than 6 bytes\n\
         envward: the value of WEAK_ZEROS is not redacted: it has fewer than 3 different bytes\n"
    );
    assert_eq!(run(&["--quiet"]).1, "");
}

#[test]
fn the_preload_tier_cannot_redact() {
    let secrets = Secrets::new(None);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_envward"))
        .args(["run", "--no-config", "--tier", "preload", "--redact", "--env-file"])
        .arg(&secrets.file)
        .args(["--", "true"])
        .output()
        .expect("envward");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the preload tier cannot redact"));
}

#[test]
fn a_daemon_that_keeps_the_output_is_redacted_to_its_end() {
    for case in REDACTING {
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        let text = "(read x < \"$0\"; echo \"late $API_TOKEN\") & echo now";
        let gate = stage().scratch(case.uid).join("gate");
        let made = std::process::Command::new("mkfifo").arg("-m666").arg(&gate).status().expect("mkfifo");
        assert!(made.success());
        let mut job = Start::new(&case, ["sh", "-c", text, gate.to_str().expect("UTF-8")]).spawn_with(
            Stdio::null(),
            writer.into(),
            Stdio::null(),
        );
        // The program has ended, and so have we, with everything that it has written.
        assert_eq!(job.wait(), Ended::Exit(0), "{}", case.name);
        let mut seen = [0; 4];
        std::io::Read::read_exact(&mut reader, &mut seen).expect("output");
        assert_eq!(&seen, b"now\n");
        thread::sleep(SETTLE);
        fs::write(&gate, "go\n").expect("gate");
        let rest = std::io::read_to_string(reader).expect("output");
        assert_eq!(rest, format!("late {MARKER}\n"), "{}", case.name);
    }
}

#[test]
fn everything_written_is_there_when_envward_has_ended() {
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    drop(writer);
    for _ in 0..20 {
        let path = stage().scratch(None).join("out");
        let target = fs::File::create(&path).expect("file");
        let ended = script(&FULL_REDACTING, "head -c 50000 /dev/zero; echo \"$API_TOKEN\"")
            .spawn_with(Stdio::null(), target.into(), Stdio::null())
            .wait();
        assert_eq!(ended, Ended::Exit(0));
        let out = fs::read(&path).expect("file");
        assert_eq!(out.len(), 50_000 + MARKER.len() + 1);
        assert!(out.ends_with(format!("{MARKER}\n").as_bytes()));
    }
}
