//! Query terms: the distinct terms of a request and of its sentences.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use toolweaver_contracts::{SearchedTerm, identifiers};

use crate::{
    Query,
    parameters::STOP_WORDS,
    text::{Form, terms::terms as terms_of},
};

/// A term to look for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueryTerm {
    /// Its text, as the analyser writes it.
    pub(super) text: String,
    pub(super) form: Form,
    /// Weight beside a word of the query itself, which has 1.
    pub(super) weight: f32,
    /// One bit for each text that it stands in: the lowest for the whole query, then one a sentence.
    pub(super) texts: u32,
}

/// Returns the stems of a text that say what it is about, in order, with repeats. Function words are left out
/// of identifiers too: `list-for-repo` is about `list` and `repo`.
pub(crate) fn content_stems(text: &str) -> Vec<String> {
    let is_content = |word: &&str| !STOP_WORD_SET.contains(word.to_lowercase().as_str());
    let content: Vec<&str> = identifiers::split(text).into_iter().filter(is_content).collect();
    let stems = terms_of(&content.join(" "), Form::Stem);
    if stems.is_empty() { terms_of(text, Form::Stem) } else { stems }
}

/// Returns the terms of a text that say what it is about: no function words, or all words if there are no
/// others.
fn content_terms(text: &str, form: Form) -> Vec<String> {
    let terms = terms_of(&without_stop_words(text), form);
    if terms.is_empty() { terms_of(text, form) } else { terms }
}

fn without_stop_words(text: &str) -> String {
    let is_content = |chunk: &&str| {
        let words = identifiers::split(chunk);
        // Inside an identifier every word counts.
        words.len() != 1 || !STOP_WORD_SET.contains(words[0].to_lowercase().as_str())
    };
    text.split_whitespace().filter(is_content).collect::<Vec<_>>().join(" ")
}

/// Returns the distinct terms of a query and of its sentences in both forms.
pub(super) fn terms(query: &Query) -> Vec<QueryTerm> {
    let mut terms: Vec<QueryTerm> = Vec::new();
    let mut places: HashMap<(Form, String), usize> = HashMap::new();
    let mut add = |text: String, form, texts| {
        let place = *places.entry((form, text.clone())).or_insert_with(|| {
            terms.push(QueryTerm { text, form, weight: 1.0, texts: 0 });
            terms.len() - 1
        });
        terms[place].texts |= texts;
    };
    for (bit, text) in (0..u32::BITS).zip(query.texts()) {
        for form in [Form::Stem, Form::Raw] {
            for term in content_terms(text, form) {
                add(term, form, 1 << bit);
            }
        }
    }
    terms
}

/// Returns the share of the query's own stems that some candidate holds; 1 where there is none to know.
pub(super) fn known_share(terms: &[QueryTerm], documents: &[u64]) -> f32 {
    let own = |term: &QueryTerm| term.form == Form::Stem && term.weight >= 1.0;
    let all = terms.iter().filter(|term| own(term)).count();
    let known = terms.iter().zip(documents).filter(|(term, documents)| own(term) && **documents > 0).count();
    if all == 0 { 1.0 } else { known as f32 / all as f32 }
}

/// Returns the terms as an explanation shows them: stems only, since the other form says the same.
pub(super) fn searched(terms: &[QueryTerm], documents: &[u64]) -> Vec<SearchedTerm> {
    let stems = terms.iter().zip(documents).filter(|(term, _)| term.form == Form::Stem);
    stems
        .map(|(term, documents)| SearchedTerm {
            term: term.text.clone(),
            weight: term.weight,
            documents: *documents,
        })
        .collect()
}

static STOP_WORD_SET: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORDS.split_whitespace().collect());

#[cfg(test)]
mod tests {
    use super::{Form, Query, QueryTerm, content_terms, terms};

    #[test]
    fn a_query_loses_function_words_but_never_everything() {
        let stems = |query: &str| content_terms(query, Form::Stem);
        assert_eq!(stems("Please tag the issue"), ["tag", "issu"]);
        assert_eq!(stems("who am I"), ["who", "am", "i"]);
        assert_eq!(stems("what_to_do"), ["what", "to", "do"]);
        assert_eq!(stems("…"), Vec::<String>::new());
    }

    #[test]
    fn terms_are_distinct_and_know_where_they_stand() {
        let sentences = vec!["Zap it".to_owned(), "Zap labels".to_owned()];
        let found = terms(&Query::understood("Zap it. Zap labels.".to_owned(), sentences));
        let texts = |text: &str| {
            let of: Vec<&QueryTerm> =
                found.iter().filter(|t| t.form == Form::Raw && t.text == text).collect();
            assert_eq!(of.len(), 1, "{text}");
            of[0].texts
        };
        assert_eq!((texts("zap"), texts("labels")), (0b111, 0b101));
    }
}
