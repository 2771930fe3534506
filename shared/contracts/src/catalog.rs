//! Looking into the catalog without searching: one tool, the domains, the versions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Domain, Tenant, Tool, ToolId};

/// A request on `get.v1.<tenant>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GetRequest {
    /// The tool.
    pub tool_id: ToolId,
    /// Roles of the caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// The answer to a get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GetReply {
    /// The tool's id.
    pub tool_id: ToolId,
    /// All of it.
    pub tool: Tool,
    /// Sequence of its registration in TOOLS.
    pub revision: u64,
    /// Every change up to this version of INDEXED is in the answer.
    pub catalog_version: u64,
}

/// A request on `domains.v1.<tenant>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainsRequest {
    /// Roles of the caller; tools it may not see are not counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

/// The answer to a domains request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainsReply {
    /// Every domain with at least one visible tool, by name.
    pub domains: Vec<DomainCount>,
    /// Sum of the counts.
    pub tools: u64,
    /// Every change up to this version of INDEXED is in the answer.
    pub catalog_version: u64,
}

/// The number of tools in a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainCount {
    /// The domain.
    pub domain: Domain,
    /// Tools in it that the caller may see.
    pub tools: u64,
}

/// An announcement on `versions.v1.<tenant>`: everything up to these versions is searchable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionsAnnounced {
    /// The owner of the catalog.
    pub tenant: Tenant,
    /// Its version: the INDEXED sequence of its newest change.
    pub version: u64,
    /// The versions of the domains that changed.
    pub domains: BTreeMap<Domain, u64>,
}
