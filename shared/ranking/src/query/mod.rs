//! A request as the ranking understands it.

pub mod name_mentions;
mod rewrite;
mod sentences;

use crate::parameters::LIFTED_SENTENCES_MIN;

/// A request that was understood: once, for every stage of its search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    written: String,
    text: String,
    sentences: Vec<String>,
}

impl Query {
    /// Understands a request.
    pub fn new(written: &str) -> Self {
        let text = rewrite::rewritten(written).into_owned();
        let sentences = sentences::sentences(&text);
        Self { written: written.to_owned(), text, sentences }
    }

    /// Returns a query that another worker has understood.
    pub fn understood(text: String, sentences: Vec<String>) -> Self {
        Self { written: text.clone(), text, sentences }
    }

    /// Returns the request as it was written: names are looked for in it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Returns the rewritten request: both arms look for it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the sentences of a request that has several, else none.
    pub fn sentences(&self) -> &[String] {
        &self.sentences
    }

    /// Returns the texts that are looked for one by one: the whole, then each sentence.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [self.text.as_str()].into_iter().chain(self.sentences.iter().map(String::as_str))
    }

    /// Tells whether the request asks for several things, whose sentences lift the tools that serve them.
    pub fn is_compound(&self) -> bool {
        lifts(self.sentences.len())
    }
}

/// Tells whether a request of so many sentences is lifted by them.
pub(crate) const fn lifts(sentences: usize) -> bool {
    sentences >= LIFTED_SENTENCES_MIN
}
