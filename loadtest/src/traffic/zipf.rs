//! Zipf's law of popularity: the second most popular query is asked half as often as the first, the third a
//! third.

use rand::Rng;

/// Zipf's distribution with s = 1 over ranks from 0.
pub(super) struct Zipf {
    /// Sums of the weights up to each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(ranks: usize) -> Self {
        let mut sum = 0.0;
        let weights = std::iter::successors(Some(1.0_f64), |rank| Some(rank + 1.0)).map(|rank| 1.0 / rank);
        let cumulative = weights.take(ranks).map(|weight| {
            sum += weight;
            sum
        });
        Self { cumulative: cumulative.collect() }
    }

    /// Draws a rank among the first `ranks`, of which there must be one.
    pub(super) fn draw(&self, rng: &mut impl Rng, ranks: usize) -> usize {
        let cumulative = &self.cumulative[..ranks.min(self.cumulative.len())];
        let point = rng.random_range(0.0..cumulative[cumulative.len() - 1]);
        cumulative.partition_point(|sum| *sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::Zipf;

    #[test]
    fn the_first_is_asked_for_ten_times_as_often_as_the_tenth() {
        let (zipf, mut rng) = (Zipf::new(2_000), StdRng::seed_from_u64(1));
        let mut drawn = vec![0_u32; 2_000];
        for _ in 0..400_000 {
            drawn[zipf.draw(&mut rng, 2_000)] += 1;
        }
        let ratio = f64::from(drawn[0]) / f64::from(drawn[9]);
        assert!((9.0..11.0).contains(&ratio), "{ratio}");
        assert!(drawn[1_900..].iter().sum::<u32>() > 0, "the tail is asked for, too");
    }

    #[test]
    fn only_the_asked_ranks_are_drawn() {
        let (zipf, mut rng) = (Zipf::new(2_000), StdRng::seed_from_u64(1));
        assert!((0..1_000).all(|_| zipf.draw(&mut rng, 3) < 3));
    }
}
