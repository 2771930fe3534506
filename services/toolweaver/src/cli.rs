//! The command line: what can be said, not what is done.

mod values;

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use toolweaver_contracts::{Domain, Tenant, ToolId};
use toolweaver_messaging::NatsConfig;

pub(crate) use self::values::{DetailName, ShapeName, TypeName};
use crate::{doctor::DoctorArgs, eval::EvalArgs, exit::EXIT_CODES, model_pull::PullArgs, up::UpArgs};

/// Finds the right tools for an AI agent: registers them, searches them, and runs the workers that make it so.
#[derive(Debug, Parser)]
#[command(name = "toolweaver", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) common: Common,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Print one JSON document on stdout instead of a table
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Folder of `up`: its streams, its models, and where its NATS server is
    /// [default: `toolweaver` in `$XDG_DATA_HOME`, or in `~/.local/share`]
    #[arg(long, global = true, env = "TOOLWEAVER_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this process: NATS, the three workers, and what they need
    Up(Box<UpArgs>),
    /// Register tools from a file, or from stdin
    Register(RegisterArgs),
    /// Remove tools
    Remove(RemoveArgs),
    /// Register the operations of an API
    #[command(subcommand)]
    Import(Import),
    /// Find the tools for what an agent wants to do
    Search(SearchArgs),
    /// Show one tool
    Get(GetArgs),
    /// List the domains and how many tools each has
    Domains(DomainsArgs),
    /// Show versions, lag, streams and workers
    Status(Connection),
    /// Check every part and say what to do
    Doctor(DoctorArgs),
    /// Get models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Measure how good and how fast search is, on sets of queries whose right tools are known
    Eval(Box<EvalArgs>),
}

/// Which NATS, and whose tools.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Whose catalogue
    #[arg(long, env = "TOOLWEAVER_TENANT", default_value_t, value_name = "TENANT")]
    pub(crate) tenant: Tenant,

    #[command(flatten)]
    pub(crate) nats: NatsConfig,

    /// OTLP/gRPC endpoint that gets the traces of this command, for example `http://localhost:4317`; none without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
}

impl Command {
    /// Of a command that asks running workers.
    pub(crate) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::Register(args) => Some(&args.connection),
            Self::Remove(args) => Some(&args.connection),
            Self::Import(Import::Openapi(args)) => Some(&args.connection),
            Self::Search(args) => Some(&args.connection),
            Self::Get(args) => Some(&args.connection),
            Self::Domains(args) => Some(&args.connection),
            Self::Status(connection) => Some(connection),
            Self::Doctor(args) => Some(&args.connection),
            Self::Up(_) | Self::Model(_) | Self::Eval(_) => None,
        }
    }
}

/// Whether to wait for a change to become searchable.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Return only when searches see the change
    #[arg(long)]
    pub(crate) wait: bool,

    /// Seconds to wait at most
    #[arg(long, value_name = "SECONDS", default_value_t = 600, requires = "wait")]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    /// A tool, a JSON array of tools, or JSON Lines with one tool a line; - reads stdin
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,

    /// Domain of tools that do not name one
    #[arg(long, default_value_t)]
    pub(crate) domain: Domain,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Tools, written `domain.tool_name`
    #[arg(required = true, value_name = "TOOL_ID")]
    pub(crate) tool_ids: Vec<ToolId>,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// Every operation of an OpenAPI 3 document, JSON or YAML
    Openapi(OpenapiArgs),
}

#[derive(Debug, Args)]
pub(crate) struct OpenapiArgs {
    /// The document; - reads stdin
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,

    /// Domain of the tools
    #[arg(long)]
    pub(crate) domain: Domain,

    /// Print the tools as JSON Lines and register nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) wait: WaitArgs,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// What the agent wants to do, in its own words
    #[arg(required = true)]
    pub(crate) query: Vec<String>,

    /// Results at most
    #[arg(long, short = 'k', value_name = "COUNT")]
    pub(crate) top_k: Option<NonZeroU32>,

    /// Look in this domain first
    #[arg(long)]
    pub(crate) domain: Option<Domain>,

    /// Only tools with one of these tags
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,

    /// Roles of the caller
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,

    /// Only tools of these types
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<TypeName>,

    /// Never these tools
    #[arg(long, value_name = "TOOL_ID")]
    pub(crate) exclude: Vec<ToolId>,

    /// How much of each tool to show
    #[arg(long, value_enum, default_value_t = DetailName::Summary)]
    pub(crate) detail: DetailName,

    /// Print the tools ready-made for this interface, as a JSON array (with --json: in `shaped` of the reply)
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) shape: Option<ShapeName>,

    /// Keep the best tools that fit into so many tokens of a prompt
    #[arg(long, value_name = "COUNT")]
    pub(crate) budget_tokens: Option<NonZeroU32>,

    /// Say why each tool stands where it stands
    #[arg(long)]
    pub(crate) explain: bool,

    /// Answer from this catalogue version or a later one
    #[arg(long, value_name = "VERSION")]
    pub(crate) min_version: Option<u64>,

    /// Wait so long for the version
    #[arg(long, value_name = "MILLISECONDS")]
    pub(crate) wait_ms: Option<u64>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The tool, written `domain.tool_name`
    pub(crate) tool_id: ToolId,

    /// Roles of the caller
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct DomainsArgs {
    /// Roles of the caller
    #[arg(long = "role", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Download the default model, all-MiniLM-L6-v2, and check it
    Pull(PullArgs),
}
