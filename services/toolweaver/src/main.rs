//! The command line of ToolWeaver, and all three workers in one process.
//!
//! Every command is a module: `up`, `register` (and `import`, with `openapi`), `remove`, `lookup` (search, get,
//! domains), `status`, `doctor`, `model_pull`, `eval`. They print one result, as a table or as JSON, and end with an exit code
//! that scripts can use (`exit`). Here does **not** live: any work of the workers; the client commands see only what
//! any NATS client sees.

mod cli;
mod client;
mod data_dir;
mod discovery;
mod doctor;
mod eval;
mod exit;
mod lookup;
mod model_pull;
mod output;
mod progress;
mod publishing;
mod register;
mod remove;
mod source;
mod status;
mod up;
mod waiting;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_service_runtime::{LogFormat, Telemetry, TelemetryConfig, telemetry};

use crate::{
    cli::{Cli, Command, Common, Connection, Import, ModelCommand},
    exit::Exit,
    output::Output,
};

fn main() -> ExitCode {
    let Cli { command, common } = parse();
    let outcome = match command {
        // Without a runtime: it blocks.
        Command::Model(ModelCommand::Pull(args)) => model_pull::pull(&args, &common),
        command => in_runtime(command, &common),
    };
    let exit = outcome.unwrap_or_else(|fault| {
        Output { json: common.json }.failure(&fault);
        fault.code.into()
    });
    exit.into()
}

fn parse() -> Cli {
    let command = Cli::command().mut_subcommand("up", |up| {
        up.mut_arg("http_addr", |addr| addr.default_value(up::HTTP_ADDR_DEFAULT))
            .mut_arg("log_filter", |filter| filter.default_value(up::LOG_FILTER_DEFAULT))
    });
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
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

/// Traces of a client command, where they are asked for. It logs nothing: what it has to say is its result.
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
        Command::Up(args) => up::up(*args, common).await,
        Command::Register(args) => register::register(args, common).await,
        Command::Remove(args) => remove::remove(args, common).await,
        Command::Import(Import::Openapi(args)) => register::import_openapi(args, common).await,
        Command::Search(args) => lookup::search(args, common).await,
        Command::Get(args) => lookup::get(args, common).await,
        Command::Domains(args) => lookup::domains(args, common).await,
        Command::Status(connection) => status::status(&connection, common).await,
        Command::Doctor(args) => doctor::doctor(&args, common).await,
        Command::Model(ModelCommand::Pull(args)) => model_pull::pull(&args, common),
        Command::Eval(args) => eval::eval(*args, common).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
