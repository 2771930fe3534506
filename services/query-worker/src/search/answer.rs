//! Answer to a search, before it becomes a reply.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toolweaver_contracts::{Budget, Routed, SearchExplanation, SearchResult, SearchStatus};

/// Answer to a search: the part of its reply that is cached, and that equal requests share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Relevance decision.
    pub(crate) status: SearchStatus,
    /// Confidence of the decision, 0 to 1; none where half of the evidence is missing.
    pub(crate) confidence: Option<f32>,
    /// Found tools, best first.
    pub(crate) results: Vec<SearchResult>,
    /// The same in the asked shape, one for each.
    pub(crate) shaped: Vec<Value>,
    /// Tokens that were spent and tools that were cut.
    pub(crate) budget: Option<Budget>,
    /// Dependencies that should have helped and could not.
    pub(crate) degraded: Vec<String>,
    /// Domain that was searched, and by whose choice.
    pub(crate) routed: Routed,
    /// Explanation, where it was asked for.
    pub(crate) explain: Option<SearchExplanation>,
}
