//! Statistics over queries: means, confidence intervals, a significance test and AUC.
//!
//! - **Intervals** are 95 % percentile bootstrap intervals of the mean over queries (Efron 1979): 1,000
//!   resamples with replacement, and of their means the 2.5 % and 97.5 % quantiles.
//! - **p** is that of the paired randomisation test (Fisher's; for retrieval: Smucker, Allan and Carterette,
//!   "A comparison of statistical significance tests for information retrieval evaluation", CIKM 2007): were
//!   both rankings equal, each query's difference could as well have the other sign. Two-sided, over 10,000
//!   random choices of signs: p = (1 + #{|Σ ±d| ≥ |Σ d|}) / (1 + 10,000); the ones keep it from ever being 0
//!   (Phipson and Smyth 2010).
//! - **AUC** is the Mann-Whitney statistic: how often one of the high group is above one of the low; ties
//!   count half.
//!
//! Everything is a pure function of its values and a seed.

use serde::{Deserialize, Serialize};

use crate::{metrics::share, random::Random};

/// Number of resamples of a bootstrap.
const RESAMPLES: usize = 1_000;
/// Number of random choices of signs in a paired test.
const FLIPS: u32 = 10_000;
/// Significance level.
pub(crate) const SIGNIFICANT: f64 = 0.05;

/// Mean with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Paired test of two rankings on the same queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Paired {
    pub(crate) queries: usize,
    /// Mean of the ranking compared with.
    pub(crate) before: f64,
    /// Mean of the ranking under test.
    pub(crate) now: f64,
    /// Mean difference: `now` less `before`.
    pub(crate) difference: Estimate,
    pub(crate) p: f64,
    /// Queries on which `now` is higher.
    pub(crate) better: usize,
    /// Queries on which `now` is lower.
    pub(crate) worse: usize,
}

impl Paired {
    /// Compares values of the same queries, in the same order.
    pub(crate) fn of(before: &[f64], now: &[f64], seed: u64) -> Self {
        let differences: Vec<f64> = now.iter().zip(before).map(|(now, before)| now - before).collect();
        let [difference] = estimates(&differences.iter().map(|&value| [value]).collect::<Vec<_>>(), seed);
        Self {
            queries: differences.len(),
            before: mean(before),
            now: mean(now),
            difference,
            p: sign_flip(&differences, seed),
            better: differences.iter().filter(|&&value| value > 0.0).count(),
            worse: differences.iter().filter(|&&value| value < 0.0).count(),
        }
    }

    /// Returns the conclusion at the significance level, in words.
    pub(crate) fn conclusion(&self) -> &'static str {
        match (self.p < SIGNIFICANT, self.difference.mean > 0.0) {
            (true, true) => "better",
            (true, false) => "worse",
            (false, _) => "no significant difference",
        }
    }
}

/// Returns the mean; 0 of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    divided(values.iter().sum(), values.len())
}

/// Returns the quantile by nearest rank: the value at or below which `share` of the values lie; `None` of
/// nothing.
pub(crate) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(rank(share, sorted.len())).copied()
}

/// Returns the means of `N` values a query, each with its interval.
pub(crate) fn estimates<const N: usize>(rows: &[[f64; N]], seed: u64) -> [Estimate; N] {
    let means = means_of(rows.iter(), rows.len());
    if rows.is_empty() {
        return means.map(|_| Estimate::default());
    }
    let mut random = Random::new(seed);
    let mut resampled: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        let drawn = (0..rows.len()).map(|_| &rows[random.below(rows.len())]);
        for (column, mean) in resampled.iter_mut().zip(means_of(drawn, rows.len())) {
            column.push(mean);
        }
    }
    std::array::from_fn(|i| Estimate {
        mean: means[i],
        low: quantile(&resampled[i], 0.025).unwrap_or(means[i]),
        high: quantile(&resampled[i], 0.975).unwrap_or(means[i]),
    })
}

/// Returns the share of pairs in which `high` is above `low`, ties counting half; `None` where either is
/// empty.
pub(crate) fn auc(high: &[f64], low: &[f64]) -> Option<f64> {
    if high.is_empty() || low.is_empty() {
        return None;
    }
    let mut low = low.to_vec();
    low.sort_unstable_by(f64::total_cmp);
    let halves = high.iter().map(|value| {
        let below = low.partition_point(|other| other < value);
        let not_above = low.partition_point(|other| other <= value);
        below + not_above
    });
    Some(share(halves.sum(), 2 * high.len() * low.len()))
}

