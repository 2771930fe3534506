//! `schemas/*.json` say what the types say, no more and no less.

use std::{collections::BTreeMap, fs};

use serde_json::Value;
use toolweaver_contracts::schema;

use crate::schemas_folder;

const WRITE_AGAIN: &str = "write the schemas again: cargo xtask schemas";

#[test]
fn the_files_are_what_the_types_say() {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(schemas_folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    for (name, schema) in schema::documents() {
        let file =
            files.remove(name).unwrap_or_else(|| panic!("schemas/{name}.json is missing; {WRITE_AGAIN}"));
        let written: Value = serde_json::from_str(&file)
            .unwrap_or_else(|error| panic!("schemas/{name}.json: {error}; {WRITE_AGAIN}"));
        assert_eq!(
            written,
            schema.to_value(),
            "schemas/{name}.json is not what the types say. If the change is meant, {WRITE_AGAIN}"
        );
    }
    let strangers: Vec<&String> = files.keys().collect();
    assert!(strangers.is_empty(), "schemas/ has files that no message owns: {strangers:?}; delete them");
}

#[test]
fn every_schema_is_valid_and_reads_well() {
    for (name, schema) in schema::documents() {
        let schema = schema.to_value();
        assert!(jsonschema::meta::is_valid(&schema), "schemas/{name}.json is not a valid JSON Schema");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert!(schema["title"].is_string() && schema["description"].is_string(), "{name} says what it is");
        check_text(name, &schema);
    }
}

/// Every property is described, and no description has the link syntax of Rust documentation in it.
fn check_text(name: &str, schema: &Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(description)) = fields.get("description") {
                assert!(!description.contains("[`"), "{name}: {description:?} reads as Rust");
            }
            if let Some(Value::Object(properties)) = fields.get("properties") {
                for (property, schema) in properties {
                    let is_described = schema.get("description").is_some() || schema.get("const").is_some();
                    assert!(is_described, "{name}: {property} is not described");
                }
            }
            fields.values().for_each(|value| check_text(name, value));
        }
        Value::Array(items) => items.iter().for_each(|item| check_text(name, item)),
        _ => {}
    }
}

#[test]
fn what_is_required_depends_on_who_writes() {
    let schemas: BTreeMap<_, _> =
        schema::documents().into_iter().map(|(name, s)| (name, s.to_value())).collect();
    let required = |name: &str, pointer: &str| schemas[name].pointer(pointer).cloned().unwrap();
    assert_eq!(required("tool-event", "/$defs/Tool/required"), serde_json::json!(["tool_name"]));
    assert_eq!(required("search-request", "/required"), serde_json::json!(["query"]));
    assert_eq!(
        required("get-reply", "/$defs/Tool/required"),
        serde_json::json!(["tool_name", "tool_type", "domain", "description", "parameters"])
    );
    assert_eq!(schemas["status-request"].get("required"), None);
    assert_eq!(schemas["tool-event"].pointer("/$defs/Tool/properties/domain/default"), None);
}
