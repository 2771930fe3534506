//! The event of INDEXED: a tool became searchable, or is no more. The whole read side is built from it.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::Tool;

/// The vector of a tool's text; the only one a default model makes.
pub const TEXT_VECTOR: &str = "text";

/// An event on `indexed.v1.<tenant>.<domain>.<tool>`; its stream sequence is a catalog version.
///
/// It is published only after the vector store confirmed the write, and carries all that a reader needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum IndexedEvent {
    /// The tool can be found.
    Indexed {
        /// Sequence of the registration in TOOLS; higher wins.
        revision: u64,
        /// Fingerprint of the model that made the vectors.
        model: String,
        /// The tool.
        tool: Arc<Tool>,
        /// Unit vectors by name; that of the tool's whole text is `text`.
        vectors: BTreeMap<String, Vector>,
    },
    /// The tool can no longer be found. Expires once no reader can still miss it.
    Removed {
        /// Sequence of the removal in TOOLS.
        revision: u64,
    },
}

impl IndexedEvent {
    /// Reads an event without looking for the place of a fault: several times faster than
    /// [`decode`](crate::decode), for a reader that starts with all of INDEXED. Only our own workers write
    /// there.
    pub fn from_json(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// Returns the sequence in TOOLS of the event that this one reports.
    pub const fn revision(&self) -> u64 {
        match self {
            Self::Indexed { revision, .. } | Self::Removed { revision } => *revision,
        }
    }
}

/// A vector on the wire: base64 (RFC 4648, padded) of its little-endian 32-bit floats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Vector(pub Vec<f32>);

impl From<Vector> for String {
    fn from(vector: Vector) -> Self {
        let bytes: Vec<u8> = vector.0.iter().flat_map(|x| x.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }
}

impl TryFrom<String> for Vector {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = STANDARD.decode(text).map_err(|error| format!("a vector is not base64: {error}"))?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(format!("a vector of {} bytes is not a whole number of 32-bit floats", bytes.len()));
        }
        let vector: Vec<f32> = floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if vector.iter().any(|x| !x.is_finite()) {
            return Err("a vector holds a number that is not finite".to_owned());
        }
        Ok(Self(vector))
    }
}

impl JsonSchema for Vector {
    fn schema_name() -> Cow<'static, str> {
        "Vector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "contentEncoding": "base64",
            "description": "Little-endian 32-bit floats, unit length, base64."
        })
    }
}
