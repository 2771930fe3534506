//! Tools and explanations as text for people.

use toolweaver_contracts::{ArmScore, SearchResult, Tool};

/// Characters of an argument's description.
const DESCRIPTION_SHOWN: usize = 200;

/// Returns the beginning of a text, on one line.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= chars_max {
        return text;
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// Returns the arguments of a tool, one a line; the whole schema is in `--json`.
pub(crate) fn arguments(tool: &Tool) -> String {
    let field = |name| tool.parameters.get(name);
    let required: Vec<&str> = field("required")
        .and_then(|list| list.as_array())
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str())
        .collect();
    let properties = field("properties").and_then(|properties| properties.as_object());
    let lines = properties.into_iter().flatten().map(|(name, schema)| {
        let kind = schema.get("type").map(|kind| kind.to_string().replace('"', "")).unwrap_or_default();
        let mark = if required.contains(&name.as_str()) { "required" } else { "" };
        let description = schema.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let words = [name.as_str(), &kind, mark, &shortened(description, DESCRIPTION_SHOWN)];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("  ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the reasons for a result's rank; none where the search was not asked to explain.
pub(crate) fn explained(result: &SearchResult) -> Option<String> {
    let explanation = result.explain.as_ref()?;
    let arm = |name: &str, score: Option<ArmScore>| match score {
        Some(score) => format!("{name} #{} ({:.3})", score.rank, score.score),
        None => format!("{name} -"),
    };
    let mut reasons = vec![arm("BM25", explanation.lexical), arm("vectors", explanation.dense)];
    if explanation.exact_name {
        reasons.push("its name is in the query".to_owned());
    }
    Some(reasons.join(", "))
}