/// Returns the two-sided p of the paired randomisation test.
fn sign_flip(differences: &[f64], seed: u64) -> f64 {
    // Queries without a difference have none with either sign.
    let differences: Vec<f64> = differences.iter().copied().filter(|&value| value != 0.0).collect();
    let observed = differences.iter().sum::<f64>().abs();
    // Sums in another order differ in their last bits, and an equal sum must count.
    let observed = observed - observed * 1e-9;
    let mut random = Random::new(seed);
    let mut as_far = 0;
    for _ in 0..FLIPS {
        let mut sum = 0.0;
        for word in differences.chunks(64) {
            let mut signs = random.draw();
            for value in word {
                sum += if signs & 1 == 0 { *value } else { -value };
                signs >>= 1;
            }
        }
        as_far += u32::from(f64::abs(sum) >= observed);
    }
    f64::from(1 + as_far) / f64::from(1 + FLIPS)
}

fn means_of<'a, const N: usize>(rows: impl Iterator<Item = &'a [f64; N]>, count: usize) -> [f64; N] {
    let mut sums = [0.0; N];
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums.map(|sum| divided(sum, count))
}

#[expect(clippy::cast_precision_loss, reason = "counts of queries are far below 2^52")]
fn divided(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// Returns the index of the quantile among `count` sorted values.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count lies between 0 and the count"
)]
fn rank(share: f64, count: usize) -> usize {
    ((share * count as f64).ceil() as usize).clamp(1, count.max(1)) - 1
}

#[cfg(test)]
mod tests {
    use super::{Paired, auc, estimates, mean, quantile, sign_flip};

    #[test]
    fn quantiles_are_values_that_were_there() {
        let values = [4.0, 1.0, 3.0, 2.0];
        let at = |share| quantile(&values, share);
        assert_eq!([at(0.0), at(0.5), at(0.95), at(1.0)], [Some(1.0), Some(2.0), Some(4.0), Some(4.0)]);
        assert_eq!(quantile(&[], 0.5), None);
        assert!((mean(&values) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn an_interval_is_about_two_standard_errors_to_each_side() {
        // 200 zeros and 200 ones: mean 0.5, standard error 0.025.
        let rows: Vec<[f64; 1]> = (0..400).map(|i| [f64::from(i % 2)]).collect();
        let [estimate] = estimates(&rows, 1);
        assert!((estimate.mean - 0.5).abs() < 1e-12);
        assert!((estimate.low - 0.451).abs() < 0.01 && (estimate.high - 0.549).abs() < 0.01, "{estimate:?}");
        assert_eq!(estimates(&rows, 1), estimates(&rows, 1));
        assert_eq!(estimates::<1>(&[], 1)[0].high.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn p_is_the_share_of_sign_choices_that_are_as_extreme() {
        // Five equal differences: only all plus and all minus are as far, 2 of 32.
        assert!((sign_flip(&[0.1; 5], 1) - 0.0625).abs() < 0.01);
        // +1 and -1 cancel out: every choice is as far.
        assert!((sign_flip(&[1.0, -1.0], 1) - 1.0).abs() < 1e-12);
        assert!((sign_flip(&[0.0; 9], 1) - 1.0).abs() < 1e-12);
        assert!(sign_flip(&[0.1; 40], 1) < 0.001);
    }

    #[test]
    fn two_rankings_of_the_same_queries() {
        let (before, now) = (vec![0.5; 30], vec![0.75; 30]);
        let paired = Paired::of(&before, &now, 1);
        assert_eq!((paired.queries, paired.better, paired.worse, paired.conclusion()), (30, 30, 0, "better"));
        assert!((paired.difference.mean - 0.25).abs() < 1e-12);
        assert_eq!(Paired::of(&now, &before, 1).conclusion(), "worse");
        assert_eq!(Paired::of(&now, &now, 1).conclusion(), "no significant difference");
    }

    #[test]
    fn auc_counts_pairs() {
        // Of 6 pairs 4 are in order and 1 is a tie.
        let value = auc(&[0.9, 0.5], &[0.1, 0.5, 0.7]).unwrap();
        assert!((value - 4.5 / 6.0).abs() < 1e-12);
        assert_eq!(auc(&[1.0], &[0.0]), Some(1.0));
        assert_eq!(auc(&[], &[0.0]), None);
    }
}
