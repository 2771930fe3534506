//! Retrieval metrics of one ranking for one query: nDCG, two recalls, MRR.
//!
//! A pure function of relevances. Here does **not** live: who ranked, and what many queries say together.

use serde::{Deserialize, Serialize};

/// Cut-off of nDCG, MRR and the deeper recall.
pub(crate) const DEPTH: usize = 10;
/// Cut-off of the other recall.
const DEPTH_SHALLOW: usize = 5;

/// Metrics of one ranking, or their means; each 0 to 1, higher is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Metrics {
    /// Normalised discounted cumulative gain: gain is the relevance, discount log2(1 + place).
    pub(crate) ndcg_10: f64,
    /// Share of the relevant tools among the first 5.
    pub(crate) recall_5: f64,
    /// Share of the relevant tools among the first 10.
    pub(crate) recall_10: f64,
    /// Reciprocal rank: 1 / place of the first relevant tool, 0 beyond 10.
    pub(crate) mrr_10: f64,
}

impl Metrics {
    pub(crate) const NAMES: [&'static str; 4] = ["nDCG@10", "Recall@5", "Recall@10", "MRR@10"];

    /// Returns the values in the order of [`Self::NAMES`].
    pub(crate) const fn values(self) -> [f64; 4] {
        [self.ndcg_10, self.recall_5, self.recall_10, self.mrr_10]
    }
}

/// Measures a ranking by the relevance of the tool at each place, 0 for a wrong one, against the relevances
/// of all tools that are relevant, in any order.
pub(crate) fn measure(found: &[u32], relevant: &[u32]) -> Metrics {
    let mut ideal: Vec<u32> = relevant.iter().copied().filter(|&relevance| relevance > 0).collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    if ideal.is_empty() {
        return Metrics::default();
    }
    let recall = |depth| {
        let hits = found.iter().take(depth).filter(|&&relevance| relevance > 0).count();
        share(hits, ideal.len())
    };
    let first = found.iter().take(DEPTH).position(|&relevance| relevance > 0);
    Metrics {
        ndcg_10: gain(found) / gain(&ideal),
        recall_5: recall(DEPTH_SHALLOW),
        recall_10: recall(DEPTH),
        mrr_10: first.map_or(0.0, |index| share(1, index + 1)),
    }
}

/// Returns the ratio of two counts; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of tools and queries are far below 2^52")]
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns the discounted cumulative gain of the first ten.
fn gain(relevances: &[u32]) -> f64 {
    let gains = (2_u32..).zip(relevances.iter().take(DEPTH));
    gains.map(|(place_and_one, &relevance)| f64::from(relevance) / f64::from(place_and_one).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::{Metrics, measure};

    fn assert_near(measured: Metrics, by_hand: [f64; 4]) {
        for (value, wanted) in measured.values().into_iter().zip(by_hand) {
            assert!((value - wanted).abs() < 1e-4, "{measured:?} is not {by_hand:?}");
        }
    }

    #[test]
    fn one_relevant_tool() {
        assert_near(measure(&[1, 0, 0], &[1]), [1.0, 1.0, 1.0, 1.0]);
        // 1 / log2(4)
        assert_near(measure(&[0, 0, 1], &[1]), [0.5, 1.0, 1.0, 0.3333]);
        // 1 / log2(8): the seventh is beyond five.
        assert_near(measure(&[0, 0, 0, 0, 0, 0, 1], &[1]), [0.3333, 0.0, 1.0, 0.1429]);
        assert_near(measure(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[1]), [0.0; 4]);
    }

    #[test]
    fn several_of_different_relevance() {
        // (1/1 + 3/1.58496) / (3/1 + 2/1.58496 + 1/2) = 2.89279 / 4.76186
        assert_near(measure(&[1, 3, 0], &[2, 1, 3]), [0.6075, 0.6667, 0.6667, 1.0]);
        // More are relevant than ten places hold: a full first page is a perfect nDCG and an honest recall.
        assert_near(measure(&[1; 10], &[1; 20]), [1.0, 0.25, 0.5, 1.0]);
    }

    #[test]
    fn nothing_found_or_nothing_relevant_is_zero() {
        assert_near(measure(&[], &[1]), [0.0; 4]);
        assert_near(measure(&[0, 0], &[]), [0.0; 4]);
        assert_near(measure(&[0], &[0]), [0.0; 4]);
    }
}
