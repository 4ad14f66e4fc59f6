//! Listings in columns.
//!
//! Columns are as wide as their widest cell and two spaces apart; nothing is cut, so that a
//! listing can be searched. A cell that is very long stands out of its column, or a hostile name
//! would fill every row with spaces.
//! Cells may come from a module's names, so control characters in them are escaped.

use std::fmt;

/// Rows of cells under one line of titles.
pub struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub fn new(titles: [&str; N]) -> Table<N> {
        Table { rows: vec![titles.map(str::to_owned)] }
    }

    /// Adds a row.
    pub fn row<S: AsRef<str>>(&mut self, cells: [S; N]) {
        self.rows.push(cells.map(|cell| printable(cell.as_ref())));
    }

    /// Whether there is nothing but titles.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }
}

/// Longer cells do not make their column wider.
const WIDEST: usize = 120;

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let widths = self.rows.iter().map(|row| row[column].chars().count());
            widths.filter(|&width| width <= WIDEST).max().unwrap_or(0)
        };
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A guest's name as it may be printed: control characters, and those that turn text around,
/// become escapes.
pub fn printable(text: &str) -> String {
    let dangerous = |symbol: char| {
        symbol.is_control()
            || matches!(symbol, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for symbol in text.chars() {
        match dangerous(symbol) {
            true => shown.extend(symbol.escape_unicode()),
            false => shown.push(symbol),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new(["name", "kind"]);
        table.row(["a", "function"]);
        table.row(["longer", "memory"]);
        assert_eq!(table.to_string(), "name    kind\na       function\nlonger  memory\n");
        assert!(!table.is_empty());
    }

    #[test]
    fn a_hostile_name_stands_out_of_its_column() {
        let long = "x".repeat(1 << 20);
        let mut table = Table::new(["name", "kind"]);
        table.row([long.as_str(), "function"]);
        table.row(["a", "memory"]);
        assert_eq!(table.to_string(), format!("name  kind\n{long}  function\na     memory\n"));
    }

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}"), "a\\u{1b}[2Jb\\u{202e}");
        assert_eq!(printable("Grüße"), "Grüße");
    }
}
