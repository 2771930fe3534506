//! Sentences of a request: the needs of one that asks for several things at once.

use crate::{
    parameters::{SENTENCE_WORDS_MIN, SENTENCES_MAX},
    text::terms::is_unspaced,
};

/// Returns the sentences of a request, or none if it is a single one.
pub(crate) fn sentences(query: &str) -> Vec<String> {
    let ends = |c: char| matches!(c, '!' | '?' | ';' | '\n' | '。' | '！' | '？' | '；');
    let mut sentences = Vec::new();
    let mut start = 0;
    let mut chars = query.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        // A dot ends a sentence only before a space: others stand in names, versions and numbers.
        let is_end = ends(c) || (c == '.' && chars.peek().is_none_or(|(_, next)| next.is_whitespace()));
        if is_end {
            sentences.push(&query[start..at]);
            start = at + c.len_utf8();
        }
    }
    sentences.push(&query[start..]);
    let sentences: Vec<String> = sentences
        .into_iter()
        .map(str::trim)
        .filter(|sentence| {
            sentence.split_whitespace().count() >= SENTENCE_WORDS_MIN || is_long_without_spaces(sentence)
        })
        .take(SENTENCES_MAX)
        .map(str::to_owned)
        .collect();
    if sentences.len() > 1 { sentences } else { Vec::new() }
}

/// Tells whether it is a sentence of a script without spaces: as long as a few words.
fn is_long_without_spaces(sentence: &str) -> bool {
    sentence.chars().filter(|c| is_unspaced(*c)).count() >= 2 * SENTENCE_WORDS_MIN
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn sentences_fall_apart_and_names_do_not() {
        assert_eq!(
            sentences("Book a flight to Rome. Then find me a hotel! Thanks."),
            ["Book a flight to Rome", "Then find me a hotel"]
        );
        assert_eq!(
            sentences("東京の天気を教えて。明日の予定を追加して。"),
            ["東京の天気を教えて", "明日の予定を追加して"]
        );
        assert!(sentences("call aws.s3.create-bucket with version 1.2 now").is_empty());
        assert!(sentences("One sentence only.").is_empty());
        assert!(sentences("").is_empty());
        assert_eq!(sentences(&"do this one thing. ".repeat(40)).len(), 12);
    }
}
