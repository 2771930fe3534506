//! What is looked for: the terms of a request and of its parts.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use toolweaver_contracts::{SearchedTerm, identifiers};

use super::super::words::{self, Form};

/// A term to look for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueryTerm {
    /// As the analyser writes it.
    pub(super) text: String,
    pub(super) form: Form,
    /// What it counts beside a word of the query itself, which counts 1.
    pub(super) weight: f32,
    /// One bit for each text that it stands in: the lowest for the whole query, then one a part.
    pub(super) texts: u32,
}

/// The stems of a text that say what it is about, in order, with repeats. Function words are left out of identifiers
/// too: `list-for-repo` is about `list` and `repo`.
pub(crate) fn content_stems(text: &str) -> Vec<String> {
    let is_content = |word: &&str| !STOP_WORDS.contains(word.to_lowercase().as_str());
    let content: Vec<&str> = identifiers::split(text).into_iter().filter(is_content).collect();
    let stems = words::terms(&content.join(" "), Form::Stem);
    if stems.is_empty() { words::terms(text, Form::Stem) } else { stems }
}

/// The words of a text that say what it is about: no function words, or all words if there are no others.
fn content_terms(text: &str, form: Form) -> Vec<String> {
    let terms = words::terms(&without_stop_words(text), form);
    if terms.is_empty() { words::terms(text, form) } else { terms }
}

fn without_stop_words(text: &str) -> String {
    let is_content = |chunk: &&str| {
        let words = identifiers::split(chunk);
        // Inside an identifier every word counts.
        words.len() != 1 || !STOP_WORDS.contains(words[0].to_lowercase().as_str())
    };
    text.split_whitespace().filter(is_content).collect::<Vec<_>>().join(" ")
}

/// The distinct terms of a query and of its parts in both forms.
pub(super) fn terms(query: &str, parts: &[String]) -> Vec<QueryTerm> {
    let mut terms: Vec<QueryTerm> = Vec::new();
    let mut places: HashMap<(Form, String), usize> = HashMap::new();
    let mut add = |text: String, form, texts| {
        let place = *places.entry((form, text.clone())).or_insert_with(|| {
            terms.push(QueryTerm { text, form, weight: 1.0, texts: 0 });
            terms.len() - 1
        });
        terms[place].texts |= texts;
    };
    for (bit, text) in (0..u32::BITS).zip([query].into_iter().chain(parts.iter().map(String::as_str))) {
        for form in [Form::Stem, Form::Raw] {
            for term in content_terms(text, form) {
                add(term, form, 1 << bit);
            }
        }
    }
    terms
}

/// Share of the query's own stems that some candidate holds; 1 where there is none to know.
pub(super) fn known_share(terms: &[QueryTerm], documents: &[u64]) -> f32 {
    let own = |term: &QueryTerm| term.form == Form::Stem && term.weight >= 1.0;
    let all = terms.iter().filter(|term| own(term)).count();
    let known = terms.iter().zip(documents).filter(|(term, documents)| own(term) && **documents > 0).count();
    if all == 0 { 1.0 } else { known as f32 / all as f32 }
}

/// The terms as an explanation shows them: stems only, since the other form says the same.
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

/// Function words and politeness. Verbs that name operations (get, list, show, create, use) are content here.
static STOP_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    "a about above after again all also am an and any are as at be because been before being below between both but by \
     can could did do does doing don down during each few for from further had has have having he hello help her here \
     hers hey hi him his how i if in into is it its itself just let like me more most my myself need no nor not now of \
     off on once only or other our ours out over own please re s same she should so some such t than thank thanks that \
     the their theirs them then there these they this those through to too under until up us very want was we were what \
     when where which while who whom why will with would you your yours"
        .split_whitespace()
        .collect()
});

#[cfg(test)]
mod tests {
    use super::{Form, QueryTerm, content_terms, terms};

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
        let found = terms("Zap it. Zap labels.", &["Zap it".to_owned(), "Zap labels".to_owned()]);
        let texts = |text: &str| {
            let of: Vec<&QueryTerm> =
                found.iter().filter(|t| t.form == Form::Raw && t.text == text).collect();
            assert_eq!(of.len(), 1, "{text}");
            of[0].texts
        };
        assert_eq!((texts("zap"), texts("labels")), (0b111, 0b101));
    }
}
