//! Options that several commands share: the output's form, the connection, waiting, and values of the wire.

mod values;

use std::path::PathBuf;

use clap::Args;
use toolweaver_contracts::Tenant;
use toolweaver_messaging::NatsConfig;

pub(crate) use self::values::{DetailName, ShapeName, TypeName};

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print one JSON document on stdout instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Folder of `up`: its streams, its models, and the address of its NATS server
    /// [default: `toolweaver` in `$XDG_DATA_HOME`, or in `~/.local/share`]
    #[arg(long, global = true, env = "TOOLWEAVER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Options of a command that asks running workers.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Tenant, the owner of a catalog
    #[arg(long, env = "TOOLWEAVER_TENANT", default_value_t, value_name = "TENANT")]
    pub(crate) tenant: Tenant,

    #[command(flatten)]
    pub(crate) nats: NatsConfig,

    /// OTLP/gRPC endpoint for the traces of this command, such as `http://localhost:4317`; none without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
}

/// Options of a command that changes the catalog.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Return only when searches see the change
    #[arg(long)]
    pub(crate) wait: bool,

    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    pub(crate) timeout: u64,
}
