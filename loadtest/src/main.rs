//! Load on a running ToolWeaver, from outside: this crate knows the wire and nothing else.
//!
//! - `ladder` fills the table of the README: it starts the real processes, registers ever more real tools and
//!   measures search, freshness, cold start and memory at each step.
//! - `search` puts load on a system that is already there.
//! - `traffic` asks as agents do, a few queries often and most of them seldom, while the catalog changes,
//!   and checks every reply against what was published: no removed tool, no old description, no missing new
//!   one.
//! - `faults` runs the same traffic while Redis is flushed, slow, frozen and killed; with `--cluster`, one of
//!   its masters.
//! - `rolling` runs it while every worker is replaced, one after the other, as a Kubernetes Deployment does
//!   it.
//!
//! ```text
//! loadtest traffic --tools tools.jsonl.gz --use-redis redis://127.0.0.1:6379 --registrations-per-second 1
//! loadtest faults --tools tools.jsonl.gz --cluster
//! loadtest rolling --tools tools.jsonl.gz --rate 100 --restart-in-place
//! ```
//!
//! `traffic`, `faults` and `rolling` exit with 1 when a reply was stale, seconds behind or an error, or a
//! change was lost; `rolling` also when a worker did not end with 0.
//!
//! Load is open-loop: requests leave when they are due, and latency counts from then, so that a slow answer
//! cannot hide the ones that should have been sent meanwhile (coordinated omission).

mod arguments;
mod catalog;
mod client;
mod faults;
mod http;
mod ladder;
mod latencies;
mod load;
mod metrics;
mod process;
mod redis;
mod report;
mod rolling;
mod system;
mod tools;
mod traffic;

use anyhow::Context as _;
use clap::Parser as _;

use crate::arguments::{Arguments, Command, SearchArguments};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Ladder(arguments) => ladder::climb(&arguments).await,
        Command::Search(arguments) => search(&arguments).await,
        Command::Traffic(arguments) => traffic::run(arguments).await,
        Command::Faults(arguments) => faults::run(arguments).await,
        Command::Rolling(arguments) => rolling::run(arguments).await,
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
