//! Load on a running ToolWeaver, from outside: this crate knows the wire and nothing else.
//!
//! `ladder` fills the table of the README: it starts the real processes, registers ever more real tools and measures
//! search, freshness, cold start and memory at each step. `search` puts load on a system that is already there.
//! Load is open-loop: requests leave when they are due, and latency counts from then, so that a slow answer cannot
//! hide the ones that should have been sent meanwhile (coordinated omission).

mod client;
mod ladder;
mod load;
mod processes;
mod report;
mod tools;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use toolweaver_contracts::Tenant;

#[derive(Parser)]
#[command(name = "loadtest", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures a fresh system at growing numbers of tools, and prints the table.
    Ladder(LadderArguments),
    /// Puts search load on a running system.
    Search(SearchArguments),
}

#[derive(Args)]
struct LadderArguments {
    /// Tools as JSON Lines (plain or .gz), or a folder of `OpenAPI` documents.
    #[arg(long)]
    tools: PathBuf,
    /// Numbers of tools to measure at.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000,5000,10000")]
    steps: Vec<usize>,
    /// Folder of the built programs.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The nats-server program.
    #[arg(long, env = "TOOLWEAVER_NATS_SERVER", default_value = "nats-server")]
    nats_server: PathBuf,
    /// Folder of the embedding model.
    #[arg(long, env = "TOOLWEAVER_MODEL_DIR")]
    model_dir: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
    /// Also writes the report as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct SearchArguments {
    /// Where NATS listens.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    nats_url: String,
    /// Whose catalogue.
    #[arg(long, env = "TOOLWEAVER_TENANT", default_value = "default")]
    tenant: Tenant,
    /// Queries, one a line.
    #[arg(long)]
    queries: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
}

/// How much load, for how long.
#[derive(Args, Clone, Copy)]
struct LoadArguments {
    /// Searches a second that are not in a cache.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Searches a second that are.
    #[arg(long, default_value_t = 200.0)]
    cached_rate: f64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
}

impl LoadArguments {
    fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Ladder(arguments) => ladder::climb(&arguments).await,
        Command::Search(arguments) => search(&arguments).await,
    }
}

async fn search(arguments: &SearchArguments) -> anyhow::Result<()> {
    let client = client::Client::connect(&arguments.nats_url, arguments.tenant.clone()).await?;
    let text = std::fs::read_to_string(&arguments.queries)
        .with_context(|| format!("cannot read {}", arguments.queries.display()))?;
    let queries: Vec<String> =
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    let measured =
        load::run(&client, &queries, arguments.load.rate, arguments.load.duration(), "search").await?;
    report::print_load(&measured);
    Ok(())
}
