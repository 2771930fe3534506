//! Names by their spelling: how alike two normalised names are, however they are mistyped.

use std::collections::BTreeSet;

/// Names of a query longer than this are no names any more, in bytes of the normalised text.
pub(crate) const NAME_LIKE_BYTES_MAX: usize = 96;
/// Likeness under which two names are different ones.
pub(crate) const LIKENESS_MIN: f32 = 0.6;
/// Shortest name, in characters, that may hold a mistake; a shorter one is soon another word.
const MISTAKE_CHARS_MIN: usize = 6;
/// One mistake is forgiven in every so many characters.
const CHARS_PER_MISTAKE: usize = 8;

/// The distinct runs of three characters of a normalised name, with its ends marked.
pub(crate) fn grams(name: &str) -> BTreeSet<String> {
    let chars: Vec<char> = ['^'].into_iter().chain(name.chars()).chain(['$']).collect();
    chars.windows(3).map(|three| three.iter().collect()).collect()
}

/// How alike two normalised names are, 0 to 1: the Jaccard index of their trigrams, or, where only a few characters
/// differ, the share of characters that agree.
pub(crate) fn likeness(a: &str, b: &str) -> f32 {
    let (a_grams, b_grams) = (grams(a), grams(b));
    let common = a_grams.intersection(&b_grams).count();
    let jaccard = common as f32 / (a_grams.len() + b_grams.len() - common).max(1) as f32;
    let chars = a.chars().count().max(b.chars().count());
    if chars < MISTAKE_CHARS_MIN {
        return if a == b { 1.0 } else { 0.0 };
    }
    let mistakes = strsim::osa_distance(a, b);
    let by_distance = if mistakes <= chars.div_ceil(CHARS_PER_MISTAKE) {
        1.0 - mistakes as f32 / chars as f32
    } else {
        0.0
    };
    jaccard.max(by_distance)
}

#[cfg(test)]
mod tests {
    use super::{LIKENESS_MIN, likeness};

    #[test]
    fn a_slip_leaves_a_name_alike_and_another_word_does_not() {
        for (a, b, alike) in [
            ("createpullrequest", "createpullrequest", true),
            ("createpullrequest", "craetepullrequest", true),
            ("createpullrequest", "createpullrequests", true),
            ("sendmail", "sendmial", true),
            ("sendmail", "deletefile", false),
            ("get", "set", false),
            ("createpullrequest", "deletepullrequest", false),
            ("", "", true),
        ] {
            assert_eq!(likeness(a, b) >= LIKENESS_MIN, alike, "{a} {b}: {}", likeness(a, b));
        }
    }
}
