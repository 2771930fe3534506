//! Text to index terms: the analysis that index and query share.
//!
//! A text falls into words at spaces, punctuation and case. Two forms of every word are indexed side by side: as it is
//! written, and cut to its stem. An identifier is also kept whole (`create_pull_request` is `create`, `pull`,
//! `request` and `createpullrequest`), and scripts without spaces fall into overlapping pairs of characters.

use std::{cell::RefCell, collections::HashMap};

use serde::{Deserialize, Serialize};
use tantivy::tokenizer::{Language, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer};
use toolweaver_contracts::identifiers;

/// Longest term in bytes; longer runs (base64, hashes) are noise and would bloat the dictionary.
const TERM_BYTES_MAX: usize = 64;

/// How a word is written in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Form {
    /// Lower case.
    Raw,
    /// Lower case, cut to its stem.
    Stem,
}

/// The terms of a text, in order, with repeats.
pub(crate) fn terms(text: &str, form: Form) -> Vec<String> {
    let mut terms = Vec::new();
    for chunk in text.split_whitespace() {
        let words = identifiers::split(chunk);
        for word in &words {
            if word.len() > TERM_BYTES_MAX {
                continue;
            }
            let word = word.to_lowercase();
            if word.chars().any(is_unspaced) {
                push_pairs(&word, &mut terms);
            } else {
                terms.push(if form == Form::Stem { stem(&word) } else { word });
            }
        }
        if form == Form::Raw && words.len() > 1 {
            let whole = words.concat().to_lowercase();
            if whole.len() <= TERM_BYTES_MAX && !whole.chars().any(is_unspaced) {
                terms.push(whole);
            }
        }
    }
    terms
}

/// Whether a character belongs to a script that is written without spaces: CJK, kana, Thai, Lao, Khmer, Myanmar.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3134F}')
}

/// Overlapping pairs of the unspaced runs of a word, a run of one character as it is, other runs as words.
fn push_pairs(word: &str, terms: &mut Vec<String>) {
    let chars: Vec<char> = word.chars().collect();
    for run in chars.chunk_by(|a, b| is_unspaced(*a) == is_unspaced(*b)) {
        if run.len() < 2 || !is_unspaced(run[0]) {
            terms.push(run.iter().collect());
        } else {
            terms.extend(run.windows(2).map(|pair| pair.iter().collect::<String>()));
        }
    }
}

/// Short forms that interfaces prefer, and the words that requests use: one stem for both.
const ABBREVIATIONS: [(&str, &str); 22] = [
    ("admin", "administrator"),
    ("app", "application"),
    ("apps", "applications"),
    ("auth", "authentication"),
    ("config", "configuration"),
    ("db", "database"),
    ("dir", "directory"),
    ("doc", "document"),
    ("docs", "documents"),
    ("env", "environment"),
    ("img", "image"),
    ("info", "information"),
    ("lang", "language"),
    ("msg", "message"),
    ("org", "organization"),
    ("orgs", "organizations"),
    ("param", "parameter"),
    ("params", "parameters"),
    ("repo", "repository"),
    ("repos", "repositories"),
    ("organisation", "organization"),
    ("organisations", "organizations"),
];

/// Stems that a thread remembers; all are forgotten when there are more.
const STEMS_KNOWN_MAX: usize = 1 << 16;

/// The Snowball stem of a lower-case word. Its script names the language; Latin letters are taken for English.
///
/// Remembered by each thread: a catalogue says the same words again and again, and is read as a whole at every start.
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

/// [`terms`] as the index asks for them.
#[derive(Clone)]
pub(crate) struct Words(pub(crate) Form);

pub(crate) struct WordStream {
    terms: std::vec::IntoIter<String>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream { terms: terms(text, self.0).into_iter(), token: Token::default() }
    }
}

/// Tokens carry no offsets: nothing is highlighted, and phrases are not searched.
impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(term) = self.terms.next() else { return false };
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text = term;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, terms};

    #[test]
    fn words_fall_apart_and_identifiers_stay_whole_too() {
        for (text, raw, stems) in [
            ("Creating labels", vec!["creating", "labels"], vec!["creat", "label"]),
            ("createIssue", vec!["create", "issue", "createissue"], vec!["creat", "issu"]),
            ("list-repos", vec!["list", "repos", "listrepos"], vec!["list", "repositori"]),
            ("aws.s3 buckets", vec!["aws", "s3", "awss3", "buckets"], vec!["aw", "s3", "bucket"]),
            ("Открыть заявки", vec!["открыть", "заявки"], vec!["откр", "заявк"]),
            (
                "画像を生成 API",
                vec!["画像", "像を", "を生", "生成", "api"],
                vec!["画像", "像を", "を生", "生成", "api"],
            ),
            ("天气2", vec!["天气", "2"], vec!["天气", "2"]),
            ("…", vec![], vec![]),
        ] {
            assert_eq!(terms(text, Form::Raw), raw, "{text}");
            assert_eq!(terms(text, Form::Stem), stems, "{text}");
        }
    }
}
