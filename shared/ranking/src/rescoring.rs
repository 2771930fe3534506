//! Second-stage re-scoring: how well a request and each of the best tools cover each other.
//!
//! BM25F asks only what of the request stands in the tool. The other way round tells as much: `issues/list`
//! is all of "list issues", and a small part of a longer name. For the best candidates of both arms,
//!
//! ```text
//! coverage = 4 · share of the name that the request holds
//!          + 2 · share of the first sentence that the request holds
//!          + 6 · share of the request that the tool holds
//!          + 3 · share of the request's word pairs that the tool holds
//! ```
//! Shares are weighted by idf; function words count nowhere; a synonym counts half. As with the arms, the
//! sentences of a request count beside the whole. The weights come from a search over the tuning halves of
//! four sets.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use toolweaver_contracts::Tool;

use crate::{
    LexicalAnswer, Query,
    lexical::{FieldName, idf::idf, query_terms::content_stems},
    mix,
    parameters::{
        NAME_COVERAGE, PAIR_COVERAGE, REQUEST_COVERAGE, SENTENCE_COVERAGE, SYNONYM_CREDIT, TYPICAL_IDF,
    },
    text::synonyms::synonyms,
};

/// A stem, as a number: compared often, shown never.
type Stem = u64;

/// Stem sets of a tool: all that re-scoring asks of it.
#[derive(Debug)]
pub struct StemSets {
    name: HashSet<Stem>,
    sentence: HashSet<Stem>,
    all: HashSet<Stem>,
    pairs: HashSet<(Stem, Stem)>,
}

impl StemSets {
    /// Analyses a tool.
    pub fn of(tool: &Tool) -> Self {
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

    /// Tells whether any text of the tool holds this stem.
    pub(crate) fn holds(&self, stem: &str) -> bool {
        self.all.contains(&number(stem))
    }
}

/// A request and its sentences, ready to be compared with tools.
pub struct Rescorer {
    texts: Vec<Text>,
}

struct Text {
    /// Distinct, with their idf.
    terms: Vec<(Stem, f32)>,
    /// All idf together.
    all: f32,
    pairs: Vec<((Stem, Stem), f32)>,
    /// Credit of each stem in a tool, 1 for the request's own and less for their synonyms; and its idf.
    credits: HashMap<Stem, (f32, f32)>,
    /// The synonyms of each term.
    synonyms: HashMap<Stem, Vec<Stem>>,
}

impl Rescorer {
    /// Weighs a request by the terms that its lexical search has counted.
    pub fn new(query: &Query, lexical: &LexicalAnswer) -> Self {
        let terms = lexical.terms.iter();
        let known: HashMap<&str, f32> =
            terms.map(|term| (term.term.as_str(), idf(term.documents, lexical.candidates))).collect();
        let unknown = idf(0, lexical.candidates);
        let weighted = |text| Text::new(text, |stem| known.get(stem).copied().unwrap_or(unknown));
        Self { texts: query.texts().map(weighted).collect() }
    }

    /// Returns the coverage of request and tool, 0 to 15.
    pub fn coverage(&self, tool: &StemSets) -> f32 {
        let shares: Vec<[f32; 4]> = self.texts.iter().map(|text| text.shares(tool)).collect();
        let mixed = |share: usize| mix(&shares.iter().map(|shares| shares[share]).collect::<Vec<_>>());
        NAME_COVERAGE * mixed(0)
            + SENTENCE_COVERAGE * mixed(1)
            + REQUEST_COVERAGE * mixed(2)
            + PAIR_COVERAGE * mixed(3)
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

    fn shares(&self, tool: &StemSets) -> [f32; 4] {
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

    /// Returns the share of these stems that the request holds.
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

    use super::{Rescorer, StemSets};
    use crate::{LexicalAnswer, Query};

    fn coverage(query: &str, name: &str, description: &str) -> f32 {
        let json = serde_json::json!({ "tool_name": name, "description": description });
        let tool: Tool = serde_json::from_value(json).unwrap();
        let lexical = LexicalAnswer { std_dev: 1.0, candidates: 100, known: 1.0, ..LexicalAnswer::default() };
        Rescorer::new(&Query::understood(query.to_owned(), Vec::new()), &lexical)
            .coverage(&StemSets::of(&tool))
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
