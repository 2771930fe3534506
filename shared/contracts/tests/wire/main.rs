//! The contract as others see it: schemas, examples and the channel map on disk, what is refused, what always
//! holds.

#![expect(clippy::unwrap_used, reason = "a test that panics has said what it found")]

mod asyncapi;
mod drift;
mod examples;
mod properties;
mod refused_events;
mod refused_requests;

use std::path::PathBuf;

/// The folder that is published.
fn schemas_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas"))
}

/// A validator for one message, from the types as they are now.
fn validator(message: &str) -> jsonschema::Validator {
    let (_, schema) = toolweaver_contracts::schema::documents()
        .into_iter()
        .find(|(name, _)| *name == message)
        .unwrap_or_else(|| panic!("there is no message {message}"));
    jsonschema::draft202012::new(schema.as_value()).expect("our schemas are valid")
}
