//! Whether anything in an answer fits: a verdict from absolute scores, beside the order.
//!
//! Ranks and scaled scores cannot tell: something is always first. What can is how near the nearest tool is, compared with
//! how near the tools of this catalogue are to each other, and how much of the request the best results cover:
//!
//! ```text
//! s = top − c + 0.10 · ln(0.05 + C / (W + 20))
//! top  mixed cosine of the nearest tool           c  the catalogue's own density, see `calibration`
//! W    Σ idf over the request's terms             C  the most of it that one of the five best results holds
//! confidence = sigmoid(12 · (s − threshold))
//! ```
//! The form and its constants come from a search over four catalogues with queries of their own and foreign ones.

use toolweaver_contracts::{SearchStatus, SearchedTerm};

use super::{
    coverage::{Analysis, idf},
    fusion::DenseAnswer,
};
use crate::projection::LexicalAnswer;

/// Results whose words are compared with the request's.
pub(crate) const RESULTS_READ: usize = 5;
/// Confidence under which nothing seems to fit.
const CONFIDENCE_MIN: f32 = 0.5;
/// `s` at which the confidence is a half: 5 % of answerable requests lie below.
const THRESHOLD: f32 = -0.315;
/// How steeply the confidence rises with `s`.
const SLOPE: f32 = 12.0;

/// The verdict, and how sure it is that something fits. `best` are the best results; `named`
/// says that a tool's name stands in the request; `density` is the catalogue's.
pub(crate) fn of(
    lexical: Option<&LexicalAnswer>,
    dense: Option<&DenseAnswer>,
    best: &[&Analysis],
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
    let own: Vec<&SearchedTerm> = lexical.terms.iter().filter(|term| term.weight >= 1.0).collect();
    let all: f32 = own.iter().map(|term| idf(term, lexical.candidates)).sum();
    let covered = |tool: &&Analysis| -> f32 {
        own.iter().filter(|term| tool.holds(&term.term)).map(|term| idf(term, lexical.candidates)).sum()
    };
    let covered = best.iter().map(covered).fold(0.0, f32::max);
    let s = dense.best() - density + 0.10 * (0.05 + covered / (all + 20.0)).ln();
    let confidence = 1.0 / (1.0 + (-SLOPE * (s - THRESHOLD)).exp());
    let status =
        if confidence >= CONFIDENCE_MIN { SearchStatus::Matched } else { SearchStatus::NothingRelevant };
    (status, Some(confidence))
}
