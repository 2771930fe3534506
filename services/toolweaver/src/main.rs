//! Command line of ToolWeaver, and all three workers in one process.
//!
//! Modules stand in levels, and each uses lower ones only (held by `tests/levels.rs`):
//!
//! ```text
//! main ─▶ cli ─▶ commands ─▶ registration, workers ─▶ client ─▶ data_dir ─▶ options, terminal
//! ```
//! A command prints one result, as a table or as JSON, and ends with an exit code that scripts can use. Here
//! does **not** live: any work of the workers; the client commands see only what any NATS client sees.

mod cli;
mod client;
mod commands;
mod data_dir;
mod default_model;
mod options;
mod registration;
mod terminal;
mod workers;

use std::process::ExitCode;

use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_service_runtime::{LogFormat, Telemetry, TelemetryConfig, telemetry};

use crate::{
    cli::{Cli, Command},
    options::{Common, Connection},
    terminal::{Exit, Output},
};

fn main() -> ExitCode {
    let Cli { command, common } = match Cli::parse_arguments() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let exit = in_runtime(command, &common).unwrap_or_else(|fault| {
        Output { json: common.json }.failure(&fault);
        fault.code.into()
    });
    exit.into()
}

fn in_runtime(command: Command, common: &Common) -> Result<Exit, Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Fault::new(ErrorCode::Internal, format!("cannot start the async runtime: {error}"))
    })?;
    let outcome = runtime.block_on(run(command, common));
    // A thread that still reads stdin must not hold the program.
    runtime.shutdown_background();
    outcome
}

async fn run(command: Command, common: &Common) -> Result<Exit, Fault> {
    let traces = match command.connection() {
        Some(connection) => traces(connection)?,
        None => None,
    };
    let outcome = execute(command, common).await;
    if let Some(traces) = traces {
        traces.shutdown().await;
    }
    outcome
}

/// Starts the traces of a client command, where they are asked for. It logs nothing: its result says it all.
fn traces(connection: &Connection) -> Result<Option<Telemetry>, Fault> {
    let config = TelemetryConfig {
        log_format: LogFormat::Human,
        log_filter: "off".to_owned(),
        otlp_endpoint: connection.otlp_endpoint.clone().filter(|endpoint| !endpoint.is_empty()),
        trace_ratio: 1.0,
    };
    if config.otlp_endpoint.is_none() {
        return Ok(None);
    }
    let bad_option = |message| Fault::new(ErrorCode::BadRequest, message);
    let faults = config.validate();
    if !faults.is_empty() {
        return Err(bad_option(faults.join("; ")));
    }
    telemetry::start("toolweaver", &config).map(Some).map_err(|error| bad_option(error.to_string()))
}

async fn execute(command: Command, common: &Common) -> Result<Exit, Fault> {
    match command {
        Command::Up(args) => commands::up(*args, common).await,
        Command::Register(args) => commands::register(args, common).await,
        Command::Remove(args) => commands::remove(args, common).await,
        Command::Import(command) => commands::import(command, common).await,
        Command::Search(args) => commands::search(args, common).await,
        Command::Get(args) => commands::get(args, common).await,
        Command::Domains(args) => commands::domains(args, common).await,
        Command::Status(connection) => commands::status(&connection, common).await,
        Command::Doctor(args) => commands::doctor(&args, common).await,
        Command::Eval(args) => commands::eval(*args, common).await,
        // These block, which nobody minds: nothing else runs then.
        Command::Model(command) => commands::model(&command, common),
        Command::Completions(args) => commands::completions(&args, Cli::program()),
        Command::Man(args) => commands::man(&args, Cli::program(), common),
    }
}
