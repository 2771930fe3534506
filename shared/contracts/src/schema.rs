//! The JSON Schema (2020-12) of every message, generated from the types.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use crate::{
    DomainsReply, DomainsRequest, ErrorBody, GetReply, GetRequest, IndexedEvent, Rejection, SearchReply,
    SearchRequest, StatusReply, StatusRequest, ToolEvent, VersionsAnnounced,
};

/// Every message, by the stem of its file in `schemas/`.
pub fn documents() -> Vec<(&'static str, Schema)> {
    vec![
        ("tool-event", of::<ToolEvent>()),
        ("indexed-event", of::<IndexedEvent>()),
        ("rejection", of::<Rejection>()),
        ("search-request", of::<SearchRequest>()),
        ("search-reply", of::<SearchReply>()),
        ("get-request", of::<GetRequest>()),
        ("get-reply", of::<GetReply>()),
        ("domains-request", of::<DomainsRequest>()),
        ("domains-reply", of::<DomainsReply>()),
        ("status-request", of::<StatusRequest>()),
        ("status-reply", of::<StatusReply>()),
        ("versions-announced", of::<VersionsAnnounced>()),
        ("error", of::<ErrorBody>()),
    ]
}

fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}
