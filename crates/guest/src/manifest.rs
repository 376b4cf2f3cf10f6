//! What a guest is to run, and what it may rely on.

use std::fmt;

use crate::Fact;

/// Where the guest finds it.
pub const PLACE: &str = "/guest/manifest";

/// Where the guest finds the test binaries.
pub const TESTS: &str = "/guest/tests";

/// Where tests find the programs that were built for them.
pub const PROGRAMS: &str = "/guest/bin";

/// One test, in a process of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Test {
    /// The binary, by the name of its file.
    pub binary: String,
    /// The test's name in it.
    pub name: String,
    /// The seconds after which it is killed.
    pub seconds: u64,
}

/// Everything that one boot is about. Its text has one line for each item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// What the kernel has to offer, and what it must not.
    pub expected: Vec<(Fact, bool)>,
    /// What to run, in this order.
    pub tests: Vec<Test>,
}

impl Manifest {
    /// Reads its text.
    ///
    /// # Errors
    /// The line that says nothing known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut manifest = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let understood = match words[..] {
                ["expect", fact, answer] => Fact::from_name(fact)
                    .zip(crate::record::yes_or_no(answer))
                    .map(|expected| manifest.expected.push(expected)),
                ["test", binary, seconds, name] => seconds.parse().ok().map(|seconds| {
                    manifest.tests.push(Test { binary: binary.to_owned(), name: name.to_owned(), seconds });
                }),
                _ => None,
            };
            understood.ok_or_else(|| line.to_owned())?;
        }
        Ok(manifest)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fact, yes) in &self.expected {
            writeln!(formatter, "expect {} {}", fact.name(), if *yes { "yes" } else { "no" })?;
        }
        for Test { binary, name, seconds } in &self.tests {
            writeln!(formatter, "test {binary} {seconds} {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_is_read_back() {
        let manifest = Manifest {
            expected: vec![(Fact::Yama, true), (Fact::MemfdSecret, false)],
            tests: vec![Test { binary: "guest_a".to_owned(), name: "module::works".to_owned(), seconds: 60 }],
        };
        assert_eq!(Manifest::parse(&manifest.to_string()), Ok(manifest));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in ["expect moon yes", "expect yama perhaps", "test a b c", "test a 1", "", "run a"] {
            assert_eq!(Manifest::parse(&format!("expect yama yes\n{line}\n")), Err(line.to_owned()));
        }
    }
}
