//! Invariant 9 on generated catalogs and on every name of a large real one: an exact name is never lost.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    sync::Arc,
};

use flate2::read::GzDecoder;
use proptest::prelude::*;
use toolweaver_contracts::{Predicate, Tenant, Tool, ToolKey, identifiers};
use toolweaver_ranking::query::name_mentions::Mention;
use toolweaver_testkit::data::shared_dir;

use crate::projection::{Catalog, Entry};

fn catalog(tools: impl IntoIterator<Item = Tool>) -> Catalog {
    let mut catalog = Catalog::default();
    for (revision, tool) in (1..).zip(tools) {
        let key = key(&tool);
        catalog.insert(Entry::new(key, revision, Arc::new(tool)));
    }
    catalog
}

fn key(tool: &Tool) -> ToolKey {
    ToolKey { tenant: Tenant::default(), domain: tool.domain.clone(), tool_name: tool.tool_name.clone() }
}

/// Returns a name as it is, in separate words, and as nothing but letters and digits.
fn written(name: &str) -> [String; 3] {
    let words = identifiers::split(name);
    [name.to_owned(), words.join(" "), words.concat()]
}

/// Returns the kind of mention of a tool in a query, if there is one.
fn mention(catalog: &Catalog, query: &str, tool: &Tool) -> Option<Mention> {
    let named = catalog.named_in(query, &[], &Predicate::tenant(Tenant::default()));
    let point_id = key(tool).point_id();
    named.into_iter().find(|(id, _)| *id == point_id).and_then(|(_, name)| name.mention)
}

#[test]
fn every_name_of_the_real_catalog_is_found_however_it_is_written() {
    let Some(folder) = shared_dir() else {
        return;
    };
    let file = File::open(folder.join("catalog/tools.jsonl.gz")).unwrap();
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let tools: Vec<Tool> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let catalog = catalog(tools.iter().cloned());
    for tool in &tools {
        for query in written(tool.tool_name.as_str()).into_iter().filter(|query| !query.is_empty()) {
            assert_eq!(mention(&catalog, &query, tool), Some(Mention::Whole), "{query}");
        }
    }
    println!("{} names, each in three spellings", tools.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_name_of_any_catalog_is_found_alone_and_in_a_sentence(
        names in prop::collection::btree_set("[A-Za-z0-9+#あ漢Ж][A-Za-z0-9_./ +あ漢Ж-]{0,30}", 1..20),
    ) {
        let tools: Vec<Tool> = names
            .iter()
            .filter(|name| name.trim() == name.as_str())
            .filter_map(|name| serde_json::from_value(serde_json::json!({ "tool_name": name })).ok())
            .collect();
        let catalog = catalog(tools.iter().cloned());
        for tool in &tools {
            let name = tool.tool_name.as_str();
            prop_assert_eq!(mention(&catalog, name, tool), Some(Mention::Whole), "{}", name);
            if !identifiers::split(name).is_empty() {
                let sentence = format!("please call {name} for me");
                prop_assert!(mention(&catalog, &sentence, tool).is_some(), "{}", sentence);
            }
        }
    }
}
