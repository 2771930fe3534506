//! The payload of a point: all that it carries beside its vector.
//!
//! A tool's point carries the tool's own fields plus tenant, revision and model. `parameters` is JSON text: a
//! gRPC message may nest 100 deep, which a schema of the allowed depth 32 exceeds, and text keeps every
//! number exact. A tombstone carries its revision, and its key one level down, where no filter on tenant can
//! see it.

use std::collections::HashMap;

use ::qdrant_client::qdrant::{PointId, Value, point_id::PointIdOptions};
use serde_json::{Value as Json, json};
use toolweaver_contracts::ToolKey;
use uuid::Uuid;

use crate::{Point, Qdrant, StoreError, Tombstone};

/// Names of the payload fields that filters use.
pub(super) mod field {
    pub(crate) const TENANT: &str = "tenant";
    pub(crate) const DOMAIN: &str = "domain";
    pub(crate) const TOOL_TYPE: &str = "tool_type";
    pub(crate) const TAGS: &str = "tags";
    pub(crate) const ALLOWED_ROLES: &str = "allowed_roles";
    pub(crate) const REVISION: &str = "revision";
}

const PARAMETERS: &str = "parameters";

/// A payload as the client wants it.
pub(super) type Payload = HashMap<String, Value>;

pub(super) fn of_point(point: &Point, model: &str) -> Payload {
    let Ok(Json::Object(mut fields)) = serde_json::to_value(&*point.tool) else {
        unreachable!("a tool is a JSON object with string keys")
    };
    fields.insert(PARAMETERS.to_owned(), Json::Object(point.tool.parameters.clone()).to_string().into());
    fields.insert(field::TENANT.to_owned(), point.key.tenant.as_str().into());
    fields.insert(field::DOMAIN.to_owned(), point.key.domain.as_str().into());
    fields.insert(field::REVISION.to_owned(), point.revision.into());
    fields.insert("model".to_owned(), model.into());
    fields.into_iter().map(|(name, value)| (name, value.into())).collect()
}

pub(super) fn of_tombstone(tombstone: &Tombstone) -> Payload {
    let ToolKey { tenant, domain, tool_name } = &tombstone.key;
    let key = json!({ "tenant": tenant, "domain": domain, "tool_name": tool_name });
    Payload::from([
        ("tombstone".to_owned(), key.into()),
        (field::REVISION.to_owned(), Json::from(tombstone.revision).into()),
    ])
}

impl Qdrant {
    /// Parses a point id. All ids of ours are UUIDs; another one was not written by us.
    pub(super) fn point_id(&self, id: Option<PointId>) -> Result<Uuid, StoreError> {
        match id.and_then(|id| id.point_id_options) {
            Some(PointIdOptions::Uuid(text)) => text
                .parse()
                .map_err(|_| StoreError::malformed(self.collection(), None, "its id cannot be parsed")),
            _ => Err(StoreError::malformed(self.collection(), None, "its id is not a UUID")),
        }
    }
}
