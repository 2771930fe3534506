//! Scores, and the best of many without sorting them all.

use std::{cmp::Ordering, collections::BinaryHeap};

use uuid::Uuid;

use crate::Hit;

/// Products summed side by side; enough for the compiler to fill the widest registers.
const LANES: usize = 16;

/// Inner product of two vectors of one length.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// What to multiply a vector with to make it a unit vector; a zero vector stays what it is.
pub(super) fn unit_scale(vector: &[f32]) -> f32 {
    let norm = dot(vector, vector).sqrt();
    if norm > 0.0 { norm.recip() } else { 1.0 }
}

/// The best `limit` hits seen so far.
pub(super) struct Best {
    limit: usize,
    /// The worst of them on top.
    heap: BinaryHeap<WorstFirst>,
}

impl Best {
    /// None yet, of at most `candidates`.
    pub(super) fn new(limit: usize, candidates: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit.min(candidates)) }
    }

    /// Keeps the hit if it is among the best.
    pub(super) fn offer(&mut self, hit: Hit) {
        if self.heap.len() < self.limit {
            self.heap.push(WorstFirst(hit));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && WorstFirst(hit) < *worst
        {
            *worst = WorstFirst(hit);
        }
    }

    /// Best first; equal scores by point id, so that the order is always the same.
    pub(super) fn into_hits(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|WorstFirst(hit)| hit).collect()
    }
}

/// A hit that is greater the worse it is.
#[derive(PartialEq)]
struct WorstFirst(Hit);

impl WorstFirst {
    fn rank(&self) -> (f32, Uuid) {
        (self.0.score, self.0.point_id)
    }
}

impl Eq for WorstFirst {}

impl Ord for WorstFirst {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((score, id), (other_score, other_id)) = (self.rank(), other.rank());
        other_score.total_cmp(&score).then_with(|| id.cmp(&other_id))
    }
}

impl PartialOrd for WorstFirst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Best, dot};
    use crate::Hit;

    #[test]
    fn the_inner_product_counts_every_component() {
        for dims in [1, 15, 16, 17, 384, 385] {
            let ones = vec![1.0; dims];
            let counted: f32 = std::iter::repeat_n(1.0_f32, dims).sum();
            assert!((dot(&ones, &ones) - counted).abs() < f32::EPSILON, "{dims}");
        }
    }

    #[test]
    fn the_best_come_out_best_first() {
        let hit = |id, score| Hit { point_id: Uuid::from_u128(id), score };
        let mut best = Best::new(3, 10);
        for (id, score) in [(1, 0.1), (2, 0.9), (4, 0.5), (3, 0.5), (5, -1.0)] {
            best.offer(hit(id, score));
        }
        assert_eq!(best.into_hits(), [hit(2, 0.9), hit(3, 0.5), hit(4, 0.5)]);
    }

    #[test]
    fn no_limit_too_small_or_too_large() {
        let hit = Hit { point_id: Uuid::nil(), score: 1.0 };
        let mut none = Best::new(0, 10);
        none.offer(hit);
        assert!(none.into_hits().is_empty());
        let mut all = Best::new(usize::MAX, 1);
        all.offer(hit);
        assert_eq!(all.into_hits(), [hit]);
    }
}
