//! Relevance decision (abstention): whether anything in an answer fits, from absolute scores, beside the
//! order.
//!
//! Ranks and scaled scores cannot tell: something is always first. What can is how near the nearest tool is,
//! compared with how near the tools of this catalogue are to each other, and how much of the request the best
//! results cover:
//!
//! ```text
//! s = top − c + 0.10 · ln(0.05 + C / (W + 20))
//! top  mixed cosine of the nearest tool           c  the catalog's neighbour density, see `density_of`
//! W    Σ idf over the request's terms             C  the most of it that one of the five best results holds
//! confidence = sigmoid(12 · (s − threshold))
//! ```
//! The form and its constants come from a search over four catalogues with queries of their own and foreign
//! ones.

use toolweaver_contracts::{SearchStatus, SearchedTerm};

use crate::{
    DenseAnswer, LexicalAnswer,
    lexical::idf::idf,
    parameters::{
        DENSITY_MAX, DENSITY_QUANTILE_PERCENT, RELEVANCE_CONFIDENCE_MIN, RELEVANCE_IDF_PRIOR,
        RELEVANCE_SLOPE, RELEVANCE_THRESHOLD, RELEVANCE_WORDS_FLOOR, RELEVANCE_WORDS_WEIGHT,
    },
    rescoring::StemSets,
};

/// Decides whether something fits, and with which confidence, 0 to 1. `best` are the best results; `named`
/// says that a tool's name stands in the request; `density` is the catalog's.
pub fn decide(
    lexical: Option<&LexicalAnswer>,
    dense: Option<&DenseAnswer>,
    best: &[&StemSets],
    named: bool,
    density: f32,
) -> (SearchStatus, Option<f32>) {
    if named {
        return (SearchStatus::Matched, Some(1.0));
    }
    let (Some(dense), Some(lexical)) = (dense, lexical) else {
        // Half the evidence is missing: that something was found by the other half is all that can be said.
        let found = lexical.is_some_and(|words| !words.hits.is_empty())
            || dense.is_some_and(|dense| dense.best() >= density);
        return (if found { SearchStatus::Matched } else { SearchStatus::CannotSay }, None);
    };
    if best.is_empty() {
        return (SearchStatus::NothingRelevant, Some(0.0));
    }
    let own: Vec<&SearchedTerm> = lexical.terms.iter().filter(|term| term.weight >= 1.0).collect();
    let all: f32 = own.iter().map(|term| idf(term.documents, lexical.candidates)).sum();
    let covered = |tool: &&StemSets| -> f32 {
        own.iter()
            .filter(|term| tool.holds(&term.term))
            .map(|term| idf(term.documents, lexical.candidates))
            .sum()
    };
    let covered = best.iter().map(covered).fold(0.0, f32::max);
    let share = covered / (all + RELEVANCE_IDF_PRIOR);
    let evidence = dense.best() - density + RELEVANCE_WORDS_WEIGHT * (RELEVANCE_WORDS_FLOOR + share).ln();
    let confidence = 1.0 / (1.0 + (-RELEVANCE_SLOPE * (evidence - RELEVANCE_THRESHOLD)).exp());
    let status = if confidence >= RELEVANCE_CONFIDENCE_MIN {
        SearchStatus::Matched
    } else {
        SearchStatus::NothingRelevant
    };
    (status, Some(confidence))
}

/// Returns a catalog's neighbour density: the low quantile of the cosines between a tool and the nearest
/// other one.
///
/// The same cosine means much in a catalog of unlike tools and little in one of a thousand siblings: this is
/// the baseline that tells them apart. It needs no query, only the catalog. `nearest` has one cosine a
/// sampled tool.
pub fn density_of(mut nearest: Vec<f32>) -> Option<f32> {
    nearest.sort_unstable_by(f32::total_cmp);
    let quantile = nearest.get(nearest.len() * DENSITY_QUANTILE_PERCENT / 100)?;
    Some(quantile.clamp(0.0, DENSITY_MAX))
}

#[cfg(test)]
mod tests {
    use toolweaver_contracts::SearchStatus;

    use super::{decide, density_of};
    use crate::{DenseAnswer, LexicalAnswer, parameters::DENSITY_DEFAULT};

    #[test]
    fn an_empty_catalog_fits_nothing_and_a_missing_arm_cannot_say() {
        let (lexical, dense) = (LexicalAnswer::default(), DenseAnswer::default());
        let decided = decide(Some(&lexical), Some(&dense), &[], false, DENSITY_DEFAULT);
        assert_eq!(decided, (SearchStatus::NothingRelevant, Some(0.0)));
        let decided = decide(Some(&lexical), None, &[], false, DENSITY_DEFAULT);
        assert_eq!(decided, (SearchStatus::CannotSay, None));
    }

    #[test]
    fn the_density_is_a_low_quantile_of_what_was_measured() {
        assert_eq!(density_of(Vec::new()), None);
        let nearest = (0_u8..100).rev().map(|hundredth| f32::from(hundredth) / 100.0);
        assert_eq!(density_of(nearest.collect()), Some(0.05));
        assert_eq!(density_of(vec![0.9]), Some(0.6), "past the largest, more siblings tell nothing new");
    }
}
