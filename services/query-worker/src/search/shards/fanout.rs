//! Shard fan-out: one request to the owners of its domains, their answers merged into one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use toolweaver_contracts::{Domain, ShardReply, ShardRequest};
use toolweaver_ranking::merge;
use toolweaver_resilience::error_chain;
use tracing::warn;

use super::{Shards, directory::Division, protocol};
use crate::search::arms::{Arms, Retrieved};

/// Asks the owners of remote domains besides `local`, and merges all answers.
///
/// A domain whose owner gave no whole answer in time, or scores differently, is named among the missing.
pub(crate) async fn fan_out(
    shards: &Shards,
    division: Division,
    request: ShardRequest,
    local: impl Future<Output = Option<Retrieved>>,
) -> Retrieved {
    let remote = division.remote.iter().map(|(subject, domains)| ask(shards, subject, domains, &request));
    let (local, remote) = tokio::join!(local, join_all(remote));
    let mut missing: Vec<String> = division.orphaned.iter().map(missing_domain).collect();
    let (mut lexical, mut dense) = (Vec::new(), Vec::new());
    for retrieved in local.into_iter().chain(remote) {
        missing.extend(retrieved.missing);
        lexical.extend(retrieved.lexical);
        dense.extend(retrieved.dense);
    }
    Retrieved { lexical: merge::lexical(lexical), dense: merge::dense(dense), missing }
}

/// Answers another worker about the domains of this one.
pub(crate) async fn answer(
    shards: &Shards,
    arms: &Arms,
    request: ShardRequest,
    received_at: Instant,
) -> ShardReply {
    let own = shards.scoring().clone();
    if request.scoring != own {
        // It would not be merged; the name tells the other worker why.
        return protocol::reply(own, None, None);
    }
    let (query, vectors, predicate, deadline) = protocol::received(request, received_at);
    let lexical = arms.lexical(&query, &predicate, deadline).await.ok();
    let dense = if vectors.is_empty() {
        None
    } else {
        arms.dense(&Ok(vectors), &predicate, lexical.as_ref(), deadline).await.ok()
    };
    protocol::reply(own, lexical, dense)
}

async fn ask(shards: &Shards, subject: &str, domains: &[Domain], request: &ShardRequest) -> Retrieved {
    let all_missing = || domains.iter().map(missing_domain).collect();
    let within = Duration::from_millis(request.remaining_ms);
    match shards.ask(subject, request, within).await {
        Ok(ShardReply { lexical, dense, .. }) => {
            let is_whole = lexical.is_some() && (dense.is_some() || request.vectors.is_empty());
            let missing = if is_whole { Vec::new() } else { all_missing() };
            Retrieved { lexical: lexical.map(protocol::lexical), dense: dense.map(protocol::dense), missing }
        }
        Err(error) => {
            warn!(?domains, error = %error_chain(&error), "going on without a shard");
            Retrieved { lexical: None, dense: None, missing: all_missing() }
        }
    }
}

/// Returns the name in `degraded` of a domain whose owner gave no whole answer.
fn missing_domain(domain: &Domain) -> String {
    format!("domain:{domain}")
}
