//! What the keys look like. One place, because every process must agree.

use std::fmt::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::versions::Scope;

/// `version:{tenant}` and `version:{tenant}:domain`.
///
/// The braces are a Redis Cluster hash tag: all versions of a tenant are in one slot, so that one script or one
/// read may touch several of them.
pub(crate) fn version(scope: &Scope) -> String {
    match &scope.domain {
        None => format!("version:{{{}}}", scope.tenant),
        Some(domain) => format!("version:{{{}}}:{domain}", scope.tenant),
    }
}

/// Hexadecimal SHA-256 of a text.
pub(crate) fn text_hash(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Hexadecimal SHA-256 of a value's canonical JSON: fields sorted by name, no spaces. Two values that mean the same
/// have the same hash whatever the order in which their fields were written.
pub(crate) fn value_hash(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    value.sort_all_objects();
    Ok(hex(&Sha256::digest(value.to_string())))
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
}
