//! How a command ends: its exit code, and how what went wrong becomes one.

use std::process::ExitCode;

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_messaging::{ConnectError, PublishError, RequestError};
use toolweaver_resilience::error_chain;

/// The exit codes, for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; `doctor` found something wrong
  2  wrong usage or bad input, nothing was done
  3  no such tool, or nothing relevant
  4  a part does not answer, or not in time
  5  partly done: the rest was rejected or not found, and is reported";

/// How a command ended, for scripts.
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

/// An error with everything below it, in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    error_chain(error).to_string()
}

/// No connection, with what to do about it.
pub(crate) fn no_connection(error: &ConnectError) -> Fault {
    let message = with_causes(error);
    match error {
        ConnectError::Config(_) | ConnectError::Credentials(_) => Fault::new(ErrorCode::BadRequest, message),
        ConnectError::Refused { .. } => Fault::new(ErrorCode::Unavailable, message),
        ConnectError::Unreachable { .. } => Fault::new(ErrorCode::Unavailable, message)
            .hint("start everything with `toolweaver up`, or say where NATS is with --nats-url"),
    }
}

/// No answer from a query worker, with what to do about it.
pub(crate) fn no_answer(error: RequestError, url: &str) -> Fault {
    match error {
        RequestError::Fault(fault) => fault,
        RequestError::NoService { .. } => {
            Fault::new(ErrorCode::Unavailable, format!("no query worker answers at {url}"))
                .hint("start one with `toolweaver up`, or say where NATS is with --nats-url")
        }
        RequestError::TimedOut { .. } => Fault::new(ErrorCode::Deadline, error.to_string())
            .hint("look at `toolweaver doctor` and at the logs of the query workers"),
        RequestError::Send { .. } => {
            Fault::new(ErrorCode::Unavailable, with_causes(&error)).hint("look at `toolweaver doctor`")
        }
    }
}

/// Not stored, with what to do about it.
pub(crate) fn not_stored(error: &PublishError) -> Fault {
    let message = with_causes(error);
    match error {
        PublishError::TooLarge { .. } => Fault::new(ErrorCode::BadRequest, message)
            .hint("shorten the tool, or raise max_payload of the NATS server"),
        PublishError::NoStream { .. } => Fault::new(ErrorCode::Unavailable, message)
            .hint("start the workers with `toolweaver up`; they create the streams"),
        _ if error.is_transient() => Fault::new(ErrorCode::Unavailable, message)
            .hint("run the command again; a tool registered twice is harmless"),
        _ => Fault::new(ErrorCode::Internal, message).hint("look at `toolweaver doctor`"),
    }
}
