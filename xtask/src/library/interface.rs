//! `envward.h`, the version map and the manual pages of libenvward, from one description.

use std::fmt::Write as _;

use crate::repository::Repository;
use crate::{Trouble, say};

const SOURCE: &str = "crates/preload/api.txt";
const HEADER: &str = "crates/preload/include/envward.h";
const MAP: &str = "crates/preload/envward.map";
const PAGES: &str = "crates/preload/man/man3";
const VERSION: &str = "ENVWARD_0.1";
/// What `envward-environ` looks for; no part of the C interface.
const SHARED: &str = "envward_environment_0_1_0";

/// A function of the interface.
#[derive(Debug, Default)]
struct Function {
    name: String,
    group: String,
    prototype: String,
    summary: String,
    same: Vec<String>,
    paragraphs: Vec<String>,
    returns: Vec<String>,
    errors: Vec<(String, String)>,
}

/// Writes the generated files, or with `check` says which of them are not what they would be.
pub(crate) fn generate(check: bool) -> Result<(), Trouble> {
    let repository = Repository::here()?;
    let functions = parse(&repository.read(SOURCE)?)?;
    let mut files = vec![(HEADER.to_owned(), header(&functions)), (MAP.to_owned(), map(&functions))];
    for function in &functions {
        files.push((format!("{PAGES}/{}.3", page_name(function)), page(function)));
        for other in function.same.iter().filter_map(|prototype| name_in(prototype)) {
            files.push((format!("{PAGES}/{}.3", other_page(other)), format!(".so man3/{}.3\n", page_name(function))));
        }
    }
    let mut stale = Vec::new();
    for (path, text) in files {
        let place = repository.root().join(&path);
        if std::fs::read_to_string(&place).is_ok_and(|now| now == text) {
            continue;
        }
        if check {
            stale.push(path);
            continue;
        }
        if let Some(directory) = place.parent() {
            std::fs::create_dir_all(directory).map_err(|error| Trouble::new(directory.display(), error))?;
        }
        std::fs::write(&place, text).map_err(|error| Trouble::new(&path, error))?;
        say(&format!("header: wrote {path}"));
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(Trouble(format!("not what {SOURCE} says: {}; run `cargo xtask header`", stale.join(", "))))
}

fn parse(text: &str) -> Result<Vec<Function>, Trouble> {
    let mut functions: Vec<Function> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "function" {
            let (name, group) = rest.split_once(' ').unwrap_or((rest, ""));
            functions.push(Function { name: name.to_owned(), group: group.to_owned(), ..Function::default() });
            continue;
        }
        let Some(function) = functions.last_mut() else {
            return Err(Trouble::new(SOURCE, "text before the first function"));
        };
        match word {
            "prototype" => rest.clone_into(&mut function.prototype),
            "summary" => rest.clone_into(&mut function.summary),
            "same" => function.same.push(rest.to_owned()),
            "returns" => function.returns.push(rest.to_owned()),
            "errors" => {
                let (code, why) = rest.split_once(' ').unwrap_or((rest, ""));
                function.errors.push((code.to_owned(), why.to_owned()));
            }
            _ => function.paragraphs.push(line.to_owned()),
        }
    }
    for function in &functions {
        if function.prototype.is_empty() || function.summary.is_empty() || function.paragraphs.is_empty() {
            return Err(Trouble::new(SOURCE, format!("{} lacks its prototype, summary or text", function.name)));
        }
    }
    Ok(functions)
}

/// The function that a prototype declares.
fn name_in(prototype: &str) -> Option<&str> {
    let before = prototype.split('(').next()?;
    before.rsplit([' ', '*']).next()
}

/// Pages of libc's functions must not hide libc's own.
fn other_page(name: &str) -> String {
    format!("envward_{name}")
}

fn page_name(function: &Function) -> String {
    if function.group == "standard" { other_page(&function.name) } else { function.name.clone() }
}

fn wrap(text: &str, prefix: &str, width: usize) -> String {
    let mut out = String::new();
    let mut line = prefix.to_owned();
    for word in text.split_whitespace() {
        if line.len() > prefix.len() && line.len() + 1 + word.len() > width {
            out += &line;
            out.push('\n');
            prefix.clone_into(&mut line);
        }
        if line.len() > prefix.len() {
            line.push(' ');
        }
        line += word;
    }
    out += &line;
    out.push('\n');
    out
}

