//! Columns for people: as wide as they need to be, numbers at the right.

use std::io::{self, Write};

use crate::ops::human::Line;

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Rows that are printed together. Only for tables whose length is limited.
#[derive(Debug)]
pub(super) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these titles.
    pub(super) fn new(columns: &[(&str, Side)]) -> Self {
        let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        Self { sides: columns.iter().map(|(_, side)| *side).collect(), rows: vec![titles] }
    }

    /// Adds a row; missing cells are empty. Texts may come from outside.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| Line(&cell).to_string()).collect());
    }

    /// Prints it, each line after `indent` spaces.
    pub(super) fn print(&self, indent: usize, out: &mut impl Write) -> io::Result<()> {
        let widths: Vec<usize> = (0..self.sides.len())
            .map(|column| {
                self.rows.iter().filter_map(|row| row.get(column)).map(width).max().unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, side), width_max) in row.iter().zip(&self.sides).zip(&widths) {
                let padding = " ".repeat(width_max - width(cell));
                match side {
                    Side::Left => line.extend([cell.as_str(), padding.as_str(), GAP]),
                    Side::Right => line.extend([padding.as_str(), cell.as_str(), GAP]),
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Columns of a terminal: one a character is right for all but wide scripts.
#[expect(clippy::ptr_arg, reason = "it is mapped over cells")]
fn width(cell: &String) -> usize {
    cell.chars().count()
}

const GAP: &str = "  ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table =
            Table::new(&[("name", Side::Left), ("bytes", Side::Right), ("", Side::Left)]);
        table.row(["a", "7", "x"].map(str::to_owned));
        table.row(["to_zone_3", "1234567"].map(str::to_owned));
        let mut out = Vec::new();
        table.print(1, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let expected = " name         bytes\n a                7  x\n to_zone_3  1234567\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_would_turn_a_terminal_s_text_is_escaped() {
        let mut table = Table::new(&[("name", Side::Left)]);
        table.row(["a\u{202e}\n"].map(str::to_owned));
        let mut out = Vec::new();
        table.print(0, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\u{202e}') && text.lines().count() == 2, "{text}");
    }
}
