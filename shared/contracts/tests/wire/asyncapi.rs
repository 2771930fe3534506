//! `schemas/asyncapi.yaml` is written by hand; here it is held to the code.

use std::{collections::BTreeSet, fs};

use serde_json::Value;
use serde_yaml_ng::Value as Yaml;
use toolweaver_contracts::{ErrorCode, schema, subjects};

use crate::{examples::examples, schemas_folder};

fn map() -> Value {
    let text = fs::read_to_string(schemas_folder().join("asyncapi.yaml")).unwrap();
    let mut map: Yaml = serde_yaml_ng::from_str(&text).unwrap();
    map.apply_merge().unwrap();
    serde_json::to_value(map).unwrap()
}

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let map = map();
    let mut found = BTreeSet::new();
    references(&map, &mut found);
    let mut files = BTreeSet::new();
    for reference in &found {
        if let Some(pointer) = reference.strip_prefix('#') {
            assert!(map.pointer(pointer).is_some(), "asyncapi.yaml: nothing is at {reference}");
        } else {
            let file =
                reference.strip_prefix("./").unwrap_or_else(|| panic!("{reference} is not in schemas/"));
            assert!(schemas_folder().join(file).is_file(), "asyncapi.yaml: there is no {reference}");
            files.insert(file.to_owned());
        }
    }
    let schemas = schema::documents().into_iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(files, schemas, "asyncapi.yaml refers to every schema, and to nothing else");
}

#[test]
fn the_addresses_are_those_of_the_code() {
    let map = map();
    let addresses: BTreeSet<String> = map["channels"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(|channel| channel["address"].as_str())
        .map(|address| {
            address.split('.').map(|t| if t.starts_with('{') { "*" } else { t }).collect::<Vec<_>>().join(".")
        })
        .collect();
    let expected = [
        subjects::TOOLS_SUBJECTS,
        subjects::INDEXED_SUBJECTS,
        subjects::REJECTED_SUBJECTS,
        subjects::SEARCH_SUBJECTS,
        subjects::GET_SUBJECTS,
        subjects::DOMAINS_SUBJECTS,
        subjects::STATUS_SUBJECT,
        "search.v1.*.*", // subjects::search_in_domain
        "versions.v1.*",
    ];
    assert_eq!(addresses, expected.map(str::to_owned).into());
}

#[test]
fn the_examples_are_golden_ones() {
    let goldens = examples();
    let map = map();
    for (name, message) in map["components"]["messages"].as_object().unwrap() {
        let file = message["payload"]["$ref"].as_str().unwrap();
        let stem = file.trim_start_matches("./").trim_end_matches(".json");
        for example in message["examples"].as_array().into_iter().flatten() {
            let golden = example["name"].as_str().unwrap();
            let golden = goldens.get(&(stem.to_owned(), golden.to_owned())).unwrap_or_else(|| {
                panic!("asyncapi.yaml: {name}: there is no schemas/examples/{stem}/{golden}.json")
            });
            assert_eq!(example["payload"], golden.body, "asyncapi.yaml: {name}");
        }
    }
}

#[test]
fn the_error_codes_are_those_of_the_code() {
    let map = map();
    let codes =
        &map["components"]["messages"]["error"]["headers"]["properties"]["Nats-Service-Error-Code"]["enum"];
    let numbers: Vec<u16> =
        codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().parse().unwrap()).collect();
    let known: Vec<u16> = (0..=u16::MAX).filter(|number| ErrorCode::try_from(*number).is_ok()).collect();
    assert_eq!(numbers, known);
}
