use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What the tests look for in errors; no key or remedy contains it.
const MARK: &str = "s3kr1t";

/// Reads a whole file into ordinary memory, as only a test may.
fn parse(text: &[u8]) -> Result<Vec<(String, Vec<u8>)>, SyntaxError> {
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    let mut parser = Parser::new(text)?;
    while let Some(key) = parser.next_key()? {
        let mut value = Vec::new();
        while let Some(piece) = parser.next_piece()? {
            match piece {
                Piece::Bytes(bytes) => value.extend_from_slice(bytes),
                Piece::Character(character) => {
                    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Piece::Variable { name, position } => {
                    let earlier = entries.iter().rev().find(|(key, _)| key == name);
                    let Some((_, earlier)) = earlier else {
                        let name = name.to_owned();
                        let problem = Problem::UndefinedVariable { name };
                        return Err(SyntaxError::new(position, Some(key.name), problem));
                    };
                    value.extend_from_slice(earlier);
                }
                Piece::Command { position, .. } => {
                    return Err(SyntaxError::new(position, Some(key.name), Problem::CommandSubstitution));
                }
            }
        }
        entries.push((key.name.to_owned(), value));
    }
    Ok(entries)
}

/// The value of the last key.
fn value_in(text: &str) -> Result<String, SyntaxError> {
    let entries = parse(text.as_bytes())?;
    let (_, value) = entries.into_iter().next_back().unwrap_or_default();
    Ok(String::from_utf8_lossy(&value).into_owned())
}

#[test]
fn values_are_read() {
    let cases = [
        // Unquoted.
        ("A=1", "1"),
        ("A=1\n", "1"),
        ("A=", ""),
        ("A= \t", ""),
        (" \tA \t= \t two words \t\n", "two words"),
        ("A=a#b", "a"),
        ("A=a # b", "a"),
        ("A=#b", ""),
        ("A= # b", ""),
        ("A=https://x/y#frag", "https://x/y"),
        ("A=a\\#b", "a#b"),
        ("A=a=b==", "a=b=="),
        ("A=`x y`", "`x y`"),
        ("A=$HOME/$1$", "$HOME/$1$"),
        ("A={x}", "{x}"),
        ("A=a\\nb", "a\nb"),
        ("A=x\\ ", "x "),
        ("A=\\n", "\n"),
        ("A=\\\"x\\'", "\"x'"),
        ("A=é世🙂", "é世🙂"),
        ("A=x\u{a0}", "x\u{a0}"),
        // The key.
        ("export A=1", "1"),
        ("  export \t A=1", "1"),
        ("export=1", "1"),
        ("export =1", "1"),
        ("exported=1", "1"),
        ("_a0_Z=1", "1"),
        // Double quotes.
        ("A=\"\"", ""),
        ("A=\" x \"", " x "),
        ("A = \"x\" # comment", "x"),
        ("A=\"x\"#comment", "x"),
        ("A=\"a#b\"", "a#b"),
        ("A=\"it's\"", "it's"),
        ("A=\"say \\\"hi\\\"\"", "say \"hi\""),
        ("A=\"a\nb\n\"", "a\nb\n"),
        ("A=\"\\n\\r\\t\\f\\b\\\"\\'\\\\\"", "\n\r\t\x0c\x08\"'\\"),
        ("A=\"\\q\\é\\$\\{\\ \"", "qé${ "),
        ("A=\"a\\\nb\"", "a\nb"),
        ("A=\"\\u00e9\\u4E16\\uAAAAz\"", "é世\u{aaaa}z"),
        ("A=\"\\\\u0041\"", "\\u0041"),
        ("A=\"$2a$10$abc\"", "$2a$10$abc"),
        ("A=\"é世🙂\"", "é世🙂"),
        // Single quotes.
        ("A=''", ""),
        ("A=' ${X} $(x) \\n \" # '", " ${X} $(x) \\n \" # "),
        ("A='a\nb'", "a\nb"),
        ("A='x\\' # comment", "x\\"),
        // Heredocs.
        ("A=\"\"\"\nx\ny\n\"\"\"", "x\ny\n"),
        ("A = \"\"\" \t# comment\n x\n  \"\"\" # c\nB=2", "2"),
        ("A=\"\"\"\n x\n  \"\"\" # c\n", " x\n  "),
        ("A=\"\"\"\n\"\"\"", ""),
        ("A=\"\"\"\nx\"\"\"", "x"),
        ("A=\"\"\"\nsay \"hi\" \"\"\n\\\"\"\"\"", "say \"hi\" \"\"\n\""),
        ("A=\"\"\"\n\\u0041 \\n\n\"\"\"", "A \n\n"),
        ("A='''\n${X} \\n 'x' ''\n'''", "${X} \\n 'x' ''\n"),
        // Variables.
        ("X=1\nA=${X}", "1"),
        ("X=1\nA=a ${X} ", "a 1"),
        ("X=' 1 '\nA=${X}", " 1 "),
        ("X=1\nA=\"a${X}${X}b\"", "a11b"),
        ("X=1\nA=${ X }", "1"),
        ("X=1\nA='${X}'", "${X}"),
        ("X=1\nA=\\${X}", "${X}"),
        ("X=1\nA=\"\\${X}\"", "${X}"),
        ("X=1\nA=$${X}", "$1"),
        ("X='${Y}$(z)\\n'\nA=${X}", "${Y}$(z)\\n"),
        ("X=1\nX=${X}2\nA=${X}", "12"),
        ("X=1\nA=\"\"\"\n${X}\n\"\"\"", "1\n"),
        // After single quotes, variables still count.
        ("X='1'\nA=${X}", "1"),
        // Lines.
        ("\u{feff}A=1", "1"),
        ("\r\n# c\r\nA=1\r\n", "1"),
        ("A=\"a\r\nb\\\r\nc\"\r\n", "a\nb\nc"),
        ("A='a\r\nb'\r\n", "a\nb"),
        ("A='\r\n'\r\n", "\n"),
        ("A='\r\r\n\n\r\n'\r\n", "\r\n\n\n"),
        ("A=\"\"\"\r\nx\r\n\"\"\"\r\n", "x\n"),
        ("A=a\rb\r", "a\rb"),
        ("A='a\rb'", "a\rb"),
    ];
    for (text, expected) in cases {
        assert_eq!(value_in(text).as_deref(), Ok(expected), "{text:?}");
    }
}

#[test]
fn a_file_is_its_assignments_in_order() {
    let text = "\n  \n# comment # x\n\t#\nA=1 # one\nexport B='2'\n\nA=3\n";
    let entries = parse(text.as_bytes()).unwrap();
    let shown: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    assert_eq!(shown, [("A", &b"1"[..]), ("B", b"2"), ("A", b"3")]);
    assert_eq!(parse(b"").unwrap(), []);
    assert_eq!(parse(b"\xef\xbb\xbf").unwrap(), []);
}

#[test]
fn keys_tell_their_line() {
    let mut parser = Parser::new(b"A=\"x\ny\"\n\nexport B='''\nz\n'''\nC=1").unwrap();
    let mut lines = Vec::new();
    while let Some(key) = parser.next_key().unwrap() {
        lines.push((key.name, key.line));
    }
    assert_eq!(lines, [("A", 1), ("B", 4), ("C", 7)]);
}

#[test]
fn errors_tell_place_problem_and_remedy() {
    let invalid_key = "not a key; keys have letters, digits and `_` and do not start with a digit \
                       (is this line part of the value before it? put that in quotes)";
    let no_equals = "no `=` after the key; write KEY=value \
                     (is this line part of the value before it? put that in quotes)";
    let before_quote = "A: a quote inside an unquoted value; \
                        put the whole value in quotes or a backslash before the quote";
    let after_closing = "A: text after the closing quote; only a `#` comment may follow it";
    let after_opening = "A: text after the opening quotes of a heredoc; \
                         its value starts on the next line";
    let unterminated = "A: the value that starts here is not closed; end it with";
    let unicode = "A: `\\u` without four hexadecimal digits; write \\\\u for a backslash and a u";
    let surrogate = "A: `\\u` with half of a surrogate pair; write the character itself";
    let backslash = "A: a backslash at the end of an unquoted value; \
                     write \\\\ for a backslash or put the value in quotes";
    let no_brace = "A: `${` without `}` on the same line; \
                    write \\${ or use single quotes for plain text";
    let reference = "A: `${…}` with something other than a key inside; operators such as `:-` \
                     do not exist here (write \\${ or use single quotes for plain text)";
    let command = "A: `$(`: commands run only with --allow-commands; give that, or use single quotes for plain text, \
                   or pass the command's output with --secret KEY=fd:N";
    let undefined = "A: ${X} is not defined by an earlier line or an earlier source; \
                     the process environment is not looked at \
                     (write \\${ or use single quotes for plain text)";
    let cases: &[(&[u8], &str, &str)] = &[
        (b"=s3kr1t", "1:1", "no key before `=`; write KEY=value"),
        (b"\n\n  =s3kr1t", "3:3", "no key before `=`; write KEY=value"),
        (b"KEY", "1:4", no_equals),
        (b"KEY\nB=1", "1:4", no_equals),
        (b"KEY # A=s3kr1t", "1:5", no_equals),
        (b"NOT s3kr1t=1", "1:5", no_equals),
        (b"export A", "1:9", no_equals),
        (b"export", "1:7", no_equals),
        (b"export export A=1", "1:15", no_equals),
        (b"A: s3kr1t", "1:2", invalid_key),
        (b"MY-KEY=s3kr1t", "1:3", invalid_key),
        (b"my.key=s3kr1t", "1:3", invalid_key),
        (b"2A=s3kr1t", "1:1", invalid_key),
        (b"export 2A=s3kr1t", "1:8", invalid_key),
        ("ÜBER=s3kr1t".as_bytes(), "1:1", invalid_key),
        ("SÜPER=s3kr1t".as_bytes(), "1:2", invalid_key),
        (b"export \"A\"=1", "1:8", invalid_key),
        (b"A=\ns3kr1t/s3kr1t+Zg==\n", "2:7", invalid_key),
        (b"A=it's s3kr1t", "1:5", before_quote),
        (b"A=s3kr1t \"x\"", "1:10", before_quote),
        (b"A={\"k\":\"s3kr1t\"}", "1:4", before_quote),
        (b"A=s3kr1t'''\nx\n'''", "1:9", before_quote),
        (b"A=${A}'x'", "1:3", "A: ${A} is not defined"),
        (b"A=\"s3kr1t\"x", "1:11", after_closing),
        (b"A=\"s3kr1t\" \"s3kr1t\"", "1:12", after_closing),
        (b"A='it\\'s s3kr1t'", "1:8", after_closing),
        (b"A=\"\"\"\ns3kr1t\n\"\"\"x", "3:4", after_closing),
        (b"A=\"\"\"\ns3kr1t\"\"\"\"", "2:10", after_closing),
        (b"A=\"\"\"s3kr1t\n\"\"\"", "1:6", after_opening),
        (b"A=''' s3kr1t'''", "1:7", after_opening),
        (b"A=\"\"\"\"", "1:6", after_opening),
        (b"A=\"s3kr1t", "1:3", unterminated),
        (b"B=1\n A = 's3kr1t\nC=2\n", "2:6", unterminated),
        (b"A=\"s3kr1t\\\"", "1:3", unterminated),
        (b"A=\"s3kr1t\\", "1:3", unterminated),
        (b"A='''\ns3kr1t''", "1:3", unterminated),
        (b"A=\"\"\"", "1:3", unterminated),
        (b"A=\\uZZZZs3kr1t", "1:3", unicode),
        (b"A=s3kr1t\\uAB", "1:9", unicode),
        (b"A=\"\\u+123\"", "1:4", unicode),
        ("A=\"é\\uXÜ9\"".as_bytes(), "1:5", unicode),
        (b"A=\"\\uD83D\\uDE00\"", "1:4", surrogate),
        (b"A=\\u0000", "1:3", "A: `\\u0000`, but no variable can hold a NUL; remove it"),
        (b"A=C:\\s3kr1t\\\nB=2", "1:12", backslash),
        (b"A=s3kr1t\\\r\nB=2", "1:9", backslash),
        (b"A=s3kr1t\\", "1:9", backslash),
        (b"A=s3kr1t${X", "1:9", no_brace),
        (b"A=\"s3kr1t${X\n}\"", "1:10", no_brace),
        (b"A=${}", "1:3", reference),
        (b"A=s3kr1t${X:-s3kr1t}", "1:9", reference),
        (b"A=${s3kr1t-}", "1:3", reference),
        (b"A=${2X}", "1:3", reference),
        (b"A=$(echo s3kr1t)", "1:3", command),
        (b"A=\"s3kr1t $(", "1:11", command),
        (b"A=\"\"\"\ns3kr1t\n$(x)\n\"\"\"", "3:1", command),
        (b"A=s3kr1t${X}", "1:9", undefined),
        ("A=\"éé\n世${X}\"".as_bytes(), "2:2", undefined),
        (b"A=a\0s3kr1t", "1:4", "a NUL byte, which no variable can hold; remove it"),
        (b"A=s3kr1t\n\xffB=s3kr1t", "2:1", "this is not UTF-8; save the file in that encoding"),
        (b"A=\xc3", "1:3", "this is not UTF-8; save the file in that encoding"),
        (b"\xef\xbb\xbfA=\xc3", "1:3", "this is not UTF-8; save the file in that encoding"),
        (b"A=\0\xff", "1:3", "a NUL byte, which no variable can hold; remove it"),
    ];
    for (text, position, message) in cases {
        let shown_text = String::from_utf8_lossy(text);
        let error = parse(text).expect_err(&shown_text);
        assert_eq!(error.position().to_string(), *position, "{shown_text}");
        let shown = error.to_string();
        let expected = format!("{position}: {message}");
        assert!(shown.starts_with(&expected), "{shown_text}: {shown}");
        assert!(!format!("{shown} {error:?}").contains(MARK), "{shown}");
    }
}

#[test]
fn an_unclosed_value_is_told_by_its_quote() {
    for (text, quote) in [("A=\"", "\""), ("A='", "'"), ("A=\"\"\"\n", "\"\"\""), ("A='''\n", "'''")] {
        let shown = value_in(text).unwrap_err().to_string();
        assert!(shown.ends_with(&format!(" end it with {quote}")), "{shown}");
    }
}

#[test]
fn debug_output_shows_no_value() {
    let mut parser = Parser::new(b"A=s3kr1t\\u0041").unwrap();
    parser.next_key().unwrap();
    let mut shown = format!("{parser:?}");
    while let Some(piece) = parser.next_piece().unwrap() {
        shown += &format!("{piece:?} {parser:?}");
    }
    assert!(!shown.contains(MARK) && !shown.contains("'A'"), "{shown}");
}

#[test]
fn a_long_line_of_variables_is_no_trouble() {
    let text = format!("X=\nA={}", "${X}".repeat(200_000));
    let mut parser = Parser::new(text.as_bytes()).unwrap();
    parser.next_key().unwrap();
    parser.next_key().unwrap();
    let mut last = None;
    while let Some(piece) = parser.next_piece().unwrap() {
        last = Some(piece);
    }
    let position = Position { line: 2, column: 3 + 4 * 199_999 };
    assert_eq!(last, Some(Piece::Variable { name: "X", position }));
}

/// Writes a value in every way in which it can be written.
fn written(value: &str, way: usize) -> Option<String> {
    let escaped = || -> String {
        let mut text = String::new();
        for character in value.chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\u{7f}'..='\u{ffff}' => text.push_str(&format!("\\u{:04x}", character as u32)),
                '"' | '\'' | '\\' | '$' | '#' | ' ' | '\t' | '\x0b' | '\x0c' => {
                    text.push('\\');
                    text.push(match character {
                        '\t' => 't',
                        '\x0c' => 'f',
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
        text
    };
    let plain_lines = !value.contains('\r');
    match way {
        0 => Some(escaped()),
        1 => Some(format!("\"{}\"", escaped())),
        2 if plain_lines && !value.contains('\'') => Some(format!("'{value}'")),
        3 if plain_lines && !value.contains("'''") && !value.ends_with('\'') => Some(format!("'''\n{value}'''")),
        4 => Some(format!("\"\"\"  # {MARK}\n{}\"\"\"", escaped())),
        5 if plain_lines && !value.contains(['"', '\\', '$']) => Some(format!("\"{value}\"")),
        _ => None,
    }
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z \"'\\\\$#{}()=\n\r\t]{0,12}", "[ -~]{0,20}", "\\PC{0,12}", "[^\0]{0,12}",]
}

fn configuration() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) }
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn what_is_written_is_read(
        entries in prop::collection::vec(
            ("[A-Za-z_][A-Za-z0-9_]{0,5}", values(), 0..6usize, 0..5usize),
            0..6,
        ),
        crlf in any::<bool>(),
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (key, value, way, spacing) in entries {
            let Some(value_text) = written(&value, way) else { continue };
            let (before, equals, after) = [
                ("", "=", ""),
                ("export ", "=", " "),
                ("  ", " = ", " # s3kr1t"),
                ("# c\n\n", "=\t", "#"),
                ("\t export\t", "\t=", "  "),
            ][spacing];
            text += &format!("{before}{key}{equals}{value_text}{after}\n");
            expected.push((key, value.into_bytes()));
        }
        if crlf {
            // A line break inside quotes is LF either way.
            text = text.replace('\n', "\r\n");
        }
        prop_assert_eq!(parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            "[A=\"'\\\\$\\{\\}\\(\\)#u0 \n\r]{0,40}".prop_map(String::into_bytes),
            "A=[\"'\\\\$\\{\\}\\(\\)#u0né \n\r]{0,40}".prop_map(String::into_bytes),
        ],
    ) {
        match parse(&bytes) {
            Ok(entries) => {
                for (key, value) in entries {
                    prop_assert!(is_key(&key));
                    prop_assert!(!value.contains(&0));
                    prop_assert!(str::from_utf8(&value).is_ok());
                }
            }
            Err(error) => {
                let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
                let Position { line, column } = error.position();
                let line = text.split(|byte| *byte == b'\n').nth(line - 1);
                let line = line.expect("the line exists");
                let characters = line.iter().filter(|byte| !is_continuation(**byte)).count();
                prop_assert!(column <= characters + 1);
                let mut parser = Parser::new(text);
                if let Ok(parser) = &mut parser {
                    // An error stays one, and reading on ends.
                    while let Ok(Some(_)) = parser.next_key() {}
                }
            }
        }
    }

    /// Breaks a correct file in a random place: no message shows what a value
    /// had there.
    #[test]
    fn no_error_shows_text_of_a_value(
        way in 0..6usize,
        cut in any::<prop::sample::Index>(),
        insert in prop::sample::select(vec![
            "", "\"", "'", "\n", "\\", "\\u", "${", "${X}", "$(", "\"\"\"", "'''", "#", "=", "\0",
        ]),
    ) {
        let value = format!("{MARK}\n{MARK} {MARK}\\{MARK}\"{MARK}");
        let Some(value) = written(&value, way) else { return Ok(()) };
        let mut text = format!("A={value}\nB=\"{MARK}\"\nC='{MARK}'\n");
        let at = cut.index(text.len());
        text.insert_str(at, insert);
        if let Err(error) = parse(text.as_bytes()) {
            let key_is_cut = error.key().is_some_and(|key| key.contains(MARK));
            prop_assert!(key_is_cut || !format!("{error} {error:?}").contains(MARK), "{error}");
        }
    }
}

