//! What `eval` can be asked: its options, and what follows from them.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;
use toolweaver_embedding::ModelConfig;
use toolweaver_embedding_worker::IndexingSettings;
use toolweaver_messaging::NatsConfig;
use toolweaver_query_worker::QuerySettings;

use super::set::Sample;

/// How `eval` measures.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Sets: folders with tools.jsonl, queries*.jsonl and qrels*.tsv, each plain or as .gz
    #[arg(required = true, value_name = "DIR")]
    pub(super) sets: Vec<PathBuf>,

    /// Search in this process, without NATS: faster, and the same ranking
    #[arg(long, conflicts_with = "nats_url")]
    pub(super) offline: bool,

    /// Folder to keep the tools' vectors in, so that the next offline run embeds queries only
    #[arg(long, value_name = "DIR", requires = "offline")]
    pub(super) vectors_dir: Option<PathBuf>,

    /// Lead no search to a domain: with --compare, what routing gains and costs
    #[arg(long, requires = "offline")]
    pub(super) no_routing: bool,

    /// Ask so many queries of each set at most, drawn at random
    #[arg(long, value_name = "COUNT")]
    pub(super) queries_max: Option<NonZeroUsize>,

    /// What chance begins with: the same seed draws the same
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,

    /// Searches on their way at a time; latencies are those under this load
    #[arg(long, value_name = "COUNT", default_value = "2")]
    pub(super) concurrency: NonZeroUsize,

    /// Seconds that a set's tools may take to become searchable
    #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
    pub(super) timeout: u64,

    /// Seconds to wait once they are searchable: workers measure a new catalogue now and then, which costs time, and their
    /// verdicts depend on it
    #[arg(long, value_name = "SECONDS", default_value_t = 6)]
    pub(super) settle: u64,

    /// Also ask for tools by name: as it is, in separate words, letters and digits alone, and with a typo
    #[arg(long)]
    pub(super) names: bool,

    /// Ask for so many names of each set at most, drawn at random
    #[arg(long, value_name = "COUNT", requires = "names")]
    pub(super) names_max: Option<NonZeroUsize>,

    /// Also ask this set's queries, and random words, where nothing fits, and look at the verdicts
    #[arg(long, value_name = "DIR")]
    pub(super) off_catalogue: Vec<PathBuf>,

    /// Write the run, query by query, to be compared with
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,

    /// Compare with a run that was saved
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,

    /// Write down the queries that lost, the worst first: what was wanted, and what came instead
    #[arg(long, value_name = "FILE")]
    pub(super) failures: Option<PathBuf>,

    /// Measure the workers at this NATS; without --nats-url all parts are started here, and thrown away afterwards
    #[command(flatten)]
    pub(super) nats: NatsConfig,

    #[command(flatten, next_help_heading = "Model of the parts started here")]
    pub(super) model: ModelConfig,

    #[command(flatten, next_help_heading = "Indexing of the parts started here")]
    pub(super) indexing: IndexingSettings,

    #[command(flatten, next_help_heading = "Queries of the parts started here")]
    pub(super) query: QuerySettings,
}

impl EvalArgs {
    /// Which queries of a set are asked.
    pub(super) fn sample(&self) -> Sample {
        Sample { queries_max: self.queries_max.map(NonZeroUsize::get), seed: self.seed }
    }
}
