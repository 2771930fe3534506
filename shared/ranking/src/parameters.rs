//! Every number and word list that decides an order, and the name of them all.
//!
//! [`RANKER`] stands in every reply and every cache key. It ends with a hash of everything in this module, so
//! that two workers of one name rank alike, and a shard of another name is not merged with. Numbers come from
//! searches over the tuning halves of four sets; `docs/ranking.md` has the formulas and the measurements.

mod word_lists;

use std::fmt::Debug;

pub(crate) use self::word_lists::{ABBREVIATIONS, IDIOMS, STOP_WORDS, SYNONYM_GROUPS};

/// Name of this ranking: its generation, and the first 32 bits of the SHA-256 over its parameters.
///
/// The generation changes with the formulas, the hash with any parameter; a test tells the new one.
pub const RANKER: &str = "hybrid-4-2e2014b6";

/// Declares parameters as constants, and lists all of them for the hash: none can be forgotten.
macro_rules! parameters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $value:expr;)+) => {
        $($(#[$doc])* pub const $name: $kind = $value;)+

        /// All of them by name.
        #[cfg_attr(not(test), expect(dead_code, reason = "the test of the name reads it"))]
        const NUMBERS: &[(&str, &dyn Debug)] = &[$((stringify!($name), &$name)),+];
    };
}

parameters! {
    /// Weight of a term in each text: name, first sentence of the description, the rest of it, parameter
    /// names, parameter descriptions, tags, examples.
    FIELD_WEIGHTS: [f32; 7] = [3.0, 1.5, 0.5, 0.5, 0.5, 1.0, 1.0];
    /// BM25's term frequency saturation.
    K1: f32 = 1.2;
    /// BM25's share of length normalisation.
    B: f32 = 0.75;
    /// Share of the stems in a term's weight; the words as written have the rest.
    STEM_SHARE: f32 = 0.7;
    /// Longest term in bytes; longer runs (base64, hashes) are noise and would bloat the dictionary.
    TERM_BYTES_MAX: usize = 64;
    /// Lexical hits that take part in the fusion.
    LEXICAL_HITS: usize = 1_000;

    /// Weight of a corrected word beside one that was found as written.
    CORRECTION_WEIGHT: f32 = 0.3;
    /// Shortest word, in characters, that is corrected: of shorter ones too many others are near.
    ONE_MISTAKE_CHARS_MIN: usize = 5;
    /// Shortest word, in characters, that may hold two mistakes.
    TWO_MISTAKES_CHARS_MIN: usize = 9;
    /// Corrections of one word.
    CORRECTIONS_MAX: usize = 3;
    /// Words of one query that are corrected: a text of many unknown words is in a language that no
    /// correction helps.
    CORRECTED_MAX: usize = 4;

    /// Share of the whole request beside its best sentence.
    WHOLE_SHARE: f32 = 0.4;
    /// Words that a sentence needs to be worth looking for by itself.
    SENTENCE_WORDS_MIN: usize = 3;
    /// Sentences of one request; later ones are looked for as part of the whole only.
    SENTENCES_MAX: usize = 12;
    /// Sentences from which a request is a compound one, whose sentences lift the tools that serve them.
    LIFTED_SENTENCES_MIN: usize = 3;
    /// Share of the distance to the loudest sentence that a sentence is lifted.
    LIFT: f32 = 0.5;

    /// Tools near to the request, and to each of its sentences, that take part in the fusion.
    DENSE_HITS: usize = 200;
    /// Candidates whose cosines stand for those of all when mean and standard deviation are estimated.
    DENSE_SAMPLE: usize = 1_024;
    /// Share of the dense arm when [`KNOWN_TYPICAL`] of the request's terms are known, 0 to 1.
    DENSE_SHARE: f32 = 0.7;
    /// Share of known terms at which the dense arm has [`DENSE_SHARE`].
    KNOWN_TYPICAL: f32 = 0.8;
    /// Fall of the dense share's log-odds from no known term to all.
    KNOWN_SLOPE: f32 = 1.5;

    /// Added for a tool whose name is the whole request; more than any fused score, so it comes first.
    WHOLE_NAME_BONUS: f32 = 40.0;
    /// Added for a tool whose name is nearly the request, times how alike they are.
    NEAR_NAME_BONUS: f32 = 20.0;
    /// Added for a tool that the request names as an identifier.
    IDENTIFIER_BONUS: f32 = 5.0;
    /// Longest query, in bytes of the normalised text, that may be a name.
    NAME_LIKE_BYTES_MAX: usize = 96;
    /// Likeness under which two names are different ones.
    LIKENESS_MIN: f32 = 0.6;
    /// Shortest name, in characters, that may hold a mistake; a shorter one is soon another word.
    MISTAKE_CHARS_MIN: usize = 6;
    /// Characters of a name in which one mistake is forgiven.
    CHARS_PER_MISTAKE: usize = 8;
    /// Share of a query's trigrams that a name must have to be looked at, in percent.
    SHARED_TRIGRAMS_PERCENT_MIN: usize = 40;
    /// Names that are looked at for one query.
    NEAR_NAMES_MAX: usize = 64;

    /// Best candidates that are re-scored.
    RESCORED_MAX: usize = 50;
    /// Weight of the share of a tool's name that the request holds.
    NAME_COVERAGE: f32 = 4.0;
    /// Weight of the share of its first sentence.
    SENTENCE_COVERAGE: f32 = 2.0;
    /// Weight of the share of the request that the tool holds.
    REQUEST_COVERAGE: f32 = 6.0;
    /// Weight of the share of the request's word pairs that the tool holds.
    PAIR_COVERAGE: f32 = 3.0;
    /// Credit for a synonym beside the word itself.
    SYNONYM_CREDIT: f32 = 0.5;
    /// Inverse document frequency of a term that the request does not hold: looking each one up would cost
    /// more than it tells.
    TYPICAL_IDF: f32 = 4.0;

    /// Cosine from which a tool counts as a good match of its domain.
    GOOD_COSINE: f32 = 0.35;
    /// Good matches that a routed domain must have; with fewer the whole tenant is searched.
    GOOD_MATCHES_MIN: usize = 3;
    /// Candidates from which there is a search; fewer are all returned.
    CANDIDATES_MIN: usize = 20;

    /// Best results whose words are compared with the request's for the relevance decision.
    RELEVANCE_RESULTS: usize = 5;
    /// Confidence under which nothing seems to fit.
    RELEVANCE_CONFIDENCE_MIN: f32 = 0.5;
    /// Evidence at which the confidence is a half: 5 % of answerable requests lie below.
    RELEVANCE_THRESHOLD: f32 = -0.315;
    /// Steepness of the confidence over the evidence.
    RELEVANCE_SLOPE: f32 = 12.0;
    /// Weight of the covered words beside the nearest cosine.
    RELEVANCE_WORDS_WEIGHT: f32 = 0.10;
    /// Share of covered words that counts as none.
    RELEVANCE_WORDS_FLOOR: f32 = 0.05;
    /// Idf that is added to a request's own, so that short requests are not covered by one word.
    RELEVANCE_IDF_PRIOR: f32 = 20.0;

    /// Largest neighbour density: past it, more siblings tell nothing new.
    DENSITY_MAX: f32 = 0.60;
    /// Neighbour density of a tenant that was not measured yet.
    DENSITY_DEFAULT: f32 = 0.45;
    /// Quantile of the neighbours' cosines that is the density, in percent.
    DENSITY_QUANTILE_PERCENT: usize = 5;
    /// Tools of a tenant that are asked for their neighbours.
    DENSITY_SAMPLE: usize = 256;

    /// Confidence under which no route is taken. At 0.90 and 0.95 the few that were wrong cost more than the
    /// others gained.
    ROUTE_CONFIDENCE_MIN: f32 = 0.98;
    /// Temperature of the softmax over sampled tools.
    ROUTE_TEMPERATURE: f32 = 0.04;
    /// Factor that a domain gains by being named.
    ROUTE_NAMED_FACTOR: f32 = 4.0;
    /// Divisor of the confidence in a domain that the best lexical hit is not in.
    ROUTE_DISAGREEMENT_DIVISOR: f32 = 2.0;
    /// Tools of a domain that may be chosen: a smaller one would hardly have enough good matches.
    ROUTE_TOOLS_MIN: usize = 20;
    /// Vectors sampled of a domain.
    DOMAIN_SAMPLE: usize = 256;

    /// Share of the candidates that may change before a cached answer is computed again.
    DRIFT_MAX: f32 = 0.05;
    /// Share of the lowest score that a changed tool may lack and still count as entering.
    ENTRY_MARGIN: f32 = 0.1;
}

#[cfg(test)]
mod tests;
