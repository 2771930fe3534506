//! Command output: one result on stdout, as text or as one JSON document; all else on stderr.

use std::io::{self, Write as _};

use serde::Serialize;
use toolweaver_contracts::{ErrorBody, ErrorCode, Fault};

/// Form of a command's result: JSON or text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints the result of a command: exactly one of these per run.
    pub(crate) fn result(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Fault> {
        if self.json {
            let json = serde_json::to_string_pretty(value)
                .expect("results have string keys and no failing serializer");
            line(&json)
        } else {
            line(text().trim_end())
        }
    }

    /// Reports why a command failed: what was wrong, where, and what to do.
    pub(crate) fn failure(self, fault: &Fault) {
        // A fault that is about stdout itself cannot be told there.
        let is_told = self.json && self.result(&ErrorBody { error: fault.clone() }, String::new).is_ok();
        if !is_told {
            note(&format!("error: {}", told(fault)));
        }
    }
}

/// Writes one line on stdout. A reader that has seen enough, such as `head`, is no error.
pub(crate) fn line(text: &str) -> Result<(), Fault> {
    let mut stdout = io::stdout().lock();
    written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()))
}

/// Returns the fault of a write to stdout, if it is one.
pub(crate) fn written(outcome: io::Result<()>) -> Result<(), Fault> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(ErrorCode::Internal, format!("cannot write the result to stdout: {error}"))
                .hint("the command itself was done; check the free space where its output goes"))
        }
        _ => Ok(()),
    }
}

/// Writes one line on stderr: progress and remarks, never the result.
pub(crate) fn note(text: &str) {
    // If stderr is closed nobody can be told.
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Returns a fault as text for people; its code is for programs.
pub(crate) fn told(fault: &Fault) -> String {
    let place = match fault.pointer.as_deref() {
        None | Some("") => String::new(),
        Some(pointer) => format!(" (at {pointer})"),
    };
    let hint = fault.hint.as_deref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
    format!("{}{place}{hint}", fault.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_fault_but_a_full_disk_is() {
        assert_eq!(written(Err(io::ErrorKind::BrokenPipe.into())), Ok(()));
        let fault = written(Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(fault.message.contains("stdout"), "{fault}");
    }

    #[test]
    fn a_fault_names_its_place_and_what_to_do() {
        let fault = Fault::bad("/tags", "too many").hint("leave some out");
        assert_eq!(told(&fault), "too many (at /tags)\n  leave some out");
        assert_eq!(told(&Fault::bad("", "not JSON")), "not JSON");
    }
}
