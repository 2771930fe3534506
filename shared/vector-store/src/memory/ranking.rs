//! The first few of many without sorting them all.

use std::{cmp::Ordering, collections::BinaryHeap};

use uuid::Uuid;

use crate::scores::nearest_first;

/// The `limit` least of all values seen so far.
pub(super) struct Least<T> {
    limit: usize,
    /// The greatest of them on top.
    heap: BinaryHeap<T>,
}

impl<T: Ord> Least<T> {
    /// Makes an empty collection of the least, of at most `candidates`.
    pub(super) fn new(limit: usize, candidates: usize) -> Self {
        Self { limit, heap: BinaryHeap::with_capacity(limit.min(candidates)) }
    }

    /// Keeps the value if it is among the least.
    pub(super) fn offer(&mut self, value: T) {
        if self.heap.len() < self.limit {
            self.heap.push(value);
        } else if let Some(mut greatest) = self.heap.peek_mut()
            && value < *greatest
        {
            *greatest = value;
        }
    }

    /// Returns them, the least first.
    pub(super) fn into_sorted(self) -> Vec<T> {
        self.heap.into_sorted_vec()
    }
}

/// A tool with its score for one vector; the nearer it is, the less it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub(super) score: f32,
    pub(super) point_id: Uuid,
    pub(super) slot: usize,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        nearest_first((self.score, self.point_id), (other.score, other.point_id))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Least, Scored};

    #[test]
    fn the_nearest_come_out_nearest_first() {
        let mut nearest = Least::new(3, 10);
        for (slot, score) in [(1, 0.1), (2, 0.9), (4, 0.5), (3, 0.5), (5, -1.0)] {
            nearest.offer(Scored { score, point_id: Uuid::from_u128(slot as u128), slot });
        }
        let slots: Vec<usize> = nearest.into_sorted().into_iter().map(|scored| scored.slot).collect();
        assert_eq!(slots, [2, 3, 4]);
    }

    #[test]
    fn no_limit_too_small_or_too_large() {
        let mut none = Least::new(0, 10);
        none.offer(1);
        assert!(none.into_sorted().is_empty());
        let mut all = Least::new(usize::MAX, 1);
        all.offer(1);
        assert_eq!(all.into_sorted(), [1]);
    }
}
