//! Character trigrams of names: the likeness of two normalised names, however they are mistyped.

use std::collections::BTreeSet;

use crate::parameters::{CHARS_PER_MISTAKE, MISTAKE_CHARS_MIN};

/// Returns the distinct trigrams of a normalised name, with its ends marked.
pub(crate) fn trigrams(name: &str) -> BTreeSet<String> {
    let chars: Vec<char> = ['^'].into_iter().chain(name.chars()).chain(['$']).collect();
    chars.windows(3).map(|three| three.iter().collect()).collect()
}

/// Returns the likeness of two normalised names, 0 to 1: the Jaccard index of their trigrams, or, where only
/// a few characters differ, the share of characters that agree.
pub(crate) fn likeness(a: &str, b: &str) -> f32 {
    let (of_a, of_b) = (trigrams(a), trigrams(b));
    let common = of_a.intersection(&of_b).count();
    let jaccard = common as f32 / (of_a.len() + of_b.len() - common).max(1) as f32;
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
    use super::likeness;
    use crate::parameters::LIKENESS_MIN;

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
