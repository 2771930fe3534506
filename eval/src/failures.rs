//! Failure analysis for a human reader: the queries that lost, the worst first, each with the tools wanted
//! and found.

use std::{collections::HashMap, fmt::Write as _};

use crate::{
    console::shortened,
    names::Miss,
    quality::{ExplainedQuery, FoundTool, Quality},
    set::{Query, Set},
};

/// Longest description shown, in characters.
const DESCRIPTION_SHOWN: usize = 160;
/// Lowest nDCG of a perfect ranking: 1, but for the last bits.
const PERFECT: f64 = 1.0 - 1e-9;

/// Returns the text about every query of one set whose ranking is not perfect.
pub(crate) fn text(set: &Set, quality: &Quality, misses: &[Miss]) -> String {
    let mut lost: Vec<usize> =
        (0..set.queries.len()).filter(|&index| quality.runs[index].fused.ndcg_10 < PERFECT).collect();
    let ndcg = |index: usize| quality.runs[index].fused.ndcg_10;
    lost.sort_by(|&a, &b| ndcg(a).total_cmp(&ndcg(b)));
    let mut text =
        format!("# {}: {} of {} queries are not perfect\n", set.name, lost.len(), set.queries.len());
    let descriptions: HashMap<(&str, &str), &str> = set
        .tools
        .iter()
        .map(|tool| ((tool.domain.as_str(), tool.tool_name.as_str()), tool.description.as_str()))
        .collect();
    let described = |shown: &FoundTool| {
        let key = (shown.tool.domain.as_str(), shown.tool.tool_name.as_str());
        let description = descriptions.get(&key).copied().unwrap_or_default();
        format!(
            "{}  {:.3}  {}\n         {}",
            shown.tool,
            shown.score,
            shown.why,
            shortened(description, DESCRIPTION_SHOWN)
        )
    };
    for index in lost {
        let (query, run) = (&set.queries[index], &quality.runs[index]);
        let kind = run.kind.as_deref().map(|kind| format!(" ({kind})")).unwrap_or_default();
        append(&mut text, &format!("\n## {}{kind}  nDCG@10 {:.3}\n{}\n", query.id, ndcg(index), query.text));
        wanted(&mut text, query, &quality.explained[index], &described);
        append(&mut text, "found\n");
        for (place, shown) in (1..).zip(&quality.explained[index].first) {
            let place: u32 = place;
            append(&mut text, &format!("  {place:>4}  {}\n", described(shown)));
        }
    }
    if !misses.is_empty() {
        append(&mut text, &format!("\n# {}: {} names did not lead to their tool\n", set.name, misses.len()));
    }
    for Miss { form, query, wanted, place, first } in misses {
        let place = place.map_or_else(|| "not in the first five".to_owned(), |place| format!("at {place}"));
        let first = first.as_ref().map(|first| format!(", first is {first}")).unwrap_or_default();
        append(&mut text, &format!("  {}: {query:?}, {wanted} is {place}{first}\n", form.name()));
    }
    text
}

fn wanted(
    text: &mut String,
    query: &Query,
    explained: &ExplainedQuery,
    described: &impl Fn(&FoundTool) -> String,
) {
    append(text, "wanted\n");
    for (name, relevance) in &query.relevant {
        let grade = if *relevance == 1 { String::new() } else { format!(" (relevance {relevance})") };
        match explained.wanted.iter().find(|(_, shown)| shown.tool.tool_name.as_str() == name) {
            Some((place, shown)) => append(text, &format!("  {place:>4}  {}{grade}\n", described(shown))),
            None => append(text, &format!("     -  {name}{grade}, not in the first hundred\n")),
        }
    }
}

fn append(text: &mut String, more: &str) {
    text.write_str(more).expect("a string takes every text");
}
