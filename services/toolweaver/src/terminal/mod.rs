//! Terminal output: results and remarks, tables, line breaking, progress bars, exit codes.
//!
//! The lowest level of the program: it knows messages of the contracts and no command.

mod exit;
mod output;
mod progress;
mod table;
mod tool_text;
mod wrap;

pub(crate) use self::{
    exit::{EXIT_CODES, Exit},
    output::{Output, line, note, told},
    progress::bar,
    table::{Column, table},
    tool_text::{arguments, explained, shortened},
    wrap::{terminal_width, wrap_help},
};
