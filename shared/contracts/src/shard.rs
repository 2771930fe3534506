//! Shard protocol v1: messages between query workers that own domains. Internal: no part of the callers'
//! contract.
//!
//! A worker searches the domains of others by asking their owners, and merges what the arms of all found.
//! Scores of two rankers or two models have nothing in common, so every message says by which ranker and
//! model it was made, and a reply of another one is not merged.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Domain, Predicate, SearchedTerm, Vector};

/// Ranker and model of a shard; only equal ones are merged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardScoring {
    /// Name of the ranker, which changes with everything that decides an order.
    pub ranker: String,
    /// Fingerprint of the embedding model, in hexadecimal.
    pub model: String,
}

/// Announcement of an owner, each second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardAnnounced {
    /// Its ranker and model.
    pub scoring: ShardScoring,
    /// Domains whose tools it has indexed.
    pub domains: BTreeSet<Domain>,
    /// Subject of requests to it and to every other owner of the same domains that scores alike.
    pub subject: String,
}

/// Request for a search in the owner's domains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRequest {
    /// Ranker and model of the worker that asks.
    pub scoring: ShardScoring,
    /// Milliseconds that remain of the search's deadline.
    pub remaining_ms: u64,
    /// The request as it was understood.
    pub text: String,
    /// Its sentences, where it has several.
    pub sentences: Vec<String>,
    /// Vectors of the text and of each sentence; none where they could not be embedded.
    pub vectors: Vec<Vector>,
    /// Tools that take part.
    pub predicate: Predicate,
}

/// Reply of an owner: what its arms found, before fusion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardReply {
    /// Ranker and model that scored.
    pub scoring: ShardScoring,
    /// Answer of the lexical arm; none where it failed or was late.
    pub lexical: Option<ShardLexical>,
    /// Answer of the dense arm; none where it failed, was late, or had no vectors.
    pub dense: Option<ShardDense>,
}

/// Hits of a shard's lexical arm and their moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardLexical {
    /// The best, best first.
    pub hits: Vec<ShardHit>,
    /// Mean score of all candidates.
    pub mean: f32,
    /// Standard deviation of the scores of all candidates.
    pub std_dev: f32,
    /// Number of candidates.
    pub candidates: u64,
    /// Share of the query's distinct terms that some candidate holds, 0 to 1.
    pub known: f32,
    /// Terms that were looked for.
    pub terms: Vec<SearchedTerm>,
    /// Point ids of tools whose names look like the query.
    pub near_names: Vec<Uuid>,
}

/// Hits of a shard's dense arm and their moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardDense {
    /// In no order.
    pub hits: Vec<ShardHit>,
    /// Mean cosine of all candidates.
    pub mean: f32,
    /// Standard deviation of the cosines of all candidates.
    pub std_dev: f32,
    /// Number of candidates, as far as a sample tells.
    pub candidates: u64,
}

/// A tool that a shard's arm scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardHit {
    /// Its point id.
    pub point_id: Uuid,
    /// Its score in the arm.
    pub score: f32,
    /// Score of each sentence of a compound request, else none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Tenant, decode, encode};

    #[test]
    fn a_message_is_written_as_it_is_read_by_every_worker_of_this_version() {
        let scoring = json!({ "ranker": "hybrid-4-0badcafe", "model": "5eed" });
        let request = json!({
            "scoring": scoring, "remaining_ms": 1200, "text": "create an issue. merge it all", "vectors": [],
            "sentences": ["create an issue", "merge it all"],
            "predicate": Predicate::tenant(Tenant::default()),
        });
        let hit = json!({ "point_id": Uuid::nil(), "score": 1.5 });
        let dense = json!({ "hits": [hit], "mean": 0.25, "std_dev": 0.125, "candidates": 40 });
        let lexical = json!({
            "hits": [hit], "mean": 0.5, "std_dev": 1.0, "candidates": 40, "known": 0.75, "terms": [], "near_names": [],
        });
        let reply = json!({ "scoring": scoring, "lexical": lexical, "dense": dense });
        let announced =
            json!({ "scoring": scoring, "domains": ["github"], "subject": "toolweaver.shard.v1.1" });

        let read: ShardRequest = decode(request.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&encode(&read)).unwrap(), request);
        let read: ShardReply = decode(reply.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&encode(&read)).unwrap(), reply);
        let read: ShardAnnounced = decode(announced.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&encode(&read)).unwrap(), announced);
    }
}
