//! Snowball stems, with the short forms of interfaces under the stems of their long ones.

use std::{cell::RefCell, collections::HashMap};

use tantivy::tokenizer::{Language, RawTokenizer, Stemmer, TextAnalyzer, TokenStream as _};

use crate::parameters::ABBREVIATIONS;

/// Capacity of a thread's stem cache; all are forgotten when there are more.
const STEMS_KNOWN_MAX: usize = 1 << 16;

/// Returns the Snowball stem of a lower-case word. Its script names the language; Latin letters are taken for
/// English.
///
/// Cached by each thread: a catalog says the same words again and again, and is read as a whole at every
/// start.
pub(crate) fn stem(word: &str) -> String {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, String>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(stem) = known.get(word) {
            return stem.clone();
        }
        if known.len() >= STEMS_KNOWN_MAX {
            known.clear();
        }
        let stem = computed_stem(word);
        known.insert(word.to_owned(), stem.clone());
        stem
    })
}

fn computed_stem(word: &str) -> String {
    thread_local! {
        static STEMMERS: RefCell<[TextAnalyzer; 4]> =
            RefCell::new([Language::English, Language::Russian, Language::Greek, Language::Arabic].map(|language| {
                TextAnalyzer::builder(RawTokenizer::default()).filter(Stemmer::new(language)).build()
            }));
    }
    let language = match word.chars().next() {
        Some('\u{0400}'..='\u{052F}') => 1,
        Some('\u{0370}'..='\u{03FF}') => 2,
        Some('\u{0600}'..='\u{06FF}') => 3,
        _ => 0,
    };
    let word = ABBREVIATIONS.iter().find(|(short, _)| *short == word).map_or(word, |(_, long)| long);
    STEMMERS.with_borrow_mut(|stemmers| {
        let mut stream = stemmers[language].token_stream(word);
        if stream.advance() { stream.token().text.clone() } else { word.to_owned() }
    })
}
