//! How well a request and a tool cover each other: a second look at the best.
//!
//! BM25F asks only what of the request stands in the tool. The other way round tells as much: `issues/list` is all of
//! "list issues", and a small part of a longer name. For the best candidates of both arms,
//!
//! ```text
//! coverage = 4 · share of the name that the request holds       6 · share of the request that the tool holds
//!          + 2 · share of its first sentence that it holds      3 · share of the request's word pairs that it holds
//! ```
//! Shares are weighted by idf; function words count nowhere; a synonym counts half. As with the arms, the parts of a
//! compound request count beside the whole. The weights come from a search over the tuning halves of four sets.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use toolweaver_contracts::{SearchedTerm, Tool};

use super::mix;
use crate::projection::{FieldName, LexicalAnswer, content_stems, synonyms};

/// Candidates that are looked at.
pub(crate) const CANDIDATES: usize = 50;
const NAME_WEIGHT: f32 = 4.0;
const SENTENCE_WEIGHT: f32 = 2.0;
const REQUEST_WEIGHT: f32 = 6.0;
const PAIRS_WEIGHT: f32 = 3.0;
/// What a synonym counts beside the word itself.
const SYNONYM_CREDIT: f32 = 0.5;
/// The idf of a term that the request does not hold. Looking each one up would cost more than it tells.
const TYPICAL_IDF: f32 = 4.0;

/// A stem, as a number: compared often, shown never.
type Stem = u64;

/// What of a tool is compared.
#[derive(Debug)]
pub(crate) struct Analysis {
    name: HashSet<Stem>,
    sentence: HashSet<Stem>,
    all: HashSet<Stem>,
    pairs: HashSet<(Stem, Stem)>,
}

impl Analysis {
    pub(crate) fn of(tool: &Tool) -> Self {
        let stems = |field: FieldName| numbers(&content_stems(&field.text(tool)));
        let (name, sentence) = (stems(FieldName::Name), stems(FieldName::FirstSentence));
        let pairs = name.windows(2).chain(sentence.windows(2)).map(|pair| (pair[0], pair[1]));
        Self {
            pairs: pairs.collect(),
            all: FieldName::ALL.into_iter().flat_map(stems).collect(),
            name: name.into_iter().collect(),
            sentence: sentence.into_iter().collect(),
        }
    }

    /// Whether any text of the tool holds this stem.
    pub(crate) fn holds(&self, stem: &str) -> bool {
        self.all.contains(&number(stem))
    }
}

/// A request and its parts, ready to be compared.
pub(crate) struct Coverage {
    texts: Vec<Text>,
}

struct Text {
    /// Distinct, with their idf.
    terms: Vec<(Stem, f32)>,
    /// All idf together.
    all: f32,
    pairs: Vec<((Stem, Stem), f32)>,
    /// What each stem counts in a tool: 1 for the request's own, less for their synonyms; and its idf.
    credits: HashMap<Stem, (f32, f32)>,
    /// The synonyms of each term.
    synonyms: HashMap<Stem, Vec<Stem>>,
}

impl Coverage {
    pub(crate) fn new(query: &str, parts: &[String], lexical: &LexicalAnswer) -> Self {
        let idf: HashMap<&str, f32> =
            lexical.terms.iter().map(|term| (term.term.as_str(), idf(term, lexical.candidates))).collect();
        let unknown = (1.0 + (lexical.candidates as f32 + 0.5) / 0.5).ln();
        let texts = [query].into_iter().chain(parts.iter().map(String::as_str));
        Self {
            texts: texts
                .map(|text| Text::new(text, |stem| idf.get(stem).copied().unwrap_or(unknown)))
                .collect(),
        }
    }

    /// The coverage of request and tool, 0 to 15.
    pub(crate) fn of(&self, tool: &Analysis) -> f32 {
        let shares: Vec<[f32; 4]> = self.texts.iter().map(|text| text.shares(tool)).collect();
        let mixed = |share: usize| mix(&shares.iter().map(|shares| shares[share]).collect::<Vec<_>>());
        NAME_WEIGHT * mixed(0)
            + SENTENCE_WEIGHT * mixed(1)
            + REQUEST_WEIGHT * mixed(2)
            + PAIRS_WEIGHT * mixed(3)
    }
}

