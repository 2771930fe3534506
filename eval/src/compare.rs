//! Comparison of two runs of the same queries: the differences, and whether they are significant.

use std::{collections::HashMap, path::Path};

use serde::Serialize;
use toolweaver_contracts::{ErrorCode, Fault};

use crate::{
    run::{Run, SetRun},
    statistics::Paired,
};

/// Comparison of this run with a saved one.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// File of the saved run.
    pub(crate) with: String,
    pub(crate) sets: Vec<SetComparison>,
    /// Difference over all queries of all sets: a set weighs as much as it has queries.
    pub(crate) overall: Paired,
}

/// Comparison of one set: nDCG@10 of the queries that are in both runs.
#[derive(Debug, Serialize)]
pub(crate) struct SetComparison {
    pub(crate) set: String,
    pub(crate) ranker_before: String,
    pub(crate) ranker_now: String,
    pub(crate) ndcg_10: Paired,
    /// Queries that only one of the runs has; they are left out.
    pub(crate) not_in_both: usize,
}

/// Compares the sets that are in both runs.
pub(crate) fn compare(file: &Path, before: &Run, now: &[SetRun], seed: u64) -> Result<Comparison, Fault> {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{Run, SetRun, compare};

    /// A set whose queries are called 0, 1, … and have these nDCG@10.
    fn set(name: &str, values: &[f64]) -> SetRun {
        let metrics = |ndcg: f64| json!({ "ndcg_10": ndcg, "recall_5": 0, "recall_10": 0, "mrr_10": 0 });
        let query = |(index, ndcg): (usize, &f64)| {
            json!({
                "id": index.to_string(), "found": ["x.a"], "fused": metrics(*ndcg), "arms": [], "status": "matched",
                "routed": { "by": "none", "fell_back": false, "strategy": "hybrid" }
            })
        };
        let queries: Vec<_> = values.iter().enumerate().map(query).collect();
        let mean = json!({ "mean": 0, "low": 0, "high": 0 });
        let scores = json!({ "ndcg_10": mean, "recall_5": mean, "recall_10": mean, "mrr_10": mean });
        let quantiles = json!({ "p50": 1, "p95": 2 });
        let summary = json!({
            "set": name, "tools": 1, "queries": values.len(), "queries_all": values.len(), "seed": 1, "ranker": "r",
            "searchable_seconds": 1, "degraded": {}, "fused": scores, "arms": [], "kinds": {},
            "latency": { "round_trip": quantiles, "took": quantiles, "stages": [] }
        });
        serde_json::from_value(json!({ "summary": summary, "queries": queries })).unwrap()
    }

    #[test]
    fn queries_of_both_runs_are_compared_set_by_set_and_together() {
        let before = Run::new(vec![set("a", &[0.5; 40]), set("gone", &[0.1; 9])]);
        let now = [set("a", &[0.75; 30]), set("new", &[1.0; 5])];
        let comparison = compare(Path::new("before.json"), &before, &now, 1).unwrap();
        let [of_a] = comparison.sets.as_slice() else { panic!("{comparison:?}") };
        assert_eq!((of_a.set.as_str(), of_a.ndcg_10.queries, of_a.not_in_both), ("a", 30, 10));
        assert_eq!((of_a.ndcg_10.better, of_a.ndcg_10.conclusion()), (30, "better"));
        assert_eq!(comparison.overall, of_a.ndcg_10);
    }

    #[test]
    fn nothing_in_common_is_refused() {
        let before = Run::new(vec![set("a", &[0.5])]);
        let fault = compare(Path::new("before.json"), &before, &[set("b", &[0.5])], 1).unwrap_err();
        assert!(fault.message.contains("before.json"), "{fault}");
    }

    #[test]
    fn a_saved_run_is_read_again_and_another_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        Run::new(vec![set("a", &[0.25])]).save(&file).unwrap();
        assert_eq!(Run::load(&file).unwrap().sets[0].queries[0].fused.ndcg_10.to_bits(), 0.25_f64.to_bits());
        std::fs::write(&file, "{\"format\":99,\"program\":\"x\",\"sets\":[]}").unwrap();
        assert!(Run::load(&file).unwrap_err().message.contains("format 99"));
    }
}
