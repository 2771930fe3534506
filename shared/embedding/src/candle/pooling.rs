//! One vector from those of a text's tokens.

use candle_core::{D, Result, Tensor};

use super::simd;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// That of the first token.
    Cls,
    /// The mean of all.
    Mean,
    /// The largest number in each place.
    Max,
}

impl Pooling {
    /// Returns its name in sentence-transformers.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Mean => "mean",
            Self::Max => "max",
        }
    }

    /// Returns the vector of length 1 for one text's tokens, which lie end to end.
    pub(super) fn of_tokens(self, tokens: &[f32], hidden: usize) -> Vec<f32> {
        let mut tokens = tokens.chunks_exact(hidden);
        let mut vector = tokens.next().map_or_else(|| vec![0.0; hidden], <[f32]>::to_vec);
        match self {
            Self::Cls => {}
            // The mean's divisor drops out of a vector of length 1.
            Self::Mean => tokens.for_each(|token| join(&mut vector, token, |x, y| x + y)),
            Self::Max => tokens.for_each(|token| join(&mut vector, token, f32::max)),
        }
        simd::normalise(&mut vector);
        vector
    }

    /// Pools a padded batch in the same way: `tokens` are texts, tokens, numbers; `mask` is 0 where there is
    /// only padding, and 1 elsewhere.
    pub(super) fn of_padded(self, tokens: &Tensor, mask: &Tensor) -> Result<Vec<Vec<f32>>> {
        let mask = mask.unsqueeze(D::Minus1)?;
        let vectors = match self {
            Self::Cls => tokens.narrow(1, 0, 1)?.squeeze(1)?,
            Self::Mean => tokens.broadcast_mul(&mask)?.sum(1)?,
            Self::Max => tokens.broadcast_add(&mask.affine(1e9, -1e9)?)?.max(1)?,
        };
        let lengths = vectors.sqr()?.sum_keepdim(1)?.sqrt()?;
        vectors.broadcast_div(&lengths)?.to_vec2()
    }
}

fn join(x: &mut [f32], y: &[f32], with: impl Fn(f32, f32) -> f32) {
    for (x, y) in x.iter_mut().zip(y) {
        *x = with(*x, *y);
    }
}
