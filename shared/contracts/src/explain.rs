//! The explanation of an answer: the fields of a search reply that only a request with `explain` gets.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Domain, RoutedBy, Tenant, ToolId, ToolType};

/// The explanation of one result's rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Rank and score in the lexical arm, where it found the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lexical: Option<ArmScore>,
    /// Rank and score in the dense arm, where it found the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dense: Option<ArmScore>,
    /// Whether the tool's name is in the query.
    pub exact_name: bool,
    /// The share of each component in the score; they sum up to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contributions: Option<Contributions>,
    /// Terms of the query that the tool holds, with their fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<MatchedTerm>,
}

/// Rank and score of a result in one arm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmScore {
    /// Rank among the arm's hits, from 1.
    pub rank: u32,
    /// Score as the arm computed it, before normalisation.
    pub score: f32,
}

/// The summands of a score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Contributions {
    /// Of the lexical arm (BM25).
    pub lexical: f32,
    /// Of the dense arm (cosine of vectors).
    pub dense: f32,
    /// For serving a sentence of a compound request that few others serve.
    #[serde(default)]
    pub parts: f32,
    /// Of the second-stage re-scoring by mutual coverage of request and tool; for the best of both arms only.
    #[serde(default)]
    pub coverage: f32,
    /// For its name, where the query is one, or nearly.
    pub name: f32,
}

/// A term of the query that a tool holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchedTerm {
    /// The term as it is indexed: lower case, stemmed.
    pub term: String,
    /// Fields that hold it.
    pub fields: Vec<String>,
}

/// The explanation of a whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchExplanation {
    /// The predicate that chose the tools.
    pub filters: AppliedFilters,
    /// The domains that were weighed, the most likely first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteCandidate>,
    /// The sentences of the query that were searched one by one; empty where it was only searched whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
    /// The terms that were looked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<SearchedTerm>,
    /// Share of the dense arm in the fused score, 0 to 1.
    pub dense_share: f32,
    /// Milliseconds by stage: `route`, `embed`, `lexical`, `dense`, `fuse`, `load`.
    pub stages_ms: BTreeMap<String, f64>,
}

/// The predicate of a search, as it was applied before ranking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedFilters {
    /// The owner of the tools.
    pub tenant: Tenant,
    /// Only this domain, where the search was kept to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    /// Only these types; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_types: Vec<ToolType>,
    /// Only tools with one of these tags; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Roles of the caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Never these tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<ToolId>,
    /// The number of tools left to be ranked.
    pub candidates: u64,
}

/// A domain that was weighed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteCandidate {
    /// The domain.
    pub domain: Domain,
    /// The one that proposed it.
    pub by: RoutedBy,
    /// The probability that it is the right one, 0 to 1.
    pub confidence: f32,
}

/// A term that was looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchedTerm {
    /// The term as it is indexed: lower case, stemmed.
    pub term: String,
    /// Its weight beside a word of the query itself, which weighs 1.
    pub weight: f32,
    /// Candidates that hold it.
    pub documents: u64,
}
