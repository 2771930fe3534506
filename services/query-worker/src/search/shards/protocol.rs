//! Shard protocol v1 between this worker's types and the wire: subjects, conversions, and who may be merged.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use toolweaver_contracts::{
    Domain, Predicate, ShardDense, ShardHit, ShardLexical, ShardReply, ShardRequest, ShardScoring, Vector,
};
use toolweaver_embedding::Embedder;
use toolweaver_ranking::{DenseAnswer, DenseHit, LexicalAnswer, LexicalHit, Query, RANKER};
use toolweaver_resilience::Deadline;
use uuid::Uuid;

/// Subject of announcements.
pub(super) const ANNOUNCEMENTS: &str = "toolweaver.shard.v1.announced";

/// Returns ranker and model of this worker.
pub(crate) fn scoring(embedder: &Embedder) -> ShardScoring {
    ShardScoring { ranker: RANKER.to_owned(), model: embedder.fingerprint().hex().to_owned() }
}

/// Returns the subject of all workers that own the same domains and score alike. The hash keeps it short
/// however many domains there are.
pub(crate) fn subject(scoring: &ShardScoring, domains: &BTreeSet<Domain>) -> String {
    let names: Vec<&str> = domains.iter().map(Domain::as_str).collect();
    let shard = [&*scoring.ranker, &*scoring.model, &*names.join(",")].join("\n");
    format!("toolweaver.shard.v1.{}", Uuid::new_v5(&Uuid::NAMESPACE_URL, shard.as_bytes()).simple())
}

/// Makes a request. The owner gets what remains until the deadline of its step.
pub(crate) fn request(
    scoring: &ShardScoring,
    query: &Query,
    vectors: impl IntoIterator<Item = Vec<f32>>,
    predicate: &Predicate,
    deadline: Deadline,
) -> ShardRequest {
    ShardRequest {
        scoring: scoring.clone(),
        remaining_ms: u64::try_from(deadline.remaining().as_millis()).unwrap_or(u64::MAX),
        text: query.text().to_owned(),
        sentences: query.sentences().to_vec(),
        vectors: vectors.into_iter().map(Vector).collect(),
        predicate: predicate.clone(),
    }
}

/// Returns query, vectors, predicate and deadline of a request that was received at this time.
pub(super) fn received(
    request: ShardRequest,
    received_at: Instant,
) -> (Query, Vec<Vec<f32>>, Predicate, Deadline) {
    let ShardRequest { scoring: _, remaining_ms, text, sentences, vectors, predicate } = request;
    let vectors = vectors.into_iter().map(|vector| vector.0).collect();
    // A tenth is for the way back: what is late helps nobody.
    let deadline = Deadline::since(received_at, Duration::from_millis(remaining_ms) * 9 / 10);
    (Query::understood(text, sentences), vectors, predicate, deadline)
}

/// Makes a reply.
pub(super) fn reply(
    scoring: ShardScoring,
    lexical: Option<LexicalAnswer>,
    dense: Option<DenseAnswer>,
) -> ShardReply {
    let lexical = lexical.map(
        |LexicalAnswer { hits, mean, std_dev, candidates, known, terms, near_names, statistics: _ }| {
            let hit = |LexicalHit { point_id, score, sentences }| ShardHit { point_id, score, sentences };
            let hits = hits.into_iter().map(hit).collect();
            ShardLexical { hits, mean, std_dev, candidates, known, terms, near_names }
        },
    );
    let dense = dense.map(|DenseAnswer { hits, candidates, mean, std_dev }| {
        let hit = |DenseHit { point_id, score, sentences }| ShardHit { point_id, score, sentences };
        ShardDense { hits: hits.into_iter().map(hit).collect(), mean, std_dev, candidates }
    });
    ShardReply { scoring, lexical, dense }
}

/// Returns the lexical answer of a shard. Its statistics stay with it: each shard scores with its own.
pub(super) fn lexical(answer: ShardLexical) -> LexicalAnswer {
    let ShardLexical { hits, mean, std_dev, candidates, known, terms, near_names } = answer;
    let hit = |ShardHit { point_id, score, sentences }| LexicalHit { point_id, score, sentences };
    let hits = hits.into_iter().map(hit).collect();
    LexicalAnswer { hits, mean, std_dev, candidates, known, terms, near_names, statistics: None }
}

/// Returns the dense answer of a shard.
pub(super) fn dense(answer: ShardDense) -> DenseAnswer {
    let ShardDense { hits, mean, std_dev, candidates } = answer;
    let hit = |ShardHit { point_id, score, sentences }| DenseHit { point_id, score, sentences };
    DenseAnswer { hits: hits.into_iter().map(hit).collect(), candidates, mean, std_dev }
}
