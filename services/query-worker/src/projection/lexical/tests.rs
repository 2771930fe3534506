//! The lexical arm on a small catalogue.

use proptest::prelude::*;
use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey};

use super::{LexicalReader, LexicalWriter, open};

fn tool(name: &str, description: &str) -> (ToolKey, Tool) {
    labelled(name, description, "general", &[], &[])
}

fn labelled(
    name: &str,
    description: &str,
    domain: &str,
    tags: &[String],
    roles: &[String],
) -> (ToolKey, Tool) {
    let json = serde_json::json!({
        "tool_name": name, "domain": domain, "description": description, "tags": tags, "allowed_roles": roles,
        "parameters": { "type": "object", "properties": { "owner": { "description": "account of the repository" } } }
    });
    let tool: Tool = serde_json::from_value(json).unwrap();
    let key =
        ToolKey { tenant: Tenant::default(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() };
    (key, tool)
}

fn index(tools: &[(ToolKey, Tool)]) -> (LexicalWriter, LexicalReader) {
    let (mut writer, reader) = open().unwrap();
    for (key, tool) in tools {
        writer.add(key, tool).unwrap();
    }
    writer.commit().unwrap();
    (writer, reader)
}

fn everyone() -> Predicate {
    Predicate::tenant(Tenant::default())
}

#[test]
fn finds_by_name_description_and_parameter_in_any_inflection() {
    let tools = [tool("createPullRequest", "Opens a merge proposal."), tool("list-issues", "All tickets")];
    let (_writer, reader) = index(&tools);
    for (query, expected) in [
        ("creating pull requests", Some(0)),
        ("proposals to merge", Some(0)),
        ("ticket", Some(1)),
        ("zebra", None),
        ("", None),
    ] {
        let best = reader.search(query, &everyone(), 10).unwrap().first().map(|hit| hit.point_id);
        assert_eq!(best, expected.map(|i: usize| tools[i].0.point_id()), "{query}");
    }
    assert_eq!(reader.search("account of the owner", &everyone(), 10).unwrap().len(), 2);
}

#[test]
fn a_change_is_seen_after_commit_and_not_before() {
    let (key, first) = tool("translate", "words into French");
    let (mut writer, reader) = index(&[(key.clone(), first)]);
    writer.delete(key.point_id());
    writer.add(&key, &tool("translate", "words into German").1).unwrap();
    assert_eq!(reader.search("french", &everyone(), 10).unwrap().len(), 1);
    writer.commit().unwrap();
    assert_eq!(reader.search("french", &everyone(), 10).unwrap().len(), 0);
    assert_eq!(reader.search("german", &everyone(), 10).unwrap().len(), 1);
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(of, 0..=of.len())
        .prop_map(|labels| labels.into_iter().map(str::to_owned).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The filter clauses mean what the predicate says.
    #[test]
    fn filters_as_the_predicate_admits(
        tools in prop::collection::vec((0_u8..20, "[ab]", some(&["x", "y", "z"]), some(&["r", "s"])), 1..20),
        domain in prop::option::of("[ab]"), tags in some(&["x", "y"]), roles in some(&["r", "t"]),
        exclude in prop::collection::btree_set((0_u8..20, "[ab]"), 0..5), tenant in prop::bool::weighted(0.9),
    ) {
        let mut tools: Vec<_> = tools.iter()
            .map(|(name, domain, tags, roles)| labelled(&format!("tool {name}"), "word", domain, tags, roles))
            .collect();
        tools.sort_by(|a, b| a.0.cmp(&b.0));
        tools.dedup_by(|a, b| a.0 == b.0);
        let predicate = Predicate {
            tenant: if tenant { Tenant::default() } else { "other".parse().unwrap() },
            domain: domain.map(|domain| domain.parse().unwrap()),
            tool_types: [].into(),
            tags: tags.into_iter().collect(),
            roles: roles.into_iter().collect(),
            exclude: exclude.iter().map(|(name, domain)| format!("{domain}.tool {name}").parse().unwrap()).collect(),
        };
        let (_writer, reader) = index(&tools);
        let mut found: Vec<_> = reader.search("word", &predicate, 100).unwrap().iter().map(|hit| hit.point_id).collect();
        let mut admitted: Vec<_> = tools.iter()
            .filter(|(key, tool)| predicate.admits(key, tool)).map(|(key, _)| key.point_id()).collect();
        found.sort_unstable();
        admitted.sort_unstable();
        prop_assert_eq!(found, admitted);
    }
}
