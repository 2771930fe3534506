//! Line breaking to the width of the terminal.
//!
//! clap's own wrapping of `--help` is a feature that brings another crate to ask for the width; `console`,
//! which draws the progress bars, can ask too.

use std::env;

use console::{Term, measure_text_width};

/// Columns that running text needs to be read.
pub(super) const TEXT_WIDTH_MIN: usize = 30;

/// Returns the columns to keep to: `COLUMNS`, or those of the terminal; none where stdout is file or pipe.
pub(crate) fn terminal_width() -> Option<usize> {
    let given = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || Term::stdout().size_checked().map(|(_, columns)| columns.into());
    given.filter(|&columns| columns > 0).or_else(asked)
}

/// Breaks text between words, so that its lines are at most `room` wide; a longer word stays whole.
pub(super) fn wrap(text: &str, room: usize) -> String {
    text.lines().map(|line| wrap_line(line, room).join("\n")).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_whitespace() {
        if !current.is_empty() && measure_text_width(&current) + 1 + measure_text_width(word) > room {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current += word;
    }
    lines.push(current);
    lines
}

/// Breaks the lines of a help text; the rest of a line stands below its description, not below its option.
pub(crate) fn wrap_help(help: &str, width: usize) -> String {
    let wrapped = help.lines().map(|line| {
        if measure_text_width(line) <= width {
            return line.to_owned();
        }
        let (option, description) = line.split_at(description_start(line));
        let indent = measure_text_width(option);
        let room = width.saturating_sub(indent).max(TEXT_WIDTH_MIN);
        let below = format!("\n{}", " ".repeat(indent));
        format!("{option}{}", wrap_line(description, room).join(&below))
    });
    wrapped.collect::<Vec<_>>().join("\n")
}

/// Returns the position behind the last gap of two blanks or more: there the description begins.
fn description_start(line: &str) -> usize {
    let gap = line.trim_end().rfind("  ");
    gap.map_or(0, |gap| gap + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_text_stay_lines_and_words_stay_whole() {
        assert_eq!(wrap("one two three\n→ four", 8), "one two\nthree\n→ four");
        assert_eq!(wrap("a.very.long.id b", 4), "a.very.long.id\nb");
        assert_eq!(wrap("", 4), "");
    }

    #[test]
    fn a_description_hangs_below_itself() {
        let help = "Options:\n  -k, --top-k <COUNT>  Results at most, of all those that any domain of the catalog has";
        let expected = "Options:\n  -k, --top-k <COUNT>  Results at most, of all those that\n                       any domain of the catalog has";
        assert_eq!(wrap_help(help, 58), expected);
        assert_eq!(wrap_help(help, 200), help);
    }

    #[test]
    fn styles_have_no_width() {
        let help = "      \u{1b}[1m--json\u{1b}[0m  Print one JSON document";
        assert_eq!(wrap_help(help, 40), help);
    }
}
