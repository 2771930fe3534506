//! The ranking configuration: every number that decides an order, under one name.
//!
//! Two arms look at the same candidates: words ([`crate::projection`]'s BM25F) and meaning (cosine of embeddings).
//! Their scores have no common unit, so each is divided by its own spread over the candidates, and the sum is weighted:
//!
//! ```text
//! score = W · (D − mean D) / spread D  +  (1 − W) · (L + coverage) / spread L  +  parts  +  name
//! X     = 0.4 · X(whole request) + 0.6 · max X(part)      for D and L alike, where the request has several sentences
//! W     = sigmoid(ln(0.7 / 0.3) − 1.5 · (known − 0.8))
//! ```
//! `coverage` is a second look at the best ([`coverage`]), `parts` what a tool gains that alone serves one of several
//! sentences, `name` what it gains by being called by its name ([`fusion`]). `known` is the share of the request's terms that some candidate holds: the fewer, the more the meaning counts.
//! Reciprocal rank fusion was measured well below this, because it throws the scores away.

pub(crate) mod bar;
pub(crate) mod coverage;
pub(crate) mod fusion;
pub(crate) mod gather;
pub(crate) mod idioms;
pub(crate) mod parts;
pub(crate) mod verdict;

/// Name of this configuration, in every reply and every cache key. A change of any number in this module changes it.
pub(crate) const NAME: &str = "hybrid-4";

/// Weight of a term in each text: name, first sentence of the description, the rest of it, parameter names, parameter
/// descriptions, tags, examples.
pub(crate) const FIELD_WEIGHTS: [f32; 7] = [3.0, 1.5, 0.5, 0.5, 0.5, 1.0, 1.0];
/// BM25's saturation.
pub(crate) const K1: f32 = 1.2;
/// BM25's share of length normalisation.
pub(crate) const B: f32 = 0.75;
/// How stems and words as written share a term's weight.
pub(crate) const STEM_SHARE: f32 = 0.7;
/// What a corrected word counts beside one that was found as written.
pub(crate) const CORRECTION_WEIGHT: f32 = 0.3;
/// Share of the whole request beside its best part.
const WHOLE_SHARE: f32 = 0.4;
/// Requests of so many parts are lifted by them.
const LIFTED_PARTS_MIN: usize = 3;
/// Share of the distance to the loudest part that a part is lifted.
const LIFT: f32 = 0.5;

/// How many lexical hits take part.
pub(crate) const LEXICAL_HITS: usize = 1_000;
/// How many tools near to the request, and to each of its parts, take part.
pub(crate) const DENSE_HITS: usize = 200;

/// Added for a tool whose name is the whole request; more than any fused score, so it comes first.
const WHOLE_NAME_BONUS: f32 = 40.0;
/// Added for a tool whose name is nearly the request, times how alike they are.
const NEAR_NAME_BONUS: f32 = 20.0;
/// Added for a tool that the request names as an identifier.
const IDENTIFIER_BONUS: f32 = 5.0;

/// Cosine from which a tool counts as a good match of its domain.
const GOOD_COSINE: f32 = 0.35;
/// Good matches that a routed domain must have; with fewer the whole tenant is searched.
pub(crate) const GOOD_MATCHES_MIN: usize = 3;
/// With fewer candidates than this all are returned.
pub(crate) const CANDIDATES_MIN: usize = 20;

/// One score from that of the whole request, which comes first, and those of its parts.
pub(crate) fn mix(scores: &[f32]) -> f32 {
    match scores.split_first() {
        None => 0.0,
        Some((whole, [])) => *whole,
        Some((whole, parts)) => {
            let best = parts.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            WHOLE_SHARE * whole + (1.0 - WHOLE_SHARE) * best
        }
    }
}

/// Share of the dense arm, 0 to 1, when this share of the request's terms is known.
fn dense_share(known: f32) -> f32 {
    let logit = (0.7_f32 / 0.3).ln() - 1.5 * (known - 0.8);
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::{dense_share, mix};

    #[test]
    fn a_part_counts_beside_the_whole() {
        assert!((mix(&[0.5]) - 0.5).abs() < 1e-6);
        assert!((mix(&[0.5, 0.1, 1.0]) - 0.8).abs() < 1e-6);
    }

    #[test]
    fn meaning_counts_more_where_words_are_unknown() {
        assert!((dense_share(0.8) - 0.7).abs() < 1e-6);
        assert!(dense_share(0.0) > dense_share(0.5) && dense_share(0.5) > dense_share(1.0));
    }
}
