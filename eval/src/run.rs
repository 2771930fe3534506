//! Serialised run: the summary of each set, and the outcome of each query.
//!
//! Only shapes, and reading and writing them. Here does **not** live: how they are filled or shown.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{ErrorCode, Fault, Routed, SearchStatus, ToolId};

use crate::{
    latency::Latencies,
    metrics::Metrics,
    names::FormSummary,
    off_catalogue::Abstention,
    routing::Routing,
    statistics::{Estimate, Paired, estimates},
};

/// Version of the saved form; raised where older runs can no longer be compared with.
const FORMAT: u32 = 1;

/// Saved run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    format: u32,
    /// Version of the program that measured.
    program: String,
    pub(crate) sets: Vec<SetRun>,
}

/// Summary and queries of one set.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SetRun {
    pub(crate) summary: Summary,
    pub(crate) queries: Vec<QueryRun>,
}

/// Summary of one set.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) set: String,
    pub(crate) tools: usize,
    /// Queries that were asked.
    pub(crate) queries: usize,
    /// Queries that have a relevant tool.
    pub(crate) queries_all: usize,
    pub(crate) seed: u64,
    /// Name of the ranking configuration.
    pub(crate) ranker: String,
    /// Seconds from the first registration until all tools were searchable.
    pub(crate) searchable_seconds: f64,
    /// Number of degraded replies, by the dependency that was missing.
    pub(crate) degraded: BTreeMap<String, usize>,
    pub(crate) fused: Scores,
    pub(crate) arms: Vec<ArmSummary>,
    /// Scores by kind of query, where there are several.
    pub(crate) kinds: BTreeMap<String, KindSummary>,
    pub(crate) latency: Latencies,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) routing: Option<Routing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) off_catalogue: Option<Abstention>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<FormSummary>,
}

/// Mean metrics over queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scores {
    pub(crate) ndcg_10: Estimate,
    pub(crate) recall_5: Estimate,
    pub(crate) recall_10: Estimate,
    pub(crate) mrr_10: Estimate,
}

/// Scores of one arm alone, and the fused ranking against it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ArmSummary {
    pub(crate) arm: String,
    pub(crate) scores: Scores,
    /// Share of the arm's own first ten that could be seen, 0 to 1: what the fused first hundred leave out
    /// counts as wrong.
    pub(crate) seen: f64,
    /// nDCG@10 of the fused ranking (`now`) and of the arm (`before`).
    pub(crate) fused_against: Paired,
}

/// Scores of one kind of query.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KindSummary {
    pub(crate) queries: usize,
    pub(crate) scores: Scores,
}

/// Outcome of one query.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct QueryRun {
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// First ten results, best first.
    pub(crate) found: Vec<ToolId>,
    pub(crate) fused: Metrics,
    /// Metrics by arm, in the order of the summary.
    pub(crate) arms: Vec<Metrics>,
    pub(crate) status: SearchStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) confidence: Option<f32>,
    pub(crate) routed: Routed,
}

impl Scores {
    /// Averages the metrics of these queries.
    pub(crate) fn of(metrics: impl Iterator<Item = Metrics>, seed: u64) -> Self {
        let rows: Vec<[f64; 4]> = metrics.map(Metrics::values).collect();
        let [ndcg_10, recall_5, recall_10, mrr_10] = estimates(&rows, seed);
        Self { ndcg_10, recall_5, recall_10, mrr_10 }
    }

    /// Returns the values in the order of [`Metrics::NAMES`].
    pub(crate) const fn values(self) -> [Estimate; 4] {
        [self.ndcg_10, self.recall_5, self.recall_10, self.mrr_10]
    }
}

impl Run {
    pub(crate) fn new(sets: Vec<SetRun>) -> Self {
        Self { format: FORMAT, program: env!("CARGO_PKG_VERSION").to_owned(), sets }
    }

    /// Reads a saved run.
    pub(crate) fn load(file: &Path) -> Result<Self, Fault> {
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

    pub(crate) fn save(&self, file: &Path) -> Result<(), Fault> {
        let text = serde_json::to_vec(self).expect("a run has string keys and no failing serializer");
        write(file, &text)
    }
}

/// Writes a file that was asked for.
pub(crate) fn write(file: &Path, text: &[u8]) -> Result<(), Fault> {
    fs::write(file, text).map_err(|error| {
        Fault::new(ErrorCode::BadRequest, format!("cannot write {}: {error}", file.display()))
    })
}
