//! Faults of the connection, each with what to do about it.

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_messaging::{ConnectError, PublishError, RequestError};
use toolweaver_resilience::error_chain;

/// Returns the fault of a connection that could not be made.
pub(crate) fn no_connection(error: &ConnectError) -> Fault {
    let message = error_chain(error).to_string();
    match error {
        ConnectError::Config(_) | ConnectError::Credentials(_) => Fault::new(ErrorCode::BadRequest, message),
        ConnectError::Refused { .. } => Fault::new(ErrorCode::Unavailable, message),
        ConnectError::Unreachable { .. } => Fault::new(ErrorCode::Unavailable, message)
            .hint("start everything with `toolweaver up`, or say where NATS is with --nats-url"),
    }
}

/// Returns the fault of a request that no query worker answered well.
pub(super) fn no_answer(error: RequestError, url: &str) -> Fault {
    match error {
        RequestError::Fault(fault) => fault,
        RequestError::NoService { .. } => {
            Fault::new(ErrorCode::Unavailable, format!("no query worker answers at {url}"))
                .hint("start one with `toolweaver up`, or say where NATS is with --nats-url")
        }
        RequestError::TimedOut { .. } => Fault::new(ErrorCode::Deadline, error.to_string())
            .hint("look at `toolweaver doctor` and at the logs of the query workers"),
        RequestError::Send { .. } => Fault::new(ErrorCode::Unavailable, error_chain(&error).to_string())
            .hint("look at `toolweaver doctor`"),
    }
}

/// Returns the fault of an event that was not stored.
pub(crate) fn not_stored(error: &PublishError) -> Fault {
    let message = error_chain(error).to_string();
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
