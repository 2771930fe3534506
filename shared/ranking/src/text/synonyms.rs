//! Synonyms: words that authors of tools and those who ask for them use for one another.
//!
//! Verbs above all: interfaces settle on one word for an action, requests use any. A group is no class of
//! equals: each word stands for the others of its own groups only, and counts far less than a word that was
//! said.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use super::stems::stem;
use crate::parameters::SYNONYM_GROUPS;

static SYNONYMS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
    let mut synonyms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for group in SYNONYM_GROUPS.lines() {
        let stems: Vec<String> = group.split(' ').map(stem).collect();
        for word in &stems {
            let others = stems.iter().filter(|other| *other != word).cloned();
            synonyms.entry(word.clone()).or_default().extend(others);
        }
    }
    synonyms.into_iter().map(|(word, others)| (word, others.into_iter().collect())).collect()
});

/// Returns the stems that may stand for this one.
pub(crate) fn synonyms(stem: &str) -> &'static [String] {
    SYNONYMS.get(stem).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::synonyms;

    #[test]
    fn a_word_stands_for_those_of_its_own_groups_only() {
        let of = |stem: &str| synonyms(stem).iter().map(String::as_str).collect::<Vec<_>>();
        assert!(of("open").contains(&"creat") && of("creat").contains(&"open"));
        assert!(of("delet").contains(&"remov") && !of("delet").contains(&"detach"));
        assert!(of("zebra").is_empty());
    }
}
