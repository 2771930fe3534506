//! Requests that ask for several things at once: where they fall apart.

/// Words that a part needs to be worth looking for by itself.
const PART_WORDS_MIN: usize = 3;
/// Parts of one request; what comes after them is looked for as part of the whole only.
const PARTS_MAX: usize = 12;

/// The sentences of a request, or none if it is a single one.
pub(crate) fn parts(query: &str) -> Vec<String> {
    let ends = |c: char| matches!(c, '!' | '?' | ';' | '\n' | '。' | '！' | '？' | '；');
    let mut parts = Vec::new();
    let mut start = 0;
    let mut chars = query.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        // A dot ends a sentence only before a space: others stand in names, versions and numbers.
        let is_end = ends(c) || (c == '.' && chars.peek().is_none_or(|(_, next)| next.is_whitespace()));
        if is_end {
            parts.push(&query[start..at]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&query[start..]);
    let parts: Vec<String> = parts
        .into_iter()
        .map(str::trim)
        .filter(|part| part.split_whitespace().count() >= PART_WORDS_MIN || is_long_without_spaces(part))
        .take(PARTS_MAX)
        .map(str::to_owned)
        .collect();
    if parts.len() > 1 { parts } else { Vec::new() }
}

/// A sentence of a script without spaces: as long as a few words.
fn is_long_without_spaces(part: &str) -> bool {
    part.chars().filter(|c| crate::projection::is_unspaced(*c)).count() >= 2 * PART_WORDS_MIN
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn sentences_fall_apart_and_names_do_not() {
        assert_eq!(
            parts("Book a flight to Rome. Then find me a hotel! Thanks."),
            ["Book a flight to Rome", "Then find me a hotel"]
        );
        assert_eq!(
            parts("東京の天気を教えて。明日の予定を追加して。"),
            ["東京の天気を教えて", "明日の予定を追加して"]
        );
        assert!(parts("call aws.s3.create-bucket with version 1.2 now").is_empty());
        assert!(parts("One sentence only.").is_empty());
        assert!(parts("").is_empty());
        assert_eq!(parts(&"do this one thing. ".repeat(40)).len(), 12);
    }
}
