//! The JSON Schema (2020-12) of every message, generated from the types.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use crate::{
    DomainsReply, DomainsRequest, ErrorBody, GetReply, GetRequest, IndexedEvent, Rejection, SearchReply,
    SearchRequest, StatusReply, StatusRequest, ToolEvent, VersionsAnnounced,
};

/// Returns the schema of every message, by the stem of its file in `schemas/`.
///
/// A field is required where each side needs it: in what others write (requests, tool events), what they must
/// send; in what we write, what they can rely on.
pub fn documents() -> Vec<(&'static str, Schema)> {
    vec![
        ("tool-event", written_by_others::<ToolEvent>()),
        ("indexed-event", written_by_us::<IndexedEvent>()),
        ("rejection", written_by_us::<Rejection>()),
        ("search-request", written_by_others::<SearchRequest>()),
        ("search-reply", written_by_us::<SearchReply>()),
        ("get-request", written_by_others::<GetRequest>()),
        ("get-reply", written_by_us::<GetReply>()),
        ("domains-request", written_by_others::<DomainsRequest>()),
        ("domains-reply", written_by_us::<DomainsReply>()),
        ("status-request", written_by_others::<StatusRequest>()),
        ("status-reply", written_by_us::<StatusReply>()),
        ("versions-announced", written_by_us::<VersionsAnnounced>()),
        ("error", written_by_us::<ErrorBody>()),
    ]
}

fn written_by_others<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>()
}

fn written_by_us<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}
