//! Options of an evaluation, for whatever command line it is joined to.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::Args;

use crate::set::Sample;

/// Options of an evaluation that hold for every system under test.
#[derive(Debug, Clone, Args)]
pub struct EvaluationArgs {
    /// Sets: folders with tools.jsonl, queries*.jsonl and qrels*.tsv, each plain or as .gz
    #[arg(required = true, value_name = "DIR")]
    pub sets: Vec<PathBuf>,

    // The command line that this is joined to has the option --nats-url.
    /// Search in this process, without NATS: faster, and the same ranking
    #[arg(long, conflicts_with = "nats_url")]
    pub offline: bool,

    /// Folder to keep the tools' vectors in, so that the next offline run embeds queries only
    #[arg(long, value_name = "DIR", requires = "offline")]
    pub vectors_dir: Option<PathBuf>,

    /// Lead no search to a domain: with --compare, the gain and the cost of routing
    #[arg(long, requires = "offline")]
    pub no_routing: bool,

    /// Ask so many queries of each set at most, drawn at random
    #[arg(long, value_name = "COUNT")]
    pub queries_max: Option<NonZeroUsize>,

    /// Seed of all random draws: the same seed draws the same
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// Searches in flight at a time; latencies are those under this load
    #[arg(long, value_name = "COUNT", default_value = "2")]
    pub concurrency: NonZeroUsize,

    /// Also ask for tools by name: as it is, in separate words, letters and digits alone, and with a typo
    #[arg(long)]
    pub names: bool,

    /// Ask for so many names of each set at most, drawn at random
    #[arg(long, value_name = "COUNT", requires = "names")]
    pub names_max: Option<NonZeroUsize>,

    /// Also ask this set's queries, and random words, to which no tool is the answer, and measure abstention
    #[arg(long, value_name = "DIR")]
    pub off_catalogue: Vec<PathBuf>,

    /// Write the run, query by query, to be compared with
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,

    /// Compare with a run that was saved
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,

    /// Write the queries that lost, the worst first: the tools wanted, and the tools found instead
    #[arg(long, value_name = "FILE")]
    pub failures: Option<PathBuf>,
}

impl EvaluationArgs {
    /// Returns the choice of queries of each set.
    pub(crate) fn sample(&self) -> Sample {
        Sample { queries_max: self.queries_max.map(NonZeroUsize::get), seed: self.seed }
    }
}
