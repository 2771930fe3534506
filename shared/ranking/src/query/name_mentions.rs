//! Tool names inside a query, however they are written.
//!
//! A name and a query are compared by their letters and digits alone, so that `create_pull_request`,
//! `createPullRequest` and `create pull request` are one name.

use std::collections::HashMap;

use toolweaver_contracts::identifiers;

use crate::{
    parameters::LIKENESS_MIN,
    text::{terms::is_unspaced, trigrams},
};

/// Kind of mention of a tool's name in a query; the stronger, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mention {
    /// The name stands in the query as plain words, or is a single one.
    Words,
    /// The name stands in the query written as an identifier, such as `create_pull_request`.
    Identifier,
    /// The name is all of the query.
    Whole,
}

/// Match of a tool's name with a query.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NameMatch {
    /// The name stands in the query.
    pub mention: Option<Mention>,
    /// Likeness of the name and the whole query, 0 to 1; 0 where they are not alike.
    pub likeness: f32,
}

/// Returns a name with nothing but its letters and digits, in lower case; one without any stays as it is.
pub fn normalised(name: &str) -> String {
    let normal = identifiers::split(name).concat().to_lowercase();
    if normal.is_empty() { name.trim().to_owned() } else { normal }
}

/// Returns the known names that stand in a query, the longest first, and how they stand there.
pub fn mentions(
    query: &str,
    name_bytes_max: usize,
    is_known: impl Fn(&str) -> bool,
) -> Vec<(String, Mention)> {
    let mut found: HashMap<String, Mention> = HashMap::new();
    let mut note = |name: String, mention: Mention| {
        let best = found.entry(name).or_insert(mention);
        *best = mention.max(*best);
    };

    let whole = normalised(query);
    if is_known(&whole) {
        note(whole, Mention::Whole);
    }
    for written in query.split_whitespace() {
        let name = normalised(written.trim_matches(['"', '\'', '`', ',', ';', ':', '?', '!', '(', ')', '.']));
        if identifiers::split(written).len() > 1 && is_known(&name) {
            note(name, Mention::Identifier);
        }
    }
    let units = units(query);
    for start in 0..units.len() {
        let mut name = String::new();
        for unit in &units[start..] {
            name.push_str(unit);
            if name.len() > name_bytes_max {
                break;
            }
            if is_known(&name) {
                note(name.clone(), Mention::Words);
            }
        }
    }

    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|(a, a_mention), (b, b_mention)| {
        b_mention.cmp(a_mention).then(b.len().cmp(&a.len())).then_with(|| a.cmp(b))
    });
    found
}

/// Returns the likeness of two normalised names, 0 to 1, where it is enough to take the one for the other.
pub fn likeness(a: &str, b: &str) -> Option<f32> {
    Some(trigrams::likeness(a, b)).filter(|likeness| *likeness >= LIKENESS_MIN)
}

/// Returns the smallest pieces a name can begin or end at: words, and in scripts without spaces every
/// character.
fn units(query: &str) -> Vec<String> {
    let mut units = Vec::new();
    for word in identifiers::split(query) {
        if word.chars().any(is_unspaced) {
            units.extend(word.chars().map(|c| c.to_lowercase().collect::<String>()));
        } else {
            units.push(word.to_lowercase());
        }
    }
    units
}

#[cfg(test)]
mod tests {
    use super::{Mention, mentions, normalised};
    use proptest::prelude::*;

    #[test]
    fn finds_a_name_however_it_is_written() {
        let name = normalised("create_pull_request");
        for (query, mention) in [
            ("createPullRequest", Mention::Whole),
            ("Create Pull Request", Mention::Whole),
            ("call create_pull_request, please", Mention::Identifier),
            ("now create pull request for me", Mention::Words),
        ] {
            assert_eq!(
                mentions(query, name.len(), |known| known == name),
                [(name.clone(), mention)],
                "{query}"
            );
        }
        assert_eq!(mentions("create a pull request", name.len(), |known| known == name), []);
        assert_eq!(mentions("请生成图像吧", 64, |known| known == "生成图像").len(), 1);
        assert_eq!(mentions("+", 64, |known| known == "+"), [("+".to_owned(), Mention::Whole)]);
    }

    proptest! {
        #[test]
        fn a_name_is_found_in_any_sentence(
            name in "[a-z]{1,8}([_. -][A-Za-z0-9]{1,8}){0,4}",
            before in "([a-z]{1,9} ){0,6}",
            after in "( [a-z]{1,9}){0,6}",
        ) {
            let known = normalised(&name);
            let found = mentions(&format!("{before}{name}{after}"), known.len(), |other| other == known);
            prop_assert_eq!(found.len(), 1);
        }
    }
}
