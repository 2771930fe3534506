//! A run: what `--json` prints of each set, and what `--save` keeps of each query.
//!
//! Only shapes, and reading and writing them. Here does **not** live: how they are filled or shown.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{ErrorCode, Fault, Routed, SearchStatus, ToolId};

use super::{
    latency::Latencies,
    metrics::Metrics,
    names::FormSummary,
    off_catalogue::Verdicts,
    routing::Routing,
    statistics::{Estimate, Paired, estimates},
};

/// Raised where a saved run can no longer be compared with.
const FORMAT: u32 = 1;

/// A run as it is saved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    format: u32,
    /// Version of the program that measured.
    program: String,
    pub(super) sets: Vec<SetRun>,
}

/// One set of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SetRun {
    pub(super) summary: Summary,
    pub(super) queries: Vec<QueryRun>,
}

/// What one set says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) set: String,
    pub(super) tools: usize,
    /// Queries that were asked.
    pub(super) queries: usize,
    /// Queries that have a relevant tool.
    pub(super) queries_all: usize,
    pub(super) seed: u64,
    /// Name of the ranking configuration.
    pub(super) ranker: String,
    /// Seconds from the first registration until all tools were searchable.
    pub(super) searchable_seconds: f64,
    /// Replies that lacked a part, by part.
    pub(super) degraded: BTreeMap<String, usize>,
    pub(super) fused: Scores,
    pub(super) arms: Vec<ArmSummary>,
    /// By kind of query, where there are several.
    pub(super) kinds: BTreeMap<String, KindSummary>,
    pub(super) latency: Latencies,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) routing: Option<Routing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) off_catalogue: Option<Verdicts>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) names: Vec<FormSummary>,
}

/// Means over queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Scores {
    pub(super) ndcg_10: Estimate,
    pub(super) recall_5: Estimate,
    pub(super) recall_10: Estimate,
    pub(super) mrr_10: Estimate,
}

/// One arm alone, and the fused ranking against it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ArmSummary {
    pub(super) arm: String,
    pub(super) scores: Scores,
    /// Share of the arm's own first ten that could be seen, 0 to 1: what the fused first hundred leave out counts as
    /// wrong.
    pub(super) seen: f64,
    /// nDCG@10 of the fused ranking (`now`) and of the arm (`before`).
    pub(super) fused_against: Paired,
}

/// One kind of query.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KindSummary {
    pub(super) queries: usize,
    pub(super) scores: Scores,
}

/// One query.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct QueryRun {
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    /// The first ten, best first.
    pub(super) found: Vec<ToolId>,
    pub(super) fused: Metrics,
    /// By arm, in the order of the summary.
    pub(super) arms: Vec<Metrics>,
    pub(super) status: SearchStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) confidence: Option<f32>,
    pub(super) routed: Routed,
}

impl Scores {
    /// The means of these queries.
    pub(super) fn of(metrics: impl Iterator<Item = Metrics>, seed: u64) -> Self {
        let rows: Vec<[f64; 4]> = metrics.map(Metrics::values).collect();
        let [ndcg_10, recall_5, recall_10, mrr_10] = estimates(&rows, seed);
        Self { ndcg_10, recall_5, recall_10, mrr_10 }
    }

    /// In the order of [`Metrics::NAMES`].
    pub(super) const fn values(self) -> [Estimate; 4] {
        [self.ndcg_10, self.recall_5, self.recall_10, self.mrr_10]
    }
}

impl Run {
    pub(super) fn new(sets: Vec<SetRun>) -> Self {
        Self { format: FORMAT, program: env!("CARGO_PKG_VERSION").to_owned(), sets }
    }

    /// Reads a saved run.
    pub(super) fn load(file: &Path) -> Result<Self, Fault> {
        let fault = |reason: &dyn std::fmt::Display| {
            Fault::new(ErrorCode::BadRequest, format!("cannot read the run {}: {reason}", file.display()))
                .hint("give a file that `toolweaver eval --save` has written")
        };
        let text = fs::read(file).map_err(|error| fault(&error))?;
        let run: Self = serde_json::from_slice(&text).map_err(|error| fault(&error))?;
        if run.format == FORMAT {
            Ok(run)
        } else {
            Err(fault(&format!("it has the format {}, this program reads {FORMAT}", run.format)))
        }
    }

    pub(super) fn save(&self, file: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec(self).expect("a run has string keys and no failing serializer");
        write(file, &text)
    }
}

/// Writes a file that was asked for.
pub(super) fn write(file: &Path, text: &[u8]) -> Result<(), Fault> {
    fs::write(file, text).map_err(|error| {
        Fault::new(ErrorCode::BadRequest, format!("cannot write {}: {error}", file.display()))
    })
}
