//! Queries in the words of real tools.

use std::collections::HashSet;

use anyhow::ensure;
use rand::{Rng, seq::SliceRandom as _};
use toolweaver_contracts::{Tool, identifiers};

use crate::tools;

/// Query, and the tool whose words it uses.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) tool: Tool,
}

/// Makes distinct queries, the most popular first. They are made of the descriptions and the names in the
/// catalog, and, where these are too few, of tools that are not in it: people ask for those, too.
pub(super) fn make(
    catalog: &[Tool],
    others: &[Tool],
    distinct: usize,
    rng: &mut impl Rng,
) -> anyhow::Result<Vec<Query>> {
    let words = |tool: &Tool| Some(identifiers::split(tool.tool_name.as_str()).join(" "));
    let of = |tool: &Tool, text: Option<String>| Some(Query { text: text?, tool: tool.clone() });
    let described = |tool| of(tool, tools::query(tool));
    let named = |tool| of(tool, words(tool).filter(|text| !text.is_empty()));
    let all = catalog
        .iter()
        .filter_map(described)
        .chain(catalog.iter().filter_map(named))
        .chain(others.iter().filter_map(described));
    let mut seen = HashSet::new();
    let mut queries: Vec<Query> =
        all.filter(|query| seen.insert(query.text.clone())).take(distinct).collect();
    ensure!(queries.len() == distinct, "the tools give only {} distinct queries", queries.len());
    queries.shuffle(rng);
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};
    use serde_json::json;
    use toolweaver_contracts::Tool;

    use super::make;

    fn tool(name: &str, description: &str) -> Tool {
        serde_json::from_value(json!({ "tool_name": name, "description": description })).unwrap()
    }

    fn texts(distinct: usize, seed: u64) -> anyhow::Result<Vec<String>> {
        let catalog = [tool("listIssues", "List the issues."), tool("list_issues", "List the issues.")];
        let others = [tool("other", "Say something else.")];
        let queries = make(&catalog, &others, distinct, &mut StdRng::seed_from_u64(seed))?;
        Ok(queries.into_iter().map(|query| query.text).collect())
    }

    #[test]
    fn the_catalog_is_asked_about_first_and_nothing_twice() {
        let mut some = texts(3, 1).unwrap();
        some.sort_unstable();
        assert_eq!(some, ["List the issues.", "list Issues", "list issues"]);
        assert!(texts(4, 1).unwrap().contains(&"Say something else.".to_owned()));
        texts(5, 1).expect_err("there are four");
    }

    #[test]
    fn the_seed_decides_what_is_popular() {
        assert_eq!(texts(4, 1).unwrap(), texts(4, 1).unwrap());
        assert!((2..20).any(|seed| texts(4, seed).unwrap() != texts(4, 1).unwrap()));
    }
}
