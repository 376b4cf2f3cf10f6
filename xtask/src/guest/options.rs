//! The command line of `cargo xtask guest`.

use crate::Trouble;
use crate::guest::kernel::{KERNELS, Kernel, Variant};

/// What `--help` prints.
pub(super) const USAGE: &str = "usage: cargo xtask guest [OPTION…] [TEST…]
  TEST             run tests whose `binary::name` contains one of these; without any, run all of them,
                   and the runner's own tests before
  --kernel SERIES  on this kernel only: 6.1 or 6.12 (repeatable)
  --boot NAME      only this way of booting: standard or without-secretmem (repeatable)
  --self-test      the runner's own tests alone";

/// What is to be done.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) kernels: Vec<&'static Kernel>,
    variants: Vec<String>,
    pub(super) filters: Vec<String>,
    /// Whether to test the runner.
    pub(super) self_test: bool,
    /// Whether to run tests in guests.
    pub(super) tests: bool,
}

impl Options {
    /// Reads the arguments; nothing when help is asked for.
    pub(super) fn parse(arguments: &[&str]) -> Result<Option<Self>, Trouble> {
        let mut options =
            Self { kernels: Vec::new(), variants: Vec::new(), filters: Vec::new(), self_test: false, tests: true };
        let wrong = |what: String| Trouble(format!("{what}\n{USAGE}"));
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match *word {
                "--help" | "-h" => return Ok(None),
                "--self-test" => options.tests = false,
                "--kernel" => {
                    let series = words.next().copied().unwrap_or_default();
                    let kernel = KERNELS.iter().find(|kernel| kernel.series == series);
                    options.kernels.push(kernel.ok_or_else(|| wrong(format!("no such kernel: {series:?}")))?);
                }
                "--boot" => {
                    let name = words.next().copied().unwrap_or_default();
                    let mut all = KERNELS.iter().flat_map(|kernel| kernel.variants);
                    if !all.any(|variant| variant.name == name) {
                        return Err(wrong(format!("no such boot: {name:?}")));
                    }
                    options.variants.push(name.to_owned());
                }
                option if option.starts_with('-') => return Err(wrong(format!("no such option: {option}"))),
                filter => options.filters.push(filter.to_owned()),
            }
        }
        if !options.tests && !options.filters.is_empty() {
            return Err(wrong("--self-test takes no test".to_owned()));
        }
        let all = options.kernels.is_empty() && options.variants.is_empty() && options.filters.is_empty();
        options.self_test = all || !options.tests;
        if options.kernels.is_empty() {
            options.kernels = KERNELS.iter().collect();
        }
        Ok(Some(options))
    }

    /// Whether this way of booting is asked for.
    pub(super) fn has_variant(&self, variant: &Variant) -> bool {
        self.variants.is_empty() || self.variants.iter().any(|name| name == variant.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Options {
        Options::parse(arguments).unwrap().unwrap()
    }

    #[test]
    fn everything_is_the_default() {
        let options = parse(&[]);
        assert!(options.self_test && options.tests);
        assert_eq!(options.kernels.len(), KERNELS.len());
    }

    #[test]
    fn a_part_leaves_the_runner_untested() {
        let options = parse(&["--kernel", "6.1", "--boot", "standard", "yama"]);
        assert!(!options.self_test && options.tests);
        assert_eq!(options.kernels[0].series, "6.1");
        assert_eq!(options.filters, ["yama"]);
        assert!(!parse(&["--self-test"]).tests);
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [&["--kernel", "5.4"][..], &["--kernel"], &["--boot", "x"], &["--x"], &["--self-test", "a"]] {
            assert!(Options::parse(arguments).unwrap_err().0.contains("usage:"), "{arguments:?}");
        }
        assert!(Options::parse(&["--help"]).unwrap().is_none());
    }
}
