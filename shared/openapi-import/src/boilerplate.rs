//! Removal of boilerplate: sentences that a document repeats from operation to operation (licences, scopes,
//! media types).
//!
//! A sentence of many operations does not tell one from another. Left in, it makes their texts alike, and a
//! search for what one of them does finds the others.

use std::collections::{HashMap, HashSet};

use toolweaver_contracts::Tool;

/// Most operations that may share a sentence before it counts as boilerplate.
const OPERATIONS_MAX: usize = 4;

/// Removes the repeated sentences from the descriptions and returns how many different ones there were. The
/// first sentence of a description stays: it is the summary.
pub(crate) fn remove(tools: &mut [Tool]) -> usize {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for tool in tools.iter() {
        let distinct: HashSet<&str> = sentences(&tool.description).skip(1).collect();
        for sentence in distinct {
            *counts.entry(sentence.to_owned()).or_default() += 1;
        }
    }
    counts.retain(|_, count| *count > OPERATIONS_MAX);
    if !counts.is_empty() {
        for tool in tools {
            let first = sentences(&tool.description).take(1);
            let rest =
                sentences(&tool.description).skip(1).filter(|sentence| !counts.contains_key(*sentence));
            tool.description = first.chain(rest).collect::<Vec<_>>().join(" ");
        }
    }
    counts.len()
}

/// Splits a text on one line into sentences. An abbreviation ends one too, which does no harm: all are joined
/// again.
fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive([' '])
        .scan((0, 0), |(start, end), word| {
            *end += word.len();
            if word.trim_end().ends_with(['.', '!', '?', ':']) || *end == text.len() {
                let sentence = text[*start..*end].trim_end();
                *start = *end;
                return Some(Some(sentence));
            }
            Some(None)
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_operation_says_is_left_out_once_it_is_not_the_summary() {
        let tool = |i: usize| -> Tool {
            let description =
                format!("Get one. Thing number {i}, e.g. a small one. Needs the repo scope. Made by hand");
            serde_json::from_value(
                serde_json::json!({ "tool_name": format!("t{i}"), "description": description }),
            )
            .unwrap()
        };
        let mut few: Vec<Tool> = (0..OPERATIONS_MAX).map(tool).collect();
        assert_eq!(remove(&mut few), 0);
        assert_eq!(few[2].description, tool(2).description);
        let mut many: Vec<Tool> = (0..=OPERATIONS_MAX).map(tool).collect();
        assert_eq!(remove(&mut many), 3);
        assert_eq!(many[2].description, "Get one. Thing number 2, e.g.");
    }

    #[test]
    fn sentences_together_are_the_text() {
        for text in ["", "One.", "One. Two! Three", "a.b c? d", "画像を作る。終わり"] {
            assert_eq!(sentences(text).collect::<Vec<_>>().join(" "), text);
        }
    }
}
