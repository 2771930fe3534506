//! Text to index terms: the analysis that index and query share.

use std::{collections::HashSet, sync::LazyLock};

use tantivy::tokenizer::{Language, LowerCaser, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};
use toolweaver_contracts::identifiers;

/// Longest term; longer runs (base64, hashes) are noise and would bloat the dictionary.
const TERM_BYTES_MAX: usize = 64;

/// Splits at punctuation and case: `createPullRequest` becomes `create`, `Pull`, `Request`.
#[derive(Clone, Default)]
pub(crate) struct Words;

pub(crate) struct WordStream<'a> {
    text: &'a str,
    words: std::vec::IntoIter<&'a str>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { text, words: identifiers::split(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.by_ref().find(|word| word.len() <= TERM_BYTES_MAX) else {
            return false;
        };
        // A word is a slice of the text, so the distance of their starts is its offset.
        let offset = word.as_ptr() as usize - self.text.as_ptr() as usize;
        self.token.offset_from = offset;
        self.token.offset_to = offset + word.len();
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text.clear();
        self.token.text.push_str(word);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

/// Lower-cased words as they are written.
pub(crate) fn raw() -> TextAnalyzer {
    TextAnalyzer::builder(Words).filter(LowerCaser).build()
}

/// Lower-cased words cut to their English stems.
pub(crate) fn stemmed() -> TextAnalyzer {
    TextAnalyzer::builder(Words).filter(LowerCaser).filter(Stemmer::new(Language::English)).build()
}

/// Verbs that authors of tools use for one another.
const SYNONYMS: [&[&str]; 10] = [
    &["create", "open", "add", "new", "make", "start", "register"],
    &["delete", "remove", "drop", "destroy"],
    &["get", "show", "read", "view", "fetch", "describe", "retrieve"],
    &["list", "all", "every"],
    &["update", "edit", "change", "modify", "rename"],
    &["find", "search", "look", "query"],
    &["send", "post"],
    &["login", "logged", "authenticated", "signed"],
    &["merge", "combine"],
    &["cancel", "abort", "stop"],
];
/// How much a synonym counts beside a word of the query itself.
const SYNONYM_WEIGHT: f32 = 0.3;

/// A term to look for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct QueryTerm {
    /// As the analyser writes it.
    pub(crate) text: String,
    /// Its share of a full hit: 1 for the query's own words.
    pub(crate) weight: f32,
}

/// The distinct terms of a query, in order, without function words; with nothing else in it, all of them. Then the
/// synonyms of its verbs.
pub(crate) fn query_terms(analyzer: &mut TextAnalyzer, query: &str) -> Vec<QueryTerm> {
    let words: Vec<String> = identifiers::split(query).into_iter().map(str::to_lowercase).collect();
    let mut content: Vec<&str> =
        words.iter().map(String::as_str).filter(|word| !STOP_WORDS.contains(word)).collect();
    if content.is_empty() {
        content = words.iter().map(String::as_str).collect();
    }
    let mut stemmer = stemmed();
    let mut stem = |word: &str| terms(&mut stemmer, word);
    let stems: Vec<_> = content.iter().map(|word| stem(word)).collect();
    let meant = SYNONYMS.iter().filter(|group| group.iter().any(|verb| stems.contains(&stem(verb)))).copied();
    let synonyms: Vec<&str> = meant.flatten().copied().collect();

    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (words, weight) in [(content, 1.0), (synonyms, SYNONYM_WEIGHT)] {
        let distinct =
            words.into_iter().flat_map(|word| terms(analyzer, word)).filter(|term| seen.insert(term.clone()));
        found.extend(distinct.map(|text| QueryTerm { text, weight }));
    }
    found
}

fn terms(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut stream = analyzer.token_stream(text);
    let mut terms = Vec::new();
    while stream.advance() {
        terms.push(stream.token().text.clone());
    }
    terms
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
    use super::{QueryTerm, query_terms, raw, stemmed};

    #[test]
    fn a_query_loses_function_words_and_repeats_but_never_everything() {
        let terms = |query: &str| own(&query_terms(&mut stemmed(), query));
        assert_eq!(terms("Please tag the issues of my issue tag"), ["tag", "issu"]);
        assert_eq!(terms("who am I"), ["who", "am", "i"]);
        assert_eq!(terms("…"), Vec::<String>::new());
        assert_eq!(own(&query_terms(&mut raw(), "createPullRequests now")), ["create", "pull", "requests"]);
    }

    #[test]
    fn a_verb_brings_its_synonyms_at_a_lower_weight() {
        let terms = query_terms(&mut stemmed(), "removing labels");
        let verbs: Vec<_> =
            terms.iter().filter(|term| term.weight < 1.0).map(|term| term.text.as_str()).collect();
        assert_eq!(verbs, ["delet", "drop", "destroy"]);
        assert_eq!(own(&terms), ["remov", "label"]);
    }

    fn own(terms: &[QueryTerm]) -> Vec<String> {
        terms.iter().filter(|term| term.weight >= 1.0).map(|term| term.text.clone()).collect()
    }
}
