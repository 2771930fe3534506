//! One search: from a request that was understood to an answer.
//!
//! ```text
//! query ─▶ embed ∥ lexical ─▶ route ─▶ retrieve (own arms, other shards) ─▶ fuse ─▶ decide ─▶ pack
//!                               ▲            │ fewer than 3 good matches in the routed domain
//!                               └────────────┘ retrieve and fuse once more, over the whole tenant
//! ```
//! An arm that fails or is late is left out and named in `degraded`; only both gone is an error. Here does
//! **not** live: what decides an order (`toolweaver-ranking`), and what is answered from a cache
//! ([`crate::answers`]).

pub(crate) mod answer;
pub(crate) mod arms;
pub(crate) mod density;
mod explain;
pub(crate) mod llm_classifier;
pub(crate) mod pipeline;
pub(crate) mod routing;
pub(crate) mod shards;
mod stages;

use std::time::Duration;

use tokio::time::Instant;
use toolweaver_resilience::Deadline;

/// Timeouts of a search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SearchTimeouts {
    /// Of one arm, or of another dependency: then the search goes on without it.
    pub(crate) arm: Duration,
    /// Of the whole search, from the moment its request was received.
    pub(crate) total: Duration,
}

impl SearchTimeouts {
    /// Returns the deadline of a search whose request was received at this time.
    pub(crate) fn deadline(self, received: Instant) -> Deadline {
        Deadline::since(received, self.total)
    }
}
