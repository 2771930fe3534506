//! The lexical arm on a small catalogue.

use proptest::prelude::*;
use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey};

use uuid::Uuid;

use super::{LexicalReader, LexicalWriter, open};
use crate::Query;

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

/// Returns the tools that a query of one sentence finds, best first.
fn found(reader: &LexicalReader, query: &str, predicate: &Predicate) -> Vec<Uuid> {
    reader.search(&one_sentence(query), predicate, 100).unwrap().hits.iter().map(|hit| hit.point_id).collect()
}

fn one_sentence(query: &str) -> Query {
    Query::understood(query.to_owned(), Vec::new())
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
        let best = found(&reader, query, &everyone()).first().copied();
        assert_eq!(best, expected.map(|i: usize| tools[i].0.point_id()), "{query}");
    }
    assert_eq!(found(&reader, "account of the owner", &everyone()).len(), 2);
}

#[test]
fn a_change_is_seen_after_commit_and_not_before() {
    let (key, first) = tool("translate", "words into French");
    let (mut writer, reader) = index(&[(key.clone(), first)]);
    writer.delete(key.point_id());
    writer.add(&key, &tool("translate", "words into German").1).unwrap();
    assert_eq!(found(&reader, "french", &everyone()).len(), 1);
    writer.commit().unwrap();
    assert_eq!(found(&reader, "french", &everyone()).len(), 0);
    assert_eq!(found(&reader, "german", &everyone()).len(), 1);
}

#[test]
fn the_score_is_bm25f_as_it_is_written_down() {
    // One word, once in the name of the first tool and once in the description of the second.
    let tools = [tool("alpha", "one two"), tool("beta", "alpha two"), tool("gamma", "one two")];
    let (_writer, reader) = index(&tools);
    let answer = reader.search(&one_sentence("alpha"), &everyone(), 10).unwrap();
    // tf = w / (1 - b + b * len / mean_len): every name is one term long, every first sentence two.
    let idf = (1.0_f32 + (3.0 - 2.0 + 0.5) / (2.0 + 0.5)).ln();
    let score = |weight: f32| idf * weight / (1.2 + weight);
    let scores: Vec<f32> = answer.hits.iter().map(|hit| hit.score).collect();
    assert_eq!(answer.hits[0].point_id, tools[0].0.point_id());
    for (found, expected) in scores.iter().zip([score(3.0), score(1.5)]) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
    // Standard deviation over all three, the third of which scores nothing.
    let mean = scores.iter().sum::<f32>() / 3.0;
    let variance = scores.iter().map(|s| s * s).sum::<f32>() / 3.0 - mean * mean;
    assert!((answer.std_dev - variance.sqrt()).abs() < 1e-5);
    assert_eq!((answer.candidates, answer.known), (3, 1.0));
}

#[test]
fn a_compound_request_scores_by_its_best_sentence_too() {
    let tools =
        [tool("book_flight", "Books flights."), tool("find_hotel", "Finds hotels."), tool("other", "Other.")];
    let (_writer, reader) = index(&tools);
    let sentences = ["book me a flight".to_owned(), "find a hotel".to_owned()];
    let score = |sentences: &[String]| {
        let query = Query::understood("book me a flight. find a hotel".to_owned(), sentences.to_vec());
        let answer = reader.search(&query, &everyone(), 10).unwrap();
        let hit = answer.hits.iter().find(|hit| hit.point_id == tools[0].0.point_id()).cloned();
        hit.unwrap().score
    };
    // All of its words stand in one sentence, so nothing is lost by the rest of the request.
    assert!((score(&sentences) - score(&[])).abs() < 1e-5);
}

#[test]
fn mistyped_words_and_names_are_found() {
    let tools = [tool("createPullRequest", "Opens a merge proposal."), tool("list-issues", "All tickets")];
    let (_writer, reader) = index(&tools);
    for (query, expected) in [("merge propsal", 0), ("tikets", 1), ("proposalls", 0), ("creatPullRequest", 0)]
    {
        assert_eq!(
            found(&reader, query, &everyone()).first(),
            Some(&tools[expected].0.point_id()),
            "{query}"
        );
    }
    let answer = reader.search(&one_sentence("craetePullRequest"), &everyone(), 10).unwrap();
    assert_eq!(answer.near_names, [tools[0].0.point_id()]);
}

#[test]
fn scripts_without_spaces_and_other_languages_are_found() {
    let tools = [
        tool("weather", "指定した都市の天気予報を取得する"),
        tool("translate", "把文本翻译成另一种语言"),
        tool("tickets", "Создаёт новую заявку в службе поддержки"),
        tool("other", "Does something else."),
    ];
    let (_writer, reader) = index(&tools);
    for (query, expected) in
        [("東京の天気を教えて", 0), ("请翻译这段文本", 1), ("открой заявки для поддержки", 2)]
    {
        assert_eq!(
            found(&reader, query, &everyone()).first(),
            Some(&tools[expected].0.point_id()),
            "{query}"
        );
    }
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(of, 0..=of.len())
        .prop_map(|labels| labels.into_iter().map(str::to_owned).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
        let answer = reader.search(&one_sentence("word"), &predicate, 100).unwrap();
        let mut found: Vec<_> = answer.hits.iter().map(|hit| hit.point_id).collect();
        let mut admitted: Vec<_> = tools.iter()
            .filter(|(key, tool)| predicate.admits(key, tool)).map(|(key, _)| key.point_id()).collect();
        found.sort_unstable();
        admitted.sort_unstable();
        prop_assert_eq!(answer.candidates, admitted.len() as u64);
        // What is hidden is not counted either.
        prop_assert_eq!(answer.terms[0].documents, admitted.len() as u64);
        prop_assert_eq!(found, admitted);
    }
}
