//! Options of the commands that make traffic.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::Args;
use toolweaver_contracts::Tenant;

use super::SourceArguments;

#[derive(Args)]
pub(crate) struct TrafficArguments {
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    #[command(flatten)]
    pub(crate) mix: MixArguments,
    /// Changes of the catalog a second, while traffic runs; 0 leaves it quiet.
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
    /// A running system to use instead of a fresh one. Tools of the tenant are registered, changed and
    /// removed.
    #[arg(long, conflicts_with_all = ["use_redis", "query_workers"])]
    pub(crate) nats_url: Option<String>,
    /// Addresses at which the query workers of the running system serve `/metrics`; without any, cache layers
    /// are not shown.
    #[arg(long, value_name = "ADDR", value_delimiter = ',', requires = "nats_url")]
    pub(crate) metrics: Vec<SocketAddr>,
    /// Tenant whose catalog it is.
    #[arg(long, default_value = "loadtest")]
    pub(crate) tenant: Tenant,
    /// Also writes the report as JSON to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct FaultsArguments {
    #[command(flatten)]
    pub(crate) run: OwnRunArguments,
    /// Three masters with a replica each, instead of one server.
    #[arg(long)]
    pub(crate) cluster: bool,
    /// Seconds of each phase; a fault itself lasts five of them.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(6..))]
    pub(crate) phase_seconds: u64,
}

#[derive(Args)]
pub(crate) struct RollingArguments {
    #[command(flatten)]
    pub(crate) run: OwnRunArguments,
    /// Query workers; of the other two kinds there are two each.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(2..))]
    pub(crate) query_workers: u16,
    /// Ends each process before its successor starts, as a node that is drained does. Otherwise the successor
    /// is ready first, as in a Deployment with maxSurge 1 and maxUnavailable 0.
    #[arg(long)]
    pub(crate) restart_in_place: bool,
    /// Seconds between the decision to end a process and its SIGTERM: the chart's preStop.
    #[arg(long, default_value_t = 5)]
    pub(crate) pre_stop_seconds: u64,
    /// Seconds that a process may take to drain: `DRAIN_TIMEOUT_SECONDS`. Five more after SIGTERM, and it is
    /// killed.
    #[arg(long, default_value_t = 25)]
    pub(crate) drain_seconds: u64,
    /// Seconds of traffic before the first replacement, and after the last.
    #[arg(long, default_value_t = 15)]
    pub(crate) settle_seconds: u64,
    /// Keeps the logs of all processes in this folder; without it they end with the run.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
}

/// Options of traffic on a fresh system with a Redis of its own.
#[derive(Args)]
pub(crate) struct OwnRunArguments {
    #[command(flatten)]
    pub(crate) source: SourceArguments,
    #[command(flatten)]
    pub(crate) mix: MixArguments,
    /// Changes of the catalog a second.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) registrations_per_second: f64,
    /// The redis-server (or valkey-server) program.
    #[arg(long, default_value = "redis-server")]
    pub(crate) redis_server: PathBuf,
    /// Also writes the report as JSON to this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
}

/// Options of the mix of requests.
#[derive(Args, Clone, Copy)]
pub(crate) struct MixArguments {
    /// Distinct queries, asked with Zipf's frequencies (s = 1).
    #[arg(long, default_value = "2000")]
    pub(crate) distinct: NonZeroUsize,
    /// Requests a second: nine of ten are searches, the others get a tool that a search returned.
    #[arg(long, default_value_t = 300.0)]
    pub(crate) rate: f64,
    /// Tools in the catalog before traffic begins; the rest of the file is registered meanwhile.
    #[arg(long = "catalogue", default_value = "1000")]
    pub(crate) catalog: NonZeroUsize,
    /// Seed of all draws: queries, changes and their order.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
