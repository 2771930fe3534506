//! Answers that are there before somebody asks, and answers that many ask for at once.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tempfile::NamedTempFile;
use toolweaver_contracts::{SearchRequest, ServedFrom};
use toolweaver_embedding::Limits;
use toolweaver_query_worker::query_embedder;

use crate::support::{Own, Rig, Slow, crowd, tool};

const QUERY: &str = "the weather of tomorrow";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_requests_are_answered_ahead_at_the_start_and_after_a_change() {
    let mut file = NamedTempFile::new().expect("a file");
    writeln!(file, "# asked every morning\n{QUERY}\nacme\tanother one").expect("it is written");
    let path = file.path().to_str().expect("a path of plain letters");
    let mut rig = Rig::without_workers().await;
    let forecast = |take: u32| {
        tool("get_forecast", "weather", &format!("Tells the weather of tomorrow. Take {take}."), json!({}))
    };
    for (revision, tool) in (1..).zip(&crowd(25)) {
        rig.index("default", tool, revision).await;
    }
    rig.index("default", &forecast(0), 100).await;
    rig.add_worker(None, &["--query-warm-file", path]).await;
    let asked = SearchRequest::new(QUERY);
    let first = rig.search("default", &asked).await;
    assert_eq!(first.served_from, ServedFrom::Cache, "ready means warm");

    // Whoever asks right after a change may be faster than the worker; given a moment, nobody is.
    let mut is_ahead = false;
    for take in 1..=5 {
        let version = rig.index("default", &forecast(take), 100 + u64::from(take)).await;
        rig.applied(version).await;
        tokio::time::sleep(Duration::from_millis(400) * take).await;
        let reply = rig.search("default", &asked).await;
        assert!(reply.results[0].description.ends_with(&format!("Take {take}.")), "{:?}", reply.results[0]);
        is_ahead |= reply.served_from == ServedFrom::Cache;
    }
    assert!(is_ahead, "no changed answer was there before it was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_ask_at_once_is_computed_once() {
    let model = Arc::new(Slow::default());
    let mut rig = Rig::without_workers().await;
    let embedder = query_embedder(model.clone(), Limits::default());
    rig.add_worker_with(Own { embedder: Some(embedder), ..Own::default() }, &[]).await;
    let mut version = 0;
    for (revision, tool) in (1..).zip(&crowd(25)) {
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;
    model.latency_ms.store(200, Ordering::Relaxed);
    let before = model.texts.load(Ordering::Relaxed);
    let asked = SearchRequest::new(QUERY);
    let replies = join_all((0..20).map(|_| rig.search("default", &asked))).await;
    assert_eq!(model.texts.load(Ordering::Relaxed) - before, 1, "texts embedded for twenty equal requests");
    assert!(replies.iter().all(|reply| reply.results == replies[0].results));
}
