//! The strings that `execve` puts at the top of a new stack, and what the kernel makes of a
//! script ([execve(2)](https://man7.org/linux/man-pages/man2/execve.2.html), "Interpreter
//! scripts").

/// How much of a file the kernel looks at (`BINPRM_BUF_SIZE`).
pub(super) const SCRIPT_LINE: usize = 256;

/// How a file that is no program itself changes the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Whether the first argument goes.
    pub(super) drops_first: bool,
    /// What comes in front of the others; the last one first.
    pub(super) pushes: Vec<Vec<u8>>,
}

/// The interpreter of the script whose first bytes these are, and its argument; `None` when it
/// is no script.
pub(super) fn interpreter(start: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let mut line = [0; SCRIPT_LINE];
    let length = start.len().min(SCRIPT_LINE);
    line[..length].copy_from_slice(&start[..length]);
    let rest = line.strip_prefix(b"#!")?;
    // Without an end the line is cut off, one byte before the end of what is looked at.
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len() - 1);
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = &rest[..end];
    let line = &line[line.iter().position(|byte| !is_space(byte))?..];
    let line = &line[..line.iter().rposition(|byte| !is_space(byte))? + 1];
    let until_nul = |text: &[u8]| text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let name_end = line.iter().position(|byte| is_space(byte) || *byte == 0).unwrap_or(line.len());
    let argument = match line.get(name_end) {
        Some(b' ' | b'\t') => {
            let rest = &line[name_end..];
            rest.iter().position(|byte| !is_space(byte)).map(|first| until_nul(&rest[first..]))
        }
        _ => None,
    };
    Some((line[..name_end].to_vec(), argument))
}

/// The strings at the top of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Strings {
    /// Address of the first of `bytes`.
    pub(super) start: usize,
    /// Everything up to the top, with what is left below of arguments that went.
    pub(super) bytes: Vec<u8>,
    /// Addresses of the arguments.
    pub(super) argv: Vec<u64>,
    /// Addresses of the variables.
    pub(super) envp: Vec<u64>,
    /// Address of the path (`AT_EXECFN`).
    pub(super) path: u64,
}

impl Strings {
    /// What an `execve` of `path` leaves at the top of a stack that ends at `end`.
    pub(super) fn new(end: usize, path: &[u8], arguments: &[&[u8]], environment: &[&[u8]], steps: &[Step]) -> Self {
        // An empty word comes first.
        let mut pile = Pile { reversed: vec![0; size_of::<u64>()], depth: size_of::<u64>() };
        let path = pile.push(path);
        let mut envp: Vec<usize> = environment.iter().rev().map(|string| pile.push(string)).collect();
        // Reversed, so that the first is at the end.
        let mut argv: Vec<usize> = arguments.iter().rev().map(|string| pile.push(string)).collect();
        if argv.is_empty() {
            argv.push(pile.push(b""));
        }
        for step in steps {
            if step.drops_first {
                argv.pop();
                pile.depth = argv.last().or(envp.last()).copied().unwrap_or(path);
            }
            argv.extend(step.pushes.iter().map(|string| pile.push(string)));
        }
        argv.reverse();
        envp.reverse();
        let at = |depth: usize| end.wrapping_sub(depth) as u64;
        let mut bytes = pile.reversed;
        bytes.reverse();
        Self {
            start: end.wrapping_sub(bytes.len()),
            bytes,
            argv: argv.into_iter().map(at).collect(),
            envp: envp.into_iter().map(at).collect(),
            path: at(path),
        }
    }
}

/// Strings put below each other.
struct Pile {
    reversed: Vec<u8>,
    /// How far below the top the lowest string starts.
    depth: usize,
}

