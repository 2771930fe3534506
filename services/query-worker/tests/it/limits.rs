//! Limits on requests, as the operator sets them.

use serde_json::json;
use toolweaver_contracts::{ErrorCode, SearchRequest};

use crate::support::{Rig, tool};

#[tokio::test]
async fn a_tenant_over_its_rate_is_told_so_and_another_is_not() {
    let mut rig = Rig::without_workers().await;
    rig.add_worker(None, &["--query-rate-max=5"]).await;
    let mut refused = Vec::new();
    for number in 0..20 {
        refused.extend(rig.try_search("hasty", &SearchRequest::new(format!("request {number}"))).await.err());
    }
    // Five at once, and one more each fifth of a second: twenty in a row take less than three seconds.
    let fault = refused.first().expect("some of twenty at once are too many");
    assert_eq!(fault.code, ErrorCode::Busy);
    assert!(fault.message.contains("more than 5 times a second") && fault.hint.is_some(), "{fault:?}");
    rig.search("patient", &SearchRequest::new("one request")).await;
}

#[tokio::test]
async fn a_request_that_is_too_large_is_told_its_size_and_the_limit() {
    let mut rig = Rig::without_workers().await;
    rig.add_worker(None, &["--query-request-bytes-max=2000"]).await;
    let large = SearchRequest::new("x".repeat(3_000));
    let fault = rig.try_search("default", &large).await.expect_err("it is too large");
    assert_eq!(fault.code, ErrorCode::BadRequest);
    assert!(fault.message.contains("2000") && fault.message.contains("30"), "{fault:?}");
}

/// Searches that wait for what was not registered yet hold up nobody, however many they are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_version_takes_nobodys_place() {
    let mut rig = Rig::without_workers().await;
    rig.add_worker(None, &["--query-concurrency-min=2", "--query-concurrency-max=2", "--query-queue-max=0"])
        .await;
    let late = SearchRequest { min_version: Some(1), wait_ms: Some(20_000), ..SearchRequest::new("late") };
    let waiting = futures_util::future::join_all((0..50).map(|_| rig.try_search("default", &late)));
    let others = async {
        for number in 0..10 {
            rig.search("default", &SearchRequest::new(format!("request {number}"))).await;
        }
        rig.index("default", &tool("late", "general", "Comes late.", json!({})), 1).await
    };
    let (replies, _) = tokio::join!(waiting, others);
    // It comes for all fifty at once, and there is room for two: some of the others may be told to come back.
    for reply in &replies {
        assert!(
            reply
                .as_ref()
                .map_or_else(|fault| fault.code == ErrorCode::Busy, |reply| reply.results.len() == 1)
        );
    }
    assert!(replies.iter().any(Result::is_ok));
}
