//! What every dialect holds: a text is read or refused, an error lies in the text and shows no
//! value, and what was read can be written in the same dialect, or is refused, and means the same.

use envward_secret::{Backing, Vault};
use envward_source::dialect::write;
use envward_source::{Dialect, EnvFile, SourceError};

/// Stands in the seeds wherever a value is.
const MARK: &str = "hunter2";

/// Reads a text.
pub fn read(dialect: Dialect, text: &[u8]) {
    let Ok(mut vault) = Vault::new(Backing::Locked) else { panic!("no memory") };
    let file = EnvFile::new("fuzz.env").dialect(dialect);
    match file.load_text(text, &mut vault) {
        Ok(names) => {
            let with_values = names.iter().filter(|(_, has_value)| *has_value).map(|(name, _)| name.as_str());
            let Ok(written) = write::file(with_values.clone(), &vault, dialect) else { return };
            let Ok(mut again) = Vault::new(Backing::Locked) else { panic!("no memory") };
            assert!(file.load_text(written.as_slice(), &mut again).is_ok(), "our own text is refused");
            for name in with_values {
                assert!(vault.value(name) == again.value(name), "a value has changed");
            }
        }
        Err(SourceError::Syntax { source, excerpt, .. }) => {
            let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!(source.position().line >= 1 && source.position().column >= 1);
            assert!(source.position().line <= lines + text.iter().filter(|byte| **byte == b'\r').count());
            let shown = format!("{source}{excerpt}");
            // In a name of a key, a variable or a program it is no value.
            let plain = String::from_utf8_lossy(text);
            let in_value = plain
                .lines()
                .all(|line| !line.split(['=', ':']).next().unwrap_or_default().contains(MARK) && !line.contains('$'));
            assert!(!in_value || !shown.contains(MARK), "a value is shown");
        }
        Err(_) => {}
    }
}
