//! The server's validation of request bodies: what it refuses before it looks at any collection, in its own
//! words.

use ::qdrant_client::qdrant as api;
use tonic::Status;

/// Characters that a new collection may not have in its name: they are not safe in file names.
const NOT_IN_NEW_NAMES: [char; 11] = ['<', '>', ':', '"', '/', '\\', '|', '?', '*', '\0', '\u{1F}'];
/// The same for calls on a collection that exists; older servers allowed more.
const NOT_IN_NAMES: [char; 2] = ['/', '\0'];
const NAME_BYTES_MAX: usize = 255;
const DIMENSIONS_MAX: u64 = 65_536;

/// Refuses a name that no collection can have.
pub(super) fn collection_name(name: &str) -> Result<(), Status> {
    name_without(name, &NOT_IN_NAMES)
}

/// Refuses a definition that the server refuses, and one that asks for what the double does not have.
pub(super) fn new_collection(request: &api::CreateCollection) -> Result<(), Status> {
    name_without(&request.collection_name, &NOT_IN_NEW_NAMES)?;
    at_least_one("shard_number", request.shard_number.map(u64::from))?;
    at_least_one("replication_factor", request.replication_factor.map(u64::from))?;
    let known = api::CreateCollection {
        collection_name: request.collection_name.clone(),
        vectors_config: request.vectors_config.clone(),
        shard_number: request.shard_number,
        replication_factor: request.replication_factor,
        timeout: request.timeout,
        ..api::CreateCollection::default()
    };
    if *request != known {
        return Err(Status::unimplemented("the double makes plain collections of dense vectors only"));
    }
    Ok(())
}

/// Refuses a number of dimensions that no vector can have.
pub(super) fn dimensions(size: u64) -> Result<(), Status> {
    if (1..=DIMENSIONS_MAX).contains(&size) {
        return Ok(());
    }
    Err(invalid("size", &format!("value {size} invalid, must be from 1 to {DIMENSIONS_MAX}")))
}

/// Refuses 0 where the server wants at least 1; what is left out has a default.
pub(super) fn at_least_one(field: &str, value: Option<u64>) -> Result<(), Status> {
    match value {
        Some(0) => Err(invalid(field, "value 0 invalid, must be 1 or larger")),
        _ => Ok(()),
    }
}

fn name_without(name: &str, forbidden: &[char]) -> Result<(), Status> {
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
        let fault = format!("value {name:?} invalid, must be from 1 to {NAME_BYTES_MAX} characters");
        return Err(invalid("collection_name", &fault));
    }
    match forbidden.iter().find(|c| name.contains(**c)) {
        Some(c) => Err(invalid("collection_name", &format!("collection name cannot contain \"{c}\" char"))),
        None => Ok(()),
    }
}

fn invalid(field: &str, fault: &str) -> Status {
    Status::invalid_argument(format!("Validation error in body: [{field}: {fault}]"))
}
