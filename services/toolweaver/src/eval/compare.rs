//! Two runs of the same queries: what has changed, and whether it is more than chance.

use std::{collections::HashMap, path::Path};

use serde::Serialize;
use toolweaver_contracts::{ErrorCode, Fault};

use super::{
    run::{Run, SetRun},
    statistics::Paired,
};

/// This run beside a saved one.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    /// The file of the saved one.
    pub(super) with: String,
    pub(super) sets: Vec<SetComparison>,
    /// All queries of all sets together: a set counts as much as it has queries.
    pub(super) overall: Paired,
}

/// One set in both runs: nDCG@10 of the queries that are in both.
#[derive(Debug, Serialize)]
pub(super) struct SetComparison {
    pub(super) set: String,
    pub(super) ranker_before: String,
    pub(super) ranker_now: String,
    pub(super) ndcg_10: Paired,
    /// Queries that only one of the runs has, left out.
    pub(super) not_in_both: usize,
}

/// Compares the sets that are in both runs.
pub(super) fn compare(file: &Path, before: &Run, now: &[SetRun], seed: u64) -> Result<Comparison, Fault> {
    let (mut all_before, mut all_now, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    for now in now {
        let Some(before) = before.sets.iter().find(|before| before.summary.set == now.summary.set) else {
            continue;
        };
        let values: HashMap<&str, f64> =
            before.queries.iter().map(|query| (query.id.as_str(), query.fused.ndcg_10)).collect();
        let pairs = now
            .queries
            .iter()
            .filter_map(|query| values.get(query.id.as_str()).map(|&before| (before, query.fused.ndcg_10)));
        let (values_before, values_now): (Vec<f64>, Vec<f64>) = pairs.unzip();
        if values_now.is_empty() {
            continue;
        }
        sets.push(SetComparison {
            set: now.summary.set.clone(),
            ranker_before: before.summary.ranker.clone(),
            ranker_now: now.summary.ranker.clone(),
            ndcg_10: Paired::of(&values_before, &values_now, seed),
            not_in_both: before.queries.len() + now.queries.len() - 2 * values_now.len(),
        });
        all_before.extend(values_before);
        all_now.extend(values_now);
    }
    if sets.is_empty() {
        let message = format!("no query of this run is in {}", file.display());
        return Err(Fault::new(ErrorCode::BadRequest, message)
            .hint("compare runs of the same sets, with the same --queries-max and --seed"));
    }
    Ok(Comparison {
        with: file.display().to_string(),
        sets,
        overall: Paired::of(&all_before, &all_now, seed),
    })
}
