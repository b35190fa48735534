//! A mistake in a line, shown where it is.

/// Columns are counted in characters, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// What is wrong and what was expected.
    pub what: String,
}

impl Fault {
    /// The sentence, and below it the line with carets under what is meant.
    pub fn shown(&self, line: &str) -> String {
        // Tabs and line ends would move the carets away.
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (blank, carets) = (" ".repeat(self.column.saturating_sub(1)), "^".repeat(self.width.max(1)));
        format!("column {}: {}\n    {}\n    {blank}{carets}", self.column, self.what, line.trim_end())
    }
}
