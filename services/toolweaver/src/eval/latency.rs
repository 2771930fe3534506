//! How long answers take: as the caller sees it, inside the worker, and by stage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statistics::quantile;

/// The stages of a search, in their order; others that a worker may name come behind them.
const STAGES: [&str; 6] = ["route", "embed", "lexical", "dense", "fuse", "load"];

/// Milliseconds that half of the answers need at most, and 95 % of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) p50: f64,
    pub(super) p95: f64,
}

/// Latencies of one set, in milliseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Latencies {
    /// From sending the request to having read the reply.
    pub(super) round_trip: Spread,
    /// Inside the worker.
    pub(super) took: Spread,
    /// By stage, in the order they run; from searches that were explained, which is why they are not the ones above.
    pub(super) stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stage {
    pub(super) stage: String,
    #[serde(flatten)]
    pub(super) spread: Spread,
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Self {
        Self {
            p50: quantile(values, 0.5).unwrap_or_default(),
            p95: quantile(values, 0.95).unwrap_or_default(),
        }
    }
}

/// Collects the stages of many searches.
#[derive(Debug, Default)]
pub(super) struct Stages(BTreeMap<String, Vec<f64>>);

impl Stages {
    pub(super) fn add(&mut self, stages_ms: &BTreeMap<String, f64>) {
        for (stage, ms) in stages_ms {
            match self.0.get_mut(stage) {
                Some(values) => values.push(*ms),
                None => drop(self.0.insert(stage.clone(), vec![*ms])),
            }
        }
    }

    pub(super) fn summary(self) -> Vec<Stage> {
        let place = |stage: &str| STAGES.iter().position(|known| *known == stage).unwrap_or(STAGES.len());
        let mut stages: Vec<Stage> =
            self.0.into_iter().map(|(stage, values)| Stage { stage, spread: Spread::of(&values) }).collect();
        stages.sort_by_key(|stage| place(&stage.stage));
        stages
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Stages;

    #[test]
    fn stages_come_in_the_order_they_run() {
        let mut stages = Stages::default();
        for ms in 1..=100 {
            let stage = |name: &str| (name.to_owned(), f64::from(ms));
            stages.add(&BTreeMap::from([stage("fuse"), stage("embed"), stage("new"), stage("lexical")]));
        }
        let summary = stages.summary();
        let names: Vec<&str> = summary.iter().map(|stage| stage.stage.as_str()).collect();
        assert_eq!(names, ["embed", "lexical", "fuse", "new"]);
        let spread = summary[0].spread;
        assert!((spread.p50 - 50.0).abs() < 1e-9 && (spread.p95 - 95.0).abs() < 1e-9, "{spread:?}");
    }
}
