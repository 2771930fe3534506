//! The state of the system, as one query worker sees it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A request on `status.v1`: nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusRequest {}

/// The answer to a status request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusReply {
    /// Id of the answering worker, as in `$SRV.INFO`.
    pub worker: String,
    /// Version of its program.
    pub version: String,
    /// Whether it has caught up and answers searches.
    pub ready: bool,
    /// Last INDEXED sequence it has applied.
    pub catalog_version: u64,
    /// Age of the oldest INDEXED change it has not applied, in milliseconds.
    pub lag_ms: u64,
    /// Changes in INDEXED that it has not applied.
    pub projection_pending: u64,
    /// Registrations in TOOLS that are not searchable yet; absent when nobody could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unindexed: Option<u64>,
    /// Searchable tools, over all tenants.
    pub tools: u64,
    /// Tenants with at least one tool.
    pub tenants: u64,
    /// Fingerprint of its embedding model.
    pub model: String,
    /// Name of its ranking configuration.
    pub ranker: String,
    /// The three streams; one that could not be read is missing.
    pub streams: Vec<StreamStatus>,
    /// The dependencies of the worker.
    pub parts: Vec<Part>,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// Its resident memory in bytes, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

/// One stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StreamStatus {
    /// Its name.
    pub name: String,
    /// Messages it holds.
    pub messages: u64,
    /// Bytes it holds.
    pub bytes: u64,
    /// Its last sequence.
    pub last_sequence: u64,
}

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// `nats`, `vectors`, `cache`, `model`.
    pub name: String,
    /// Its current state.
    pub health: Health,
    /// Which one it is, or what is wrong.
    pub detail: String,
}

/// The state of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It answers.
    Ok,
    /// It does not answer; replies say `degraded`.
    Down,
}
