//! Tables that fit the terminal and never break a tool id.
//!
//! The width is that of the terminal, or `COLUMNS` where it is set. Without either, as in a pipe, nothing is
//! wrapped: each row is one line for `grep` and its like.

use std::fmt;

use console::measure_text_width;

use super::wrap::{TEXT_WIDTH_MIN, terminal_width, wrap};

/// Blanks between two columns.
const GAP: usize = 2;

/// Column of a table: its head, and whether its cells may be wrapped.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    head: String,
    is_text: bool,
}

impl Column {
    /// Returns a column whose cells are never broken: ids, numbers, words.
    pub(crate) fn whole(head: impl Into<String>) -> Self {
        Self { head: head.into(), is_text: false }
    }

    /// Returns a column of running text, which is wrapped to fit; a table has one of them at most.
    pub(crate) fn text(head: impl Into<String>) -> Self {
        Self { head: head.into(), is_text: true }
    }
}

impl From<&str> for Column {
    fn from(head: &str) -> Self {
        Self::whole(head)
    }
}

/// Rows below column heads; displayed in the width of the terminal.
#[derive(Debug)]
pub(crate) struct Table {
    /// Position of the column that may be wrapped.
    text: Option<usize>,
    /// Cells of each row, the heads first.
    rows: Vec<Vec<String>>,
}

/// Returns an empty table with these columns.
pub(crate) fn table<const N: usize>(columns: [impl Into<Column>; N]) -> Table {
    let columns = columns.map(Into::into);
    let text = columns.iter().position(|column| column.is_text);
    Table { text, rows: vec![columns.into_iter().map(|column| column.head).collect()] }
}

impl Table {
    /// Adds a row: one cell for each column. A cell may have several lines.
    pub(crate) fn add_row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn render(&self, width_max: Option<usize>) -> String {
        let widths = self.widths();
        let total = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        match (width_max, self.text) {
            (Some(width_max), Some(text)) if total > width_max => {
                let others = total - widths[text];
                let room = width_max.saturating_sub(others);
                // With too little room the text stands below the cell before it.
                if room < TEXT_WIDTH_MIN && text > 0 {
                    let room = (width_max + widths[text - 1] + GAP).saturating_sub(others);
                    return self.stacked(text, room).render(None);
                }
                self.wrapped(text, room).render(None)
            }
            _ => lines(&self.rows, &widths),
        }
    }

    /// Returns the width of each column: that of its widest line.
    fn widths(&self) -> Vec<usize> {
        let width = |row: &Vec<String>, column: usize| {
            let cell = row.get(column).map_or("", String::as_str);
            cell.lines().map(measure_text_width).max().unwrap_or_default()
        };
        let columns = 0..self.rows[0].len();
        columns
            .map(|column| self.rows.iter().map(|row| width(row, column)).max().unwrap_or_default())
            .collect()
    }

    /// Returns the table with the text wrapped to `room`.
    fn wrapped(&self, text: usize, room: usize) -> Self {
        let mut rows = self.rows.clone();
        for cell in rows.iter_mut().filter_map(|row| row.get_mut(text)) {
            *cell = wrap(cell, room);
        }
        Self { text: None, rows }
    }

    /// Returns the table with the text below the cells of the column before it.
    fn stacked(&self, text: usize, room: usize) -> Self {
        let mut rows = self.rows.clone();
        for row in rows.iter_mut().filter(|row| row.len() > text) {
            let below = wrap(&row.remove(text), room);
            let cell = &mut row[text - 1];
            if !below.is_empty() {
                *cell = format!("{cell}\n{below}");
            }
        }
        Self { text: None, rows }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(terminal_width()))
    }
}

/// Lays the rows out, with a rule below the first.
fn lines(rows: &[Vec<String>], widths: &[usize]) -> String {
    let rule = widths.iter().map(|&width| "─".repeat(width)).collect::<Vec<_>>().join(&" ".repeat(GAP));
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<Vec<&str>> = row.iter().map(|cell| cell.lines().collect()).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for index in 0..height {
            let mut line = String::new();
            for (cell, &width) in cells.iter().zip(widths) {
                let text = cell.get(index).copied().unwrap_or_default();
                line += text;
                line += &" ".repeat(width - measure_text_width(text) + GAP);
            }
            lines.push(line.trim_end().to_owned());
        }
        if number == 0 {
            lines.push(rule.clone());
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "github.create_pull_request";
    const WORDS: &str = "Open a pull request from one branch of a repository to another";

    fn found() -> Table {
        let mut rows = table([
            Column::whole(""),
            Column::whole("tool"),
            Column::text("what it does"),
            Column::whole("score"),
        ]);
        rows.add_row(["1", ID, WORDS, "0.812"]);
        rows.add_row(["2", "a.b", "", "0.1"]);
        rows
    }

    fn width(text: &str) -> usize {
        text.lines().map(measure_text_width).max().unwrap()
    }

    #[test]
    fn without_a_width_each_row_is_one_line() {
        let text = found().render(None);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().any(|line| line.contains(ID) && line.contains(WORDS)), "{text}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{text}");
    }

    #[test]
    fn every_width_is_kept_to_as_long_as_the_ids_fit() {
        for columns in ID.len() + 10..120 {
            let text = found().render(Some(columns));
            assert!(width(&text) <= columns, "{columns}:\n{text}");
        }
    }

    #[test]
    fn an_id_is_never_broken() {
        for columns in 1..120 {
            let text = found().render(Some(columns));
            assert!(text.contains(ID), "{columns}:\n{text}");
        }
    }

    #[test]
    fn text_without_room_of_its_own_stands_below_the_id() {
        let text = found().render(Some(50));
        let below = text.lines().skip_while(|line| !line.contains(ID)).nth(1).unwrap();
        assert!(below.trim().starts_with("Open a pull request") && below.starts_with("   "), "{text}");
    }

    #[test]
    fn wide_characters_count_twice() {
        let mut rows = table([Column::whole("tool"), Column::text("what it does")]);
        rows.add_row(["検索.ツール", &"検索 ".repeat(40)]);
        assert!(width(&rows.render(Some(60))) <= 60);
    }
}