/// The errors that a reader of a file can get, for a look at all messages.
#[test]
fn every_problem_has_a_message_with_a_remedy() {
    let problems = [
        Problem::InvalidUtf8,
        Problem::NulByte,
        Problem::MissingKey,
        Problem::InvalidKey,
        Problem::MissingEquals,
        Problem::TextBeforeQuote,
        Problem::TextAfterClosing,
        Problem::TextAfterOpening,
        Problem::Unterminated(Quote::Single),
        Problem::InvalidUnicodeEscape,
        Problem::SurrogateEscape,
        Problem::NulEscape,
        Problem::BackslashAtEnd,
        Problem::UnterminatedReference,
        Problem::InvalidReference,
        Problem::UndefinedVariable { name: "X".to_owned() },
        Problem::CommandSubstitution,
    ];
    let messages: BTreeMap<String, Problem> =
        problems.into_iter().map(|problem| (problem.to_string(), problem)).collect();
    assert_eq!(messages.len(), 17);
    for message in messages.keys() {
        assert!(message.contains([';', '(']), "{message}");
    }
}

#[test]
fn it_is_known_where_values_start() {
    let mut parser = Parser::new(b"A=1\nexport  B =  \"x\ny\"\nC=\n").unwrap();
    let mut places = Vec::new();
    while let Some(key) = parser.next_key().unwrap() {
        places.push((key.name, key.line, key.value.line, key.value.column));
    }
    assert_eq!(places, [("A", 1, 1, 3), ("B", 2, 2, 14), ("C", 4, 4, 3)]);
}
