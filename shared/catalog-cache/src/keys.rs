//! Formats of the keys, in one place because every process must agree.
//!
//! Sequences of INDEXED begin at 1 again when that stream is made anew, so whatever hangs on the catalog has
//! the stream's incarnation in its key: what was kept under an earlier stream is then never found.

use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};
use toolweaver_contracts::{Tenant, ToolKey};

use crate::popularity::PopularityKind;

/// Returns `version:{tenant}:incarnation`. The braces are a Redis Cluster hash tag: what belongs to a tenant
/// is in one slot.
pub(crate) fn version(incarnation: &str, tenant: &Tenant) -> String {
    format!("version:{{{tenant}}}:{incarnation}")
}

/// Returns `search:{query_hash}:{top_k}`.
pub(crate) fn search(incarnation: &str, query_hash: &str, top_k: usize) -> String {
    format!("search:{}:{top_k}", hash_within(incarnation, query_hash))
}

/// Returns `catalog:v2:{catalog_hash}`.
pub(crate) fn catalog(incarnation: &str, catalog_hash: &str) -> String {
    format!("catalog:v2:{}", hash_within(incarnation, catalog_hash))
}

/// Returns `tool:{tool_hash}`. The version is in the value: the entry of a changed tool is dropped whichever
/// it had.
pub(crate) fn tool(incarnation: &str, tool: &ToolKey) -> String {
    format!("tool:{}", hash_within(incarnation, &tool.to_string()))
}

/// Returns `embedding:{text_hash}:{model_name}`. A vector depends on no catalog.
pub(crate) fn embedding(model: &str, text: &str) -> String {
    format!("embedding:{}:{model}", text_hash(text))
}

/// Returns `popular:{tenant}:kind`, with a hash tag. Popularity outlives the stream: requests stay asked.
pub(crate) fn popularity(kind: PopularityKind, tenant: &Tenant) -> String {
    format!("popular:{{{tenant}}}:{}", kind.name())
}

/// Returns the hexadecimal SHA-256 of a text.
pub(crate) fn text_hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Returns the hexadecimal SHA-256 of a value's canonical JSON: fields sorted by name, no spaces. Two values
/// that mean the same have the same hash whatever the order in which their fields were written.
pub(crate) fn value_hash(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    Ok(text_hash(&value.to_string()))
}

/// Returns a hash of a text that is the same only within the same incarnation.
fn hash_within(incarnation: &str, text: &str) -> String {
    text_hash(&format!("{incarnation}/{text}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_order_of_fields_does_not_matter_but_that_of_lists_does() {
        let hash = |value: Value| value_hash(&value).unwrap();
        let one = hash(json!({ "query": "rain", "filter": { "tags": ["a", "b"], "domain": "weather" } }));
        let two = hash(json!({ "filter": { "domain": "weather", "tags": ["a", "b"] }, "query": "rain" }));
        let three = hash(json!({ "filter": { "domain": "weather", "tags": ["b", "a"] }, "query": "rain" }));
        assert_eq!(one, two);
        assert_ne!(one, three);
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn what_hangs_on_the_catalog_has_another_key_in_another_incarnation() {
        let tenant: Tenant = "acme".parse().unwrap();
        let key = ToolKey {
            tenant: tenant.clone(),
            domain: "chat".parse().unwrap(),
            tool_name: "send".parse().unwrap(),
        };
        let keys = |incarnation| {
            [
                version(incarnation, &tenant),
                search(incarnation, "hash", 10),
                catalog(incarnation, "hash"),
                tool(incarnation, &key),
            ]
        };
        for (one, two) in keys("1").iter().zip(&keys("2")) {
            assert_ne!(one, two);
        }
        assert_eq!(keys("1")[0], "version:{acme}:1");
    }
}
