//! Query rewriting: idioms become the words that interfaces use.
//!
//! Requests are full of idioms, interfaces are not. Names in the request are looked for as they were written.

use std::borrow::Cow;

use crate::parameters::IDIOMS;

/// Returns the request with its idioms in other words; nothing else changes.
pub(crate) fn rewritten(query: &str) -> Cow<'_, str> {
    let words: Vec<&str> = query.split_whitespace().collect();
    let plain: Vec<String> = words.iter().map(|word| plain(word)).collect();
    let (mut rewritten, mut place, mut changed) = (Vec::new(), 0, false);
    while place < words.len() {
        let idiom = IDIOMS.iter().find_map(|(idiom, meaning)| {
            let length = idiom.split(' ').count();
            let here = plain.get(place..place + length)?;
            here.iter().map(String::as_str).eq(idiom.split(' ')).then_some((length, meaning))
        });
        let (length, word) = idiom.map_or((1, words[place]), |(length, meaning)| (length, *meaning));
        changed |= idiom.is_some();
        rewritten.push(word.to_owned());
        // What stood behind the phrase still ends a sentence.
        let last = words[place + length - 1];
        if idiom.is_some() {
            let end = last.trim_start_matches(|c: char| c.is_alphanumeric() || !c.is_ascii());
            rewritten.last_mut().expect("just pushed").push_str(end);
        }
        place += length;
    }
    if changed { Cow::Owned(rewritten.join(" ")) } else { Cow::Borrowed(query) }
}

/// Returns a word without the punctuation around it, in lower case.
fn plain(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::rewritten;

    #[test]
    fn phrases_become_words_and_the_rest_stays() {
        for (query, expected) in [
            ("Who am I logged in as?", "get the current authenticated user authenticated as?"),
            ("please turn off the lights.  Then log in.", "please disable the lights. Then authenticate."),
            ("open a pull request", "open a pull request"),
            ("  spaces  stay  ", "  spaces  stay  "),
            ("sign_up for it", "sign_up for it"),
            ("", ""),
        ] {
            assert_eq!(rewritten(query), expected, "{query}");
        }
    }
}