impl Text {
    fn new(text: &str, idf: impl Fn(&str) -> f32) -> Self {
        let sequence = content_stems(text);
        let mut seen = HashSet::new();
        let distinct: Vec<&String> = sequence.iter().filter(|stem| seen.insert(stem.as_str())).collect();
        let terms: Vec<(Stem, f32)> = distinct.iter().map(|stem| (number(stem), idf(stem))).collect();
        let mut credits: HashMap<Stem, (f32, f32)> = HashMap::new();
        let mut meant: HashMap<Stem, Vec<Stem>> = HashMap::new();
        for stem in &distinct {
            for synonym in synonyms(stem) {
                credits.entry(number(synonym)).or_insert((SYNONYM_CREDIT, TYPICAL_IDF));
                meant.entry(number(stem)).or_default().push(number(synonym));
            }
        }
        credits.extend(terms.iter().map(|(stem, idf)| (*stem, (1.0, *idf))));
        let pairs = sequence
            .windows(2)
            .map(|pair| ((number(&pair[0]), number(&pair[1])), idf(&pair[0]) + idf(&pair[1])));
        Self {
            all: terms.iter().map(|(_, idf)| idf).sum(),
            terms,
            pairs: pairs.collect(),
            credits,
            synonyms: meant,
        }
    }

    fn shares(&self, tool: &Analysis) -> [f32; 4] {
        let held = |(stem, idf): &(Stem, f32)| {
            if tool.all.contains(stem) {
                *idf
            } else if self.synonyms.get(stem).is_some_and(|s| s.iter().any(|s| tool.all.contains(s))) {
                SYNONYM_CREDIT * idf
            } else {
                0.0
            }
        };
        let covered: f32 = self.terms.iter().map(held).sum();
        let all_pairs: f32 = self.pairs.iter().map(|(_, idf)| idf).sum();
        let pairs: f32 =
            self.pairs.iter().filter(|(pair, _)| tool.pairs.contains(pair)).map(|(_, idf)| idf).sum();
        [
            self.share_of(&tool.name),
            self.share_of(&tool.sentence),
            ratio(covered, self.all),
            ratio(pairs, all_pairs),
        ]
    }

    /// Share of these stems that the request holds.
    fn share_of(&self, stems: &HashSet<Stem>) -> f32 {
        let (mut held, mut all) = (0.0, 0.0);
        for stem in stems {
            let (credit, idf) = self.credits.get(stem).copied().unwrap_or((0.0, TYPICAL_IDF));
            held += credit * idf;
            all += idf;
        }
        ratio(held, all)
    }
}

fn ratio(part: f32, all: f32) -> f32 {
    if all > 0.0 { part / all } else { 0.0 }
}

/// Inverse document frequency over the candidates of a search, as BM25F counts it.
pub(super) fn idf(term: &SearchedTerm, candidates: u64) -> f32 {
    let (n, all) = (term.documents as f32, candidates as f32);
    (1.0 + (all - n + 0.5) / (n + 0.5)).ln()
}

fn numbers(stems: &[String]) -> Vec<Stem> {
    stems.iter().map(|stem| number(stem)).collect()
}

fn number(stem: &str) -> Stem {
    let mut hasher = DefaultHasher::new();
    stem.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use toolweaver_contracts::Tool;

    use super::{Analysis, Coverage};
    use crate::projection::LexicalAnswer;

    fn coverage(query: &str, name: &str, description: &str) -> f32 {
        let json = serde_json::json!({ "tool_name": name, "description": description });
        let tool: Tool = serde_json::from_value(json).unwrap();
        let lexical = LexicalAnswer {
            hits: Vec::new(),
            mean: 0.0,
            spread: 1.0,
            candidates: 100,
            known: 1.0,
            terms: Vec::new(),
            near_names: Vec::new(),
            scale: None,
        };
        Coverage::new(query, &[], &lexical).of(&Analysis::of(&tool))
    }

    #[test]
    fn a_name_that_is_all_of_the_request_covers_more_than_a_longer_one() {
        let whole = coverage("list the issues", "issues/list", "Lists issues.");
        let part =
            coverage("list the issues", "issues/list-labels-for-milestone", "Lists labels for issues.");
        assert!((whole - 15.0).abs() < 1e-3, "{whole}: each covers all of the other");
        assert!(whole > part && part > 0.0);
        assert!(coverage("something else entirely", "issues/list", "Lists issues.").abs() < 1e-6);
    }

    #[test]
    fn a_synonym_counts_half() {
        let word = coverage("delete it", "delete", "");
        let synonym = coverage("erase it", "delete", "");
        assert!(word > synonym && synonym > 0.0, "{word} {synonym}");
    }
}
