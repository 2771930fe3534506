//! The ranking: a request and a catalogue in, an order out.
//!
//! ```text
//! request ─▶ query (rewritten, split into sentences) ─┬─▶ lexical: BM25F over tantivy's postings ─┐
//!                                                     └─▶ dense: cosines, computed elsewhere ─────┴─▶ fusion
//!   ─▶ re-scoring of the best ─▶ relevance decision ─▶ truncation
//! ```
//! Everything that decides an order is here, and every number and word list of it in [`parameters`], under
//! the one name [`RANKER`]. Here does **not** live: tokio, NATS, Redis, a clock, where vectors are kept, and
//! which arm is late.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "scores are 32-bit floats, and counts are far below 2^24"
)]

pub mod arms;
pub mod fusion;
pub mod lexical;
pub mod merge;
pub mod parameters;
pub mod query;
pub mod relevance;
pub mod rescoring;
pub mod routing;
pub mod staleness;
pub mod text;

pub use self::{
    arms::{DenseAnswer, DenseHit, LexicalAnswer, LexicalHit},
    parameters::RANKER,
    query::{Query, name_mentions::NameMatch},
};

/// Returns the inner product of two vectors; for unit vectors, which all of ours are, their cosine.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Returns one score from that of the whole request, which comes first, and those of its sentences.
///
/// `0.4 · whole + 0.6 · max over sentences`; a request of one sentence has only the first.
pub fn mix(scores: &[f32]) -> f32 {
    match scores.split_first() {
        None => 0.0,
        Some((whole, [])) => *whole,
        Some((whole, sentences)) => {
            let best = sentences.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            parameters::WHOLE_SHARE * whole + (1.0 - parameters::WHOLE_SHARE) * best
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mix;

    #[test]
    fn a_sentence_counts_beside_the_whole() {
        assert!((mix(&[0.5]) - 0.5).abs() < 1e-6);
        assert!((mix(&[0.5, 0.1, 1.0]) - 0.8).abs() < 1e-6);
    }
}
