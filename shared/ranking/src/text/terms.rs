//! Tokenisation: the analysis that index and query share.
//!
//! A text falls into words at spaces, punctuation and case. Two forms of every word are indexed side by side:
//! as it is written, and cut to its stem. An identifier is also kept whole (`create_pull_request` is
//! `create`, `pull`, `request` and `createpullrequest`), and scripts without spaces fall into overlapping
//! pairs of characters.

use serde::{Deserialize, Serialize};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use toolweaver_contracts::identifiers;

use super::stems::stem;
use crate::parameters::TERM_BYTES_MAX;

/// Form of a word in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Form {
    /// Lower case.
    Raw,
    /// Lower case, cut to its stem.
    Stem,
}

/// Returns the terms of a text, in order, with repeats.
pub fn terms(text: &str, form: Form) -> Vec<String> {
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

/// Tells whether a character belongs to a script that is written without spaces: CJK, kana, Thai, Lao, Khmer,
/// Myanmar.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3134F}')
}

/// Adds the overlapping pairs of the unspaced runs of a word, a run of one character as it is, other runs as
/// words.
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

/// Tokenizer of tantivy over [`terms`].
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
