//! Workers that come and go while searches are asked: nobody notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::timeout;
use toolweaver_contracts::{SearchReply, SearchRequest, decode, encode};
use toolweaver_messaging::request;
use toolweaver_testkit::proxy::Proxy;

use crate::support::{Own, Rig, SOON, crowd, tool};

#[tokio::test]
async fn a_new_worker_answers_nothing_before_it_knows_the_catalog() {
    let mut rig = Rig::start().await;
    let mut version = 0;
    for (revision, one) in (1..).zip(crowd(40)) {
        version = rig.index("default", &one, revision).await;
    }
    rig.applied(version).await;
    // So slow that it reads INDEXED for a while.
    let slow = Proxy::start(rig.nats_address()).await;
    slow.set_latency(Duration::from_millis(50));
    let (nats, is_ready, mut asked) = (rig.nats.clone(), AtomicBool::new(false), 0);
    let asking = async {
        while !is_ready.load(Ordering::Relaxed) {
            let question = encode(&SearchRequest::new(format!("thing number {asked}")));
            let answer = request(&nats, "search.v1.default", question, SOON).await.expect("an answer");
            let reply: SearchReply = decode(&answer).expect("a reply of the contract");
            assert!(reply.catalog_version >= version, "answered from version {}", reply.catalog_version);
            asked += 1;
        }
    };
    let starting = async {
        rig.add_worker_with(Own { nats: Some(slow.address()), ..Own::default() }, &[]).await;
        is_ready.store(true, Ordering::Relaxed);
    };
    tokio::join!(asking, starting);
    assert!(asked > 0, "no search was asked while it started");
}

#[tokio::test]
async fn a_search_that_waits_for_a_version_is_answered_by_a_worker_that_stops() {
    let mut rig = Rig::start().await;
    let one = tool("get_forecast", "weather", "The weather of tomorrow.", json!({}));
    let version = rig.index("default", &one, 1).await;
    rig.applied(version).await;
    let mut waiting = SearchRequest::new("the weather of tomorrow");
    (waiting.min_version, waiting.wait_ms) = (Some(version + 1), Some(10_000));
    let client = rig.nats.client().clone();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.expect("an inbox");
    let published = client.publish_with_reply("search.v1.default", inbox, encode(&waiting).into());
    published.await.expect("a connection");
    // Answered after the other one was taken in, because both came over one connection.
    rig.search("default", &SearchRequest::new("the weather of today")).await;

    rig.begin_to_stop_last_worker();
    rig.index("default", &one, 2).await;
    let answer = timeout(SOON, answers.next()).await.expect("in time").expect("an answer");
    let reply: SearchReply = decode(&answer.payload).expect("a reply of the contract");
    assert!(reply.catalog_version > version);
    rig.stop_last_worker().await;
}
