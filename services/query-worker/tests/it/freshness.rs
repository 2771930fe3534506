//! Read your writes.

use std::time::{Duration, Instant};

use serde_json::json;
use toolweaver_contracts::{ErrorCode, SearchRequest};
use toolweaver_messaging::{Consumer, ConsumerConfig};

use crate::support::{Rig, tool};

#[tokio::test]
async fn a_search_waits_for_the_version_it_names() {
    let rig = Rig::start().await;
    let late = SearchRequest { min_version: Some(1), wait_ms: Some(20_000), ..SearchRequest::new("late") };
    let (reply, version) = tokio::join!(rig.search("default", &late), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rig.index("default", &tool("late", "general", "Comes late.", json!({})), 1).await
    });
    assert_eq!((reply.results.len(), reply.catalog_version), (1, version));
}

#[tokio::test]
async fn a_version_that_does_not_come_is_a_clear_not_yet() {
    let rig = Rig::start().await;
    for request in [
        SearchRequest { min_version: Some(7), ..SearchRequest::new("x") },
        SearchRequest { min_version: Some(7), wait_ms: Some(100), ..SearchRequest::new("x") },
        SearchRequest { min_revision: Some(7), wait_ms: Some(100), ..SearchRequest::new("x") },
    ] {
        let started = Instant::now();
        let fault = rig.try_search("default", &request).await.expect_err("it is not there");
        assert_eq!(fault.code, ErrorCode::NotYet);
        assert!(fault.hint.is_some() && fault.pointer.is_some());
        assert!(started.elapsed() < Duration::from_secs(10), "it waits as long as it may, not longer");
    }
}

#[tokio::test]
async fn a_revision_counts_as_searchable_once_it_was_applied_or_settled() {
    let rig = Rig::start().await;
    rig.index("default", &tool("seen", "general", "Was indexed.", json!({})), 41).await;
    let seen = SearchRequest { min_revision: Some(41), wait_ms: Some(20_000), ..SearchRequest::new("seen") };
    assert_eq!(rig.search("default", &seen).await.results.len(), 1);

    // A revision that never comes to INDEXED, because it was rejected: settled once the indexer has
    // acknowledged it.
    let durable = toolweaver_contracts::subjects::embedding_consumer(rig.fingerprint());
    let consumer = Consumer::new(rig.nats.clone(), ConsumerConfig::new("TOOLS", durable));
    consumer.ensure().await.expect("a consumer");
    let published = toolweaver_messaging::Outgoing::new("tools.v1.default.general.bad", "not JSON");
    let revision =
        toolweaver_messaging::publish(&rig.nats, published).await.expect("TOOLS takes it").stream_sequence;
    let settled =
        SearchRequest { min_revision: Some(revision), wait_ms: Some(200), ..SearchRequest::new("x") };
    assert_eq!(rig.try_search("default", &settled).await.expect_err("pending").code, ErrorCode::NotYet);

    let stop = tokio_util::sync::CancellationToken::new();
    let settling = tokio::spawn({
        let stop = stop.clone();
        async move { consumer.run(Settle, stop).await }
    });
    let patient = SearchRequest { wait_ms: Some(20_000), ..settled };
    rig.search("default", &patient).await;
    stop.cancel();
    settling.await.expect("the consumer stops");
}

/// Acknowledges everything.
struct Settle;

impl toolweaver_messaging::BatchHandler for Settle {
    async fn handle(&self, batch: &[toolweaver_messaging::Delivery]) -> Vec<toolweaver_messaging::Outcome> {
        batch.iter().map(|_| toolweaver_messaging::Outcome::Done).collect()
    }
}
