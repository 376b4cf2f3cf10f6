//! Random files, made of pieces that mean something in one dialect or another.

use envward_source::Dialect;

/// A generator of files; the same seed brings the same files.
pub(crate) struct Generator {
    state: u64,
    dialect: Dialect,
}

/// No piece makes `$(` or a backtick pair that a shell would run.
const PIECES: &[&str] = &[
    "a",
    "b1",
    "x y",
    "1",
    "é",
    "世",
    "🙂",
    "null",
    "#",
    " #",
    "# c",
    "=",
    "==",
    ":",
    ": ",
    " ",
    "  ",
    "\t",
    "\n",
    "\n\n",
    "\r\n",
    "\"",
    "'",
    "\"\"",
    "''",
    "\"\"\"",
    "'''",
    "\\",
    "\\\\",
    "\\n",
    "\\r",
    "\\t",
    "\\\"",
    "\\'",
    "\\$",
    "\\u0041",
    "\\012",
    "\\0123",
    "$",
    "$$",
    "$A",
    "$B",
    "${A}",
    "${B}",
    "${C}",
    "${A:-x}",
    "${C:-y}",
    "${A-x}",
    "${B-}",
    "${C:-${A}}",
    "${A:+z}",
    "${C:+z}",
    "${B+w}",
    "${A:?m}",
    "${",
    "{",
    "}",
    "-",
    ".",
    ";",
    "$1",
    "%",
    "~",
    "*",
    "[",
    "]",
    "export",
    "\u{a0}",
    "\u{b}",
];

const STARTS: &[&str] = &[
    "A=",
    "B=",
    "C=",
    "A=\"",
    "B='",
    "C=\"",
    "A = ",
    "export B=",
    "export  C=",
    "D: ",
    "A:",
    "A.b=",
    "A-b=",
    " A=",
    "\tB=",
    "E",
    "export F",
    "# ",
    "=",
    "9=",
    "A =\"",
    "B=`",
    "A=\"\"\"\n",
    "B='''\n",
    "_=",
];

const ENDS: &[&str] =
    &["\n", "\n", "\n", "\"\n", "'\n", "\" # c\n", "' # c\n", "`\n", "\r\n", "", "\n\"\"\"\n", "\n'''\n"];

impl Generator {
    pub(crate) fn new(seed: u64, dialect: Dialect) -> Self {
        Self { state: seed, dialect }
    }

    /// splitmix64
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// A file of a few lines, as bytes.
    pub(crate) fn file(&mut self) -> Vec<u8> {
        let mut text = String::new();
        for _ in 0..1 + self.below(4) {
            // Wild files are mostly rejected by the strict ones.
            let tame = matches!(self.dialect, Dialect::Compose | Dialect::Dotenvy) && self.below(8) > 0;
            match self.dialect {
                Dialect::Shell => self.shell_line(&mut text),
                _ if tame => self.tame_line(&mut text),
                _ => self.line(&mut text),
            }
        }
        // Nothing runs by accident.
        let mut text = text.replace("$(", "$ (");
        if self.dialect == Dialect::Shell {
            text = text.replace('`', "'");
        }
        text.into_bytes()
    }

    fn line(&mut self, text: &mut String) {
        text.push_str(self.one_of(STARTS));
        for _ in 0..self.below(7) {
            text.push_str(self.one_of(PIECES));
        }
        text.push_str(self.one_of(ENDS));
    }

    /// A line that even a strict dialect is likely to read.
    fn tame_line(&mut self, text: &mut String) {
        const NAMES: &[&str] = &["A=", "B=", "C=", "A = ", "export B=", "C= ", "_d=", " A="];
        const PIECES: &[&str] = &[
            "a",
            "b1",
            "x y",
            "é",
            "#",
            " # ",
            "=",
            ":",
            " ",
            "\\",
            "\\n",
            "\\t",
            "\\$",
            "\\a",
            "\\v",
            "\\0101",
            "\\x",
            "$$",
            "$",
            "${A}",
            "${B}",
            "$A",
            "$B_",
            "${A:-x}",
            "${C:-${A}}",
            "${A:+z}y",
            "${B+w}",
            "${A-}",
            "{",
            "}",
            "-",
            "%",
        ];
        text.push_str(self.one_of(NAMES));
        let quote = self.one_of(&["", "\"", "'"]);
        text.push_str(quote);
        for _ in 0..self.below(6) {
            // Dotenvy has no operators.
            let piece = self.one_of(PIECES);
            let piece = if self.dialect == Dialect::Dotenvy && piece.starts_with("${") { "${A}" } else { piece };
            text.push_str(piece);
        }
        if !quote.is_empty() && self.below(4) == 0 {
            text.push_str(self.one_of(&["\n", "\nx", "\\\"", "\\'"]));
        }
        text.push_str(quote);
        text.push_str(self.one_of(&["\n", "\n", " # c\n", "\r\n", " \n"]));
    }

    /// A line that a shell is likely to read as an assignment.
    fn shell_line(&mut self, text: &mut String) {
        const NAMES: &[&str] = &["A=", "B=", "C=", "D=", "export A=", "export B=", " C=", "_x="];
        const PLAIN: &[&str] =
            &["a", "b1", "é", "#", "=", ":", "%", "-", ".", ",", "{", "^", "\\ ", "\\\\", "\\$", "\\\"", "\\n", "\\\n"];
        const QUOTED: &[&str] =
            &["a", " ", "\n", "é", "#", "\\", "\\\\", "\\$", "\\n", ";", "&", "~", "*", "}", "$ ", "\r", "\\\""];
        const EXPANSIONS: &[&str] = &[
            "$A",
            "${B}",
            "${C:-x}",
            "${A-y}",
            "${A:+z}",
            "${E:-$A}",
            "${E-${B}}",
            "${B+w}",
            "$1",
            "${D:=d}",
            "${C=}",
            "$#",
            "${A:-}",
            "${E:-\\}}",
            "${F}",
        ];
        text.push_str(self.one_of(NAMES));
        for _ in 0..self.below(5) {
            match self.below(5) {
                0 | 1 => text.push_str(self.one_of(PLAIN)),
                2 => {
                    let inner: String = (0..self.below(4)).map(|_| self.one_of(QUOTED)).collect();
                    text.push_str(&format!("'{}'", inner.replace('\'', "")));
                }
                3 => {
                    text.push('"');
                    for _ in 0..self.below(4) {
                        let list = if self.below(2) == 0 { QUOTED } else { EXPANSIONS };
                        text.push_str(self.one_of(list));
                    }
                    text.push('"');
                }
                _ => text.push_str(self.one_of(EXPANSIONS)),
            }
        }
        text.push_str(self.one_of(&["\n", "\n", "\n", " # c\n", ";", " ; ", " D=2\n", "", "\t\n"]));
    }
}