impl Pile {
    /// Returns how far below the top the string starts.
    fn push(&mut self, string: &[u8]) -> usize {
        for byte in [&0].into_iter().chain(string.iter().rev()) {
            match self.reversed.get_mut(self.depth) {
                Some(left_over) => *left_over = *byte,
                None => self.reversed.push(*byte),
            }
            self.depth += 1;
        }
        self.depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<(String, Option<String>)> {
        let text_of = |bytes| String::from_utf8(bytes).unwrap();
        interpreter(text).map(|(name, argument)| (text_of(name), argument.map(text_of)))
    }

    #[test]
    fn first_lines_of_scripts() {
        let plain = |name: &str| Some((name.to_owned(), None));
        let with = |name: &str, argument: &str| Some((name.to_owned(), Some(argument.to_owned())));
        assert_eq!(read(b"#!/bin/sh\necho"), plain("/bin/sh"));
        assert_eq!(read(b"#! \t/bin/sh \t\n"), plain("/bin/sh"));
        assert_eq!(read(b"#!/usr/bin/env -S a  b \nx"), with("/usr/bin/env", "-S a  b"));
        assert_eq!(read(b"#!/bin/sh"), plain("/bin/sh"));
        assert_eq!(read(b"#!/bin/sh\0 -e\n"), plain("/bin/sh"));
        assert_eq!(read(b"#!/bin/sh -e\0f\n"), with("/bin/sh", "-e"));
        assert_eq!(read(b"#!\n"), None);
        assert_eq!(read(b"#! \t \n"), None);
        assert_eq!(read(b"\x7fELF"), None);
        let long = [b"#!/bin/sh ".to_vec(), vec![b'a'; 300]].concat();
        assert_eq!(read(&long).unwrap().1.unwrap().len(), 255 - 10);
    }

    #[test]
    fn strings_stand_in_order_below_the_top() {
        let strings = Strings::new(0x1000, b"/bin/a", &[b"a", b"bc"], &[b"X=1", b"Y="], &[]);
        assert_eq!(strings.bytes, b"a\0bc\0X=1\0Y=\0/bin/a\0\0\0\0\0\0\0\0\0");
        assert_eq!(strings.start, 0x1000 - strings.bytes.len());
        let at = |offset: usize| (strings.start + offset) as u64;
        assert_eq!((&*strings.argv, &*strings.envp), (&[at(0), at(2)][..], &[at(5), at(9)][..]));
        assert_eq!(strings.path, at(12));
        let empty = Strings::new(0x1000, b"a", &[], &[], &[]);
        assert_eq!(empty.bytes, b"\0a\0\0\0\0\0\0\0\0\0");
        assert_eq!((empty.argv.len(), empty.path), (1, 0x1000 - 10));
    }

    #[test]
    fn a_script_takes_the_place_of_the_first_argument_and_may_leave_some_of_it() {
        let step =
            |pushes: &[&[u8]]| Step { drops_first: true, pushes: pushes.iter().map(|part| part.to_vec()).collect() };
        let steps = [step(&[b"./s", b"-e", b"sh"])];
        let short = Strings::new(0x1000, b"./s", &[b"s", b"x"], &[b"X=1"], &steps);
        assert_eq!(short.bytes, b"sh\0-e\0./s\0x\0X=1\0./s\0\0\0\0\0\0\0\0\0");
        let at = |offset: usize| (short.start + offset) as u64;
        assert_eq!(short.argv, [at(0), at(3), at(6), at(10)]);
        let long = Strings::new(0x1000, b"./s", &[b"a-name-of-its-own", b"x"], &[], &steps);
        assert_eq!(long.bytes, b"a-name-osh\0-e\0./s\0x\0./s\0\0\0\0\0\0\0\0\0");
        assert_eq!(long.argv[0], (long.start + 8) as u64);
        let alone = Strings::new(0x1000, b"./s", &[b"s"], &[], &[step(&[b"./s", b"t"]), step(&[b"t", b"sh"])]);
        assert_eq!(alone.bytes, b"sh\0t\0./s\0./s\0\0\0\0\0\0\0\0\0");
        let kept = Step { drops_first: false, pushes: vec![b"./s".to_vec(), b"i".to_vec()] };
        assert_eq!(Strings::new(0x1000, b"./s", &[b"n"], &[], &[kept]).bytes, b"i\0./s\0n\0./s\0\0\0\0\0\0\0\0\0");
    }
}
