//! Command line of the load test.

mod traffic;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use toolweaver_contracts::Tenant;

pub(crate) use self::traffic::{FaultsArguments, MixArguments, RollingArguments, TrafficArguments};

#[derive(Parser)]
#[command(name = "loadtest", version, about)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measures a fresh system at growing numbers of tools, and prints the table.
    Ladder(LadderArguments),
    /// Puts search load on a running system.
    Search(SearchArguments),
    /// Puts Zipf traffic on a system whose catalog changes, and checks every reply against what was
    /// published.
    Traffic(TrafficArguments),
    /// Breaks Redis in the middle of traffic, in several ways, and checks every reply.
    Faults(FaultsArguments),
    /// Replaces every worker in the middle of traffic, one after the other, and checks every reply.
    Rolling(RollingArguments),
}

/// Options of the tools and of the programs of a fresh system.
#[derive(Args)]
pub(crate) struct SourceArguments {
    /// Tools as JSON Lines (plain or .gz), or a folder of `OpenAPI` documents.
    #[arg(long)]
    pub(crate) tools: PathBuf,
    #[command(flatten)]
    pub(crate) programs: Programs,
}

/// Options of the programs of a fresh system.
#[derive(Args, Clone)]
pub(crate) struct Programs {
    /// Folder of the built programs.
    #[arg(long, default_value = "target/release")]
    pub(crate) bin_dir: PathBuf,
    /// The nats-server program.
    #[arg(long, env = "TOOLWEAVER_NATS_SERVER", default_value = "nats-server")]
    pub(crate) nats_server: PathBuf,
    /// Folder of the embedding model.
    #[arg(long, env = "TOOLWEAVER_MODEL_DIR", default_value = ".parts/models/all-MiniLM-L6-v2")]
    pub(crate) model_dir: PathBuf,
}

#[derive(Args)]
pub(crate) struct LadderArguments {
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    /// Numbers of tools to measure at.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000,5000,10000")]
    pub(crate) steps: Vec<usize>,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    /// Also writes the report as JSON to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SearchArguments {
    /// URL of NATS.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub(crate) nats_url: String,
    /// Tenant whose catalog it is.
    #[arg(long, env = "TOOLWEAVER_TENANT", default_value = "default")]
    pub(crate) tenant: Tenant,
    /// Queries, one a line.
    #[arg(long)]
    pub(crate) queries: PathBuf,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
}

/// Options of open-loop load.
#[derive(Args, Clone, Copy)]
pub(crate) struct LoadArguments {
    /// Searches a second that are not in a cache.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) rate: f64,
    /// Searches a second that are in a cache.
    #[arg(long, default_value_t = 200.0)]
    pub(crate) cached_rate: f64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 15)]
    pub(crate) seconds: u64,
}

impl LoadArguments {
    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
