//! What a command prints: its result on stdout, as a table or as one JSON document; all else on stderr.

use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use toolweaver_contracts::{ErrorBody, Fault};

/// Width of a table when the terminal does not tell its own.
const COLUMNS_DEFAULT: u16 = 110;

/// Where a command's result goes, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// The result of a command: exactly one of these per run.
    pub(crate) fn result(self, value: &impl Serialize, human: impl FnOnce() -> String) {
        if self.json {
            let text = serde_json::to_string_pretty(value)
                .expect("results have string keys and no failing serializer");
            line(&text);
        } else {
            line(human().trim_end());
        }
    }

    /// The result of a command that failed: what was wrong, where, and what to do.
    pub(crate) fn failure(self, fault: &Fault) {
        if self.json {
            self.result(&ErrorBody { error: fault.clone() }, String::new);
        } else {
            note(&format!("error: {}", told(fault)));
        }
    }
}

/// One line on stdout.
pub(crate) fn line(text: &str) {
    let mut stdout = io::stdout().lock();
    // A reader that has seen enough, such as `head`, is no error.
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).ok();
}

/// One line on stderr: progress and remarks, never the result.
pub(crate) fn note(text: &str) {
    // If stderr is closed nobody can be told.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// A fault for a human: the code is for programs.
pub(crate) fn told(fault: &Fault) -> String {
    let place = match fault.pointer.as_deref() {
        None | Some("") => String::new(),
        Some(pointer) => format!(" (at {pointer})"),
    };
    let hint = fault.hint.as_deref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
    format!("{}{place}{hint}", fault.message)
}

/// Width of the terminal, in columns.
pub(crate) fn columns() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(COLUMNS_DEFAULT)
}

/// A table with these column heads.
pub(crate) fn table<const N: usize>(heads: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns())
        .set_header(heads);
    table
}

/// The beginning of a text, on one line of a table.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= chars_max {
        return text;
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}
