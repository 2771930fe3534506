//! What is asked: requests in the words of real tools.

use std::collections::HashSet;

use anyhow::ensure;
use rand::{Rng, seq::SliceRandom as _};
use toolweaver_contracts::{Tool, identifiers};

use crate::tools;

/// A request, and the tool whose words it uses.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) tool: Tool,
}

/// Distinct queries, the most popular first. They are made of the descriptions and the names in the catalogue, and,
/// where these are too few, of tools that are not in it: people ask for those, too.
pub(super) fn make(
    catalogue: &[Tool],
    others: &[Tool],
    distinct: usize,
    rng: &mut impl Rng,
) -> anyhow::Result<Vec<Query>> {
    let words = |tool: &Tool| Some(identifiers::split(tool.tool_name.as_str()).join(" "));
    let of = |tool: &Tool, text: Option<String>| Some(Query { text: text?, tool: tool.clone() });
    let described = |tool| of(tool, tools::query(tool));
    let named = |tool| of(tool, words(tool).filter(|text| !text.is_empty()));
    let all = catalogue
        .iter()
        .filter_map(described)
        .chain(catalogue.iter().filter_map(named))
        .chain(others.iter().filter_map(described));
    let mut seen = HashSet::new();
    let mut queries: Vec<Query> =
        all.filter(|query| seen.insert(query.text.clone())).take(distinct).collect();
    ensure!(queries.len() == distinct, "the tools give only {} distinct queries", queries.len());
    queries.shuffle(rng);
    Ok(queries)
}
