//! Exit codes of the commands, for scripts.

use std::process::ExitCode;

use toolweaver_contracts::ErrorCode;

/// Exit codes, as `--help` lists them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; `doctor` found something wrong
  2  wrong usage or bad input, nothing was done
  3  no such tool, or nothing relevant
  4  a dependency does not answer, or not in time
  5  partly done: the rest was rejected or not found, and is reported";

/// Outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Failed,
    BadInput,
    NotFound,
    Unavailable,
    Partly,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::BadInput => 2,
            Exit::NotFound => 3,
            Exit::Unavailable => 4,
            Exit::Partly => 5,
        })
    }
}

impl From<ErrorCode> for Exit {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::BadRequest => Self::BadInput,
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::NotYet | ErrorCode::Busy | ErrorCode::Unavailable | ErrorCode::Deadline => {
                Self::Unavailable
            }
            ErrorCode::Internal => Self::Failed,
        }
    }
}
