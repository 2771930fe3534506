//! All three workers in one process, and the NATS server they may bring along, for `up` and for `eval`.

mod args;
mod server;
mod start;

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_resilience::error_chain;

pub(crate) use self::{args::WorkerArgs, server::start_server, start::start_workers};

/// Returns the fault of a worker that could not be started, or that died.
pub(crate) fn failed(error: &anyhow::Error) -> Fault {
    Fault::new(ErrorCode::Internal, error_chain(error.as_ref()).to_string())
}

/// Returns all that is wrong with the options of a command, if anything is.
pub(crate) fn faulty(faults: &[String], command: &str) -> Result<(), Fault> {
    if faults.is_empty() {
        return Ok(());
    }
    let message = format!("the configuration is faulty:\n  - {}", faults.join("\n  - "));
    let hint = format!("see `toolweaver {command} --help` for all options and their environment variables");
    Err(Fault::new(ErrorCode::BadRequest, message).hint(hint))
}
