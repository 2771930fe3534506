//! MPNet's relative attention bias: a number added for the distance of two tokens.
//!
//! Distances fall into buckets: near ones each into their own, far ones together, and each direction into its
//! own half.

use candle_core::{Result, Tensor};

/// From here on all distances are one.
const DISTANCE_MAX: f32 = 128.0;

/// A row of numbers for each head: what is added at each distance, from the farthest before a token to the
/// farthest behind it.
pub(super) struct Distances {
    of_heads: Vec<Vec<f32>>,
    positions: usize,
}

impl Distances {
    /// Makes the biases of texts of up to `positions` tokens. `table` has one row for each bucket, one column
    /// for each head.
    pub(super) fn new(table: &Tensor, positions: usize) -> Result<Self> {
        let buckets = table.dim(0)?;
        let of_heads = table.t()?.to_vec2::<f32>()?;
        let distances = 1 - positions.cast_signed()..positions.cast_signed();
        let of_heads = of_heads
            .iter()
            .map(|of_buckets| {
                distances.clone().map(|distance| of_buckets[bucket(distance, buckets)]).collect()
            })
            .collect();
        Ok(Self { of_heads, positions })
    }

    /// Returns the biases that the token at `position` sees: one number for each of the text's `tokens`
    /// tokens.
    pub(super) fn seen_from(&self, head: usize, position: usize, tokens: usize) -> &[f32] {
        &self.of_heads[head][self.positions - 1 - position..][..tokens]
    }

    /// Returns all of them as a tensor on the device of `like`: heads, tokens that see, tokens that are seen.
    pub(super) fn tensor(&self, like: &Tensor) -> Result<Tensor> {
        let (heads, positions) = (self.of_heads.len(), self.positions);
        let mut all = Vec::with_capacity(heads * positions * positions);
        for head in 0..heads {
            for position in 0..positions {
                all.extend_from_slice(self.seen_from(head, position, positions));
            }
        }
        Tensor::from_vec(all, (heads, positions, positions), like.device())
    }
}

/// The bucket of a token that stands `distance` behind another, of `buckets` in all.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "distances and buckets are small, and the logarithm of what is larger than `near` is not negative"
)]
fn bucket(distance: isize, buckets: usize) -> usize {
    let half = buckets / 2;
    let near = half / 2;
    let offset = if distance > 0 { half } else { 0 };
    let distance = distance.unsigned_abs();
    if distance < near {
        return offset + distance;
    }
    let near_f32 = near as f32;
    // In this order and in f32, as the model was trained: the borders between buckets depend on it.
    let far = (distance as f32 / near_f32).ln() / (DISTANCE_MAX / near_f32).ln() * (half - near) as f32;
    offset + (near + far as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_those_of_transformers_do() {
        // Where `MPNetEncoder.relative_position_bucket` changes its answer, asked for 0 to 600.
        let begin = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91];
        let changes: Vec<isize> =
            (0..600).filter(|&d| d == 0 || bucket(-d, 32) != bucket(1 - d, 32)).collect();
        assert_eq!(changes, begin);
        assert_eq!((bucket(-599, 32), bucket(0, 32), bucket(1, 32), bucket(599, 32)), (15, 0, 17, 31));
    }
}