fn header(functions: &[Function]) -> String {
    let mut out = String::from(
        "/* envward.h: the functions that libenvward adds to those of the C library.\n *\n \
         * Generated from api.txt by `cargo xtask header`; do not edit. */\n#ifndef ENVWARD_H\n#define ENVWARD_H\n\n\
         #include <stddef.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n\
         /** An iteration over the environment. */\ntypedef struct envward_iter ENV_ITER;\n",
    );
    for function in functions.iter().filter(|function| function.group != "standard") {
        let mut text = String::new();
        let capital = function.summary[..1].to_uppercase() + &function.summary[1..] + ".";
        text += &wrap(&capital, " * ", 90);
        for paragraph in &function.paragraphs {
            text += " *\n";
            text += &wrap(paragraph, " * ", 90);
        }
        for returns in &function.returns {
            text += &wrap(&format!("Returns {returns}"), " * ", 90);
        }
        for (code, why) in &function.errors {
            text += &wrap(&format!("{code}: {why}"), " * ", 90);
        }
        let _ = write!(out, "\n/**\n{text} */\n{}\n", function.prototype);
    }
    out += "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
    out
}

fn map(functions: &[Function]) -> String {
    let mut out = format!("/* Generated from api.txt by `cargo xtask header`. */\n{VERSION} {{\n  global:\n");
    for function in functions.iter().filter(|function| function.group != "standard") {
        let _ = writeln!(out, "    {};", function.name);
    }
    let _ = write!(out, "    {SHARED};\n}};\n");
    out
}

fn page(function: &Function) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('-', "\\-");
    let standard = function.group == "standard";
    let mut names = vec![function.name.as_str()];
    names.extend(function.same.iter().filter_map(|prototype| name_in(prototype)));
    let mut out = format!(
        ".\\\" Generated from api.txt by `cargo xtask header`.\n.TH {} 3 \"\" \"libenvward\" \"Library Functions Manual\"\n\
         .SH NAME\n{} \\- {}\n.SH LIBRARY\nlibenvward (\\fI\\-lenvward\\fP), or preloaded by \\fILD_PRELOAD\\fP\n\
         .SH SYNOPSIS\n.nf\n",
        page_name(function).to_uppercase(),
        names.join(", "),
        escape(&function.summary),
    );
    if !standard {
        out += ".B #include <envward.h>\n.PP\n";
    }
    for prototype in std::iter::once(&function.prototype).chain(&function.same) {
        let _ = writeln!(out, ".BI \"{}\"", escape(prototype));
    }
    out += ".fi\n.SH DESCRIPTION\n";
    for (index, paragraph) in function.paragraphs.iter().enumerate() {
        if index > 0 {
            out += ".PP\n";
        }
        out += &escape(paragraph);
        out.push('\n');
    }
    if !function.returns.is_empty() {
        out += ".SH RETURN VALUE\n";
        for returns in &function.returns {
            let _ = writeln!(out, "Returns {}", escape(returns));
        }
    }
    if !function.errors.is_empty() {
        out += ".SH ERRORS\n";
        for (code, why) in &function.errors {
            let _ = write!(out, ".TP\n.B {code}\n{}\n", escape(why));
        }
    }
    out += ".SH SEE ALSO\n.BR env_lookup (3),\n.BR env_iter (3),\n.BR getenv (3),\n.BR environ (7)\n";
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "# c\nfunction f draft\nprototype int f(void);\nsame int g(char *x);\nsummary do it\n\nText.\n\
                          returns one.\nerrors EINVAL no.\n";

    #[test]
    fn a_description_becomes_a_declaration_a_version_and_a_page() {
        let functions = parse(SAMPLE).unwrap();
        assert!(header(&functions).contains("\nint f(void);\n"));
        assert!(map(&functions).contains("    f;\n"));
        let page = page(&functions[0]);
        for part in [".TH F 3", "f, g \\- do it", "Returns one.", ".B EINVAL"] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn what_lacks_a_part_is_refused() {
        assert!(parse("function f draft\nprototype int f(void);\nsummary s\n").is_err());
        assert!(parse("stray\n").is_err());
    }

    #[test]
    fn names_are_found_in_prototypes() {
        for (prototype, name) in [("char *getenv(const char *n);", "getenv"), ("int f(void);", "f")] {
            assert_eq!(name_in(prototype), Some(name));
        }
    }

    #[test]
    fn the_checked_in_files_are_those_of_the_description() {
        generate(true).map_err(|trouble| trouble.0).unwrap();
    }
}
