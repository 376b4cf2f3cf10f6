//! Examples in documents.

/// A fenced block of a Markdown document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// What stands behind the opening fence.
    pub language: &'a str,
    /// The lines between the fences, each with its line break.
    pub text: String,
}

/// The fenced blocks of a document, in their order.
#[must_use]
pub fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut inside = false;
    for (index, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), blocks.last_mut().filter(|_| inside)) {
            (Some(_), Some(_)) => inside = false,
            (Some(language), None) => {
                inside = true;
                blocks.push(Block { line: index + 1, language, text: String::new() });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_what_stands_between_fences() {
        let found = blocks("a\n```env\nb\n\nc\n```\nd\n```\n```\n");
        let expected = [(2, "env", "b\n\nc\n"), (8, "", "")];
        assert_eq!(found, expected.map(|(line, language, text)| Block { line, language, text: text.to_owned() }));
    }
}
