//! Latencies of answers: as the caller sees them, inside the worker, and by stage.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statistics::quantile;

/// Stages of a search, in their order; others that a worker may name come behind them.
const STAGES: [&str; 6] = ["route", "embed", "lexical", "dense", "fuse", "load"];

/// Median and 95th percentile of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
}

/// Latencies of one set, in milliseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Latencies {
    /// Time from sending the request to having read the reply.
    pub(crate) round_trip: Quantiles,
    /// Time inside the worker.
    pub(crate) took: Quantiles,
    /// Time by stage, in the order they run; measured on explained searches, so they do not add up to the
    /// ones above.
    pub(crate) stages: Vec<Stage>,
}

/// Latency of one stage.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) stage: String,
    #[serde(flatten)]
    pub(crate) quantiles: Quantiles,
}

impl Quantiles {
    pub(crate) fn of(values: &[f64]) -> Self {
        Self {
            p50: quantile(values, 0.5).unwrap_or_default(),
            p95: quantile(values, 0.95).unwrap_or_default(),
        }
    }
}

/// Collector of the stage times of many searches.
#[derive(Debug, Default)]
pub(crate) struct StageTimes(BTreeMap<String, Vec<f64>>);

impl StageTimes {
    pub(crate) fn add(&mut self, stages_ms: &BTreeMap<String, f64>) {
        for (stage, ms) in stages_ms {
            match self.0.get_mut(stage) {
                Some(values) => values.push(*ms),
                None => drop(self.0.insert(stage.clone(), vec![*ms])),
            }
        }
    }

    pub(crate) fn summary(self) -> Vec<Stage> {
        let place = |stage: &str| STAGES.iter().position(|known| *known == stage).unwrap_or(STAGES.len());
        let mut stages: Vec<Stage> = self
            .0
            .into_iter()
            .map(|(stage, values)| Stage { stage, quantiles: Quantiles::of(&values) })
            .collect();
        stages.sort_by_key(|stage| place(&stage.stage));
        stages
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::StageTimes;

    #[test]
    fn stages_come_in_the_order_they_run() {
        let mut stages = StageTimes::default();
        for ms in 1..=100 {
            let stage = |name: &str| (name.to_owned(), f64::from(ms));
            stages.add(&BTreeMap::from([stage("fuse"), stage("embed"), stage("new"), stage("lexical")]));
        }
        let summary = stages.summary();
        let names: Vec<&str> = summary.iter().map(|stage| stage.stage.as_str()).collect();
        assert_eq!(names, ["embed", "lexical", "fuse", "new"]);
        let quantiles = summary[0].quantiles;
        assert!((quantiles.p50 - 50.0).abs() < 1e-9, "{quantiles:?}");
        assert!((quantiles.p95 - 95.0).abs() < 1e-9, "{quantiles:?}");
    }
}
