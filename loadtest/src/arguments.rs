//! What each command may be told.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use toolweaver_contracts::Tenant;

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
    /// Puts Zipf traffic on a system whose catalogue changes, and checks every reply against what was published.
    Traffic(TrafficArguments),
    /// Breaks Redis in the middle of traffic, in several ways, and checks every reply.
    Faults(FaultsArguments),
}

/// Where the tools are, and the programs of a fresh system.
#[derive(Args)]
pub(crate) struct SourceArguments {
    /// Tools as JSON Lines (plain or .gz), or a folder of `OpenAPI` documents.
    #[arg(long)]
    pub(crate) tools: PathBuf,
    #[command(flatten)]
    pub(crate) programs: Programs,
}

/// Where the programs of a fresh system are.
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
    /// Where NATS listens.
    #[arg(long, env = "NATS_URL", default_value = "nats://127.0.0.1:4222")]
    pub(crate) nats_url: String,
    /// Whose catalogue.
    #[arg(long, env = "TOOLWEAVER_TENANT", default_value = "default")]
    pub(crate) tenant: Tenant,
    /// Queries, one a line.
    #[arg(long)]
    pub(crate) queries: PathBuf,
    #[command(flatten)]
    pub(crate) load: LoadArguments,
}

/// How much load, for how long.
#[derive(Args, Clone, Copy)]
pub(crate) struct LoadArguments {
    /// Searches a second that are not in a cache.
    #[arg(long, default_value_t = 20.0)]
    pub(crate) rate: f64,
    /// Searches a second that are.
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

#[derive(Args)]
pub(crate) struct TrafficArguments {
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    #[command(flatten)]
    pub(crate) mix: MixArguments,
    /// Changes of the catalogue a second, while traffic runs; 0 leaves it quiet.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) registrations_per_second: f64,
    /// Seconds of traffic, the first ten of which are shown apart.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(11..))]
    pub(crate) seconds: u64,
    /// Redis (`redis://`) or Redis Cluster (`redis-cluster://`) of the fresh system; without it, none.
    #[arg(long, value_name = "URL")]
    pub(crate) use_redis: Option<String>,
    /// Query workers of the fresh system.
    #[arg(long, default_value = "1")]
    pub(crate) query_workers: NonZeroUsize,
    /// A running system to use instead of a fresh one. Tools of the tenant are registered, changed and removed.
    #[arg(long, conflicts_with_all = ["use_redis", "query_workers"])]
    pub(crate) nats_url: Option<String>,
    /// Where the query workers of the running system serve `/metrics`; without any, cache layers are not shown.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "nats_url")]
    pub(crate) metrics: Vec<SocketAddr>,
    /// Whose catalogue.
    #[arg(long, default_value = "loadtest")]
    pub(crate) tenant: Tenant,
    /// Also writes the report as JSON to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct FaultsArguments {
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    #[command(flatten)]
    pub(crate) mix: MixArguments,
    /// Changes of the catalogue a second.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) registrations_per_second: f64,
    /// The redis-server (or valkey-server) program.
    #[arg(long, default_value = "redis-server")]
    pub(crate) redis_server: PathBuf,
    /// Three masters with a replica each, instead of one server.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Seconds of each phase; a fault itself lasts five of them.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(6..))]
    pub(crate) phase_seconds: u64,
    /// Also writes the report as JSON to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// What the traffic is made of.
#[derive(Args, Clone, Copy)]
pub(crate) struct MixArguments {
    /// Distinct queries, asked with Zipf's frequencies (s = 1).
    #[arg(long, default_value = "2000")]
    pub(crate) distinct: NonZeroUsize,
    /// Requests a second: nine of ten are searches, the others get a tool that a search returned.
    #[arg(long, default_value_t = 300.0)]
    pub(crate) rate: f64,
    /// Tools in the catalogue before traffic begins; the rest of the file is what is registered meanwhile.
    #[arg(long, default_value = "1000")]
    pub(crate) catalogue: NonZeroUsize,
    /// Decides what is asked and changed, and in which order.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
