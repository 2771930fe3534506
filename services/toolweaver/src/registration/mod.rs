//! Registration of tools: reading and checking them, publishing them into TOOLS, and the report of a run.
//!
//! ```text
//! file, stdin ─▶ source: checked entries ─▶ publishing ─▶ TOOLS ─▶ wait until searchable ─▶ report
//! ```

mod job;
mod publishing;
mod source;

use std::{io, path::Path};

use toolweaver_contracts::{ErrorCode, Fault};

pub(crate) use self::{
    job::Job,
    publishing::publish_all,
    source::{Entry, Scope, prepare, read},
};

/// Time that a removal stays in TOOLS, for readers that were away. After that nothing is left of the tool.
pub(crate) const TOMBSTONE_KEPT: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// Returns the fault of an input that cannot be read.
pub(crate) fn unreadable(file: &Path, error: &io::Error) -> Fault {
    Fault::new(ErrorCode::BadRequest, format!("cannot read {}: {error}", file.display()))
        .hint("give a file that is there, or - for stdin")
}
