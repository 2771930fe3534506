//! Each part stopped, silent, slow and back: an answer within its time, flagged, and whole again soon after.
//!
//! A proxy stands between the worker and the part, so that connections stand while nothing comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use toolweaver_contracts::{SearchReply, SearchRequest, Strategy};
use toolweaver_embedding::{Hashing, Limits, Model as _};
use toolweaver_query_worker::query_embedder;
use toolweaver_testkit::{proxy::Proxy, qdrant::QdrantDouble, redis::RedisServer, wait};
use toolweaver_vector_store::{Point, Qdrant, QdrantConfig, VectorStore as _};

use crate::support::{Own, Rig, SOON, Slow, crowd, ids, key, tool};

/// Timeouts of a dependency and of the answer in these tests.
const TIMEOUTS: [&str; 2] = ["--query-part-timeout-ms=200", "--query-timeout-ms=600"];
/// Time of an answer in which parts were waited for, with room for a busy machine.
const IN_TIME: Duration = Duration::from_secs(3);
/// After its return a part must be used again within this time.
const HEALED_WITHIN: Duration = Duration::from_secs(5);

/// Fault that a test gives a dependency.
#[derive(Debug, Clone, Copy)]
enum NetworkFault {
    Stopped,
    Silent,
    Slow,
}

impl NetworkFault {
    const ALL: [Self; 3] = [Self::Stopped, Self::Silent, Self::Slow];

    fn befalls(self, proxy: &Proxy) {
        match self {
            Self::Stopped => proxy.cut(),
            Self::Silent => proxy.stall(),
            Self::Slow => proxy.set_latency(Duration::from_secs(2)),
        }
    }
}

/// A question that nobody asked before: nothing that is cached answers it.
fn fresh_question() -> SearchRequest {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let number = ASKED.fetch_add(1, Ordering::Relaxed);
    SearchRequest::new(format!("the weather of tomorrow, asked for the time {number}"))
}

/// Asks until the answer lacks these parts; every answer on the way comes in time and finds the tool.
async fn until_degraded(rig: &Rig, expected: &[&str], within: Duration) -> SearchReply {
    let mut last = None;
    wait::until(&format!("degraded is {expected:?}"), within, async || {
        let (asked, reply) = (Instant::now(), rig.search("default", &fresh_question()).await);
        assert!(asked.elapsed() < IN_TIME, "an answer took {:?}", asked.elapsed());
        assert!(ids(&reply).contains(&"weather.get_forecast".to_owned()), "{:?}", ids(&reply));
        let is_reached = reply.degraded == expected;
        last = Some(reply);
        is_reached
    })
    .await;
    last.expect("at least one answer")
}

/// Once the outage is known, nobody waits for the part.
async fn nobody_waits(rig: &Rig) {
    wait::until("answers come without waiting", SOON, async || {
        let asked = Instant::now();
        for _ in 0..3 {
            rig.search("default", &fresh_question()).await;
        }
        // Three answers that each waited for the part would take three of its timeouts.
        asked.elapsed() < Duration::from_millis(3 * 200)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vector_database() {
    let double = QdrantDouble::start().await;
    let address = double.url().trim_start_matches("http://").parse().expect("an address");
    let proxy = Proxy::start(address).await;
    let model = Hashing::new();
    let dims = model.dimensions();
    let config = QdrantConfig::at(format!("http://{}", proxy.address()));
    let qdrant = Qdrant::new(&config, model.fingerprint().hex(), dims).expect("a client");
    qdrant.ensure().await.expect("a collection");
    let mut rig = Rig::without_workers().await;
    rig.add_worker(Some(qdrant.clone()), &TIMEOUTS).await;
    let mut version = 0;
    for (revision, tool) in (1..).zip(&catalog()) {
        let vector = rig.vector(tool).await;
        let point = Point { key: key("default", tool), revision, tool: Arc::new(tool.clone()), vector };
        qdrant.upsert(&[point]).await.expect("Qdrant takes it");
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;
    for fault in NetworkFault::ALL {
        until_degraded(&rig, &[], SOON).await;
        fault.befalls(&proxy);
        let reply = until_degraded(&rig, &["vectors"], SOON).await;
        assert_eq!(reply.routed.strategy, Strategy::Lexical, "{fault:?}");
        nobody_waits(&rig).await;
        proxy.heal();
        until_degraded(&rig, &[], HEALED_WITHIN).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(([127, 0, 0, 1], server.port()).into()).await;
    let mut rig = Rig::without_workers().await;
    rig.add_worker_with(Own { redis: Some(proxy.address()), ..Own::default() }, &TIMEOUTS).await;
    fill(&rig).await;
    for fault in NetworkFault::ALL {
        until_degraded(&rig, &[], SOON).await;
        fault.befalls(&proxy);
        until_degraded(&rig, &["cache"], SOON).await;
        nobody_waits(&rig).await;
        proxy.heal();
        until_degraded(&rig, &[], HEALED_WITHIN).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedding_model() {
    let model = Arc::new(Slow::default());
    let mut rig = Rig::without_workers().await;
    let embedder = query_embedder(model.clone(), Limits::default());
    rig.add_worker_with(Own { embedder: Some(embedder), ..Own::default() }, &TIMEOUTS).await;
    fill(&rig).await;
    until_degraded(&rig, &[], SOON).await;
    model.latency_ms.store(400, Ordering::Relaxed);
    let reply = until_degraded(&rig, &["embedding"], SOON).await;
    assert_eq!(reply.routed.strategy, Strategy::Lexical);
    nobody_waits(&rig).await;
    model.latency_ms.store(0, Ordering::Relaxed);
    until_degraded(&rig, &[], HEALED_WITHIN).await;
}

/// A worker whose connection breaks is not asked any more, and comes back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats() {
    let mut rig = Rig::without_workers().await;
    let proxy = Proxy::start(rig.nats_address()).await;
    rig.add_worker_with(Own { nats: Some(proxy.address()), ..Own::default() }, &TIMEOUTS).await;
    fill(&rig).await;
    until_degraded(&rig, &[], SOON).await;
    // A slow network costs time and nothing else: what is asked of NATS is asked beside the answer.
    proxy.set_latency(Duration::from_millis(100));
    until_degraded(&rig, &[], SOON).await;
    proxy.heal();
    proxy.cut();
    wait::until("nobody answers", SOON, async || {
        let asked =
            toolweaver_messaging::request(&rig.nats, "search.v1.default", r#"{"query":"x"}"#, IN_TIME);
        asked.await.is_err()
    })
    .await;
    let version =
        rig.index("default", &tool("late", "general", "Came during the outage.", json!({})), 99).await;
    proxy.heal();
    wait::until("the worker answers, with what it missed", HEALED_WITHIN, async || {
        let request = SearchRequest { min_version: Some(version), ..fresh_question() };
        let body = serde_json::to_vec(&request).expect("JSON");
        toolweaver_messaging::request(&rig.nats, "search.v1.default", body, IN_TIME).await.is_ok()
    })
    .await;
}

/// The owner of a domain is cut off, falls silent without ending, or answers too late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_of_a_domain() {
    let mut rig = Rig::without_workers().await;
    let proxy = Proxy::start(rig.nats_address()).await;
    let options = |domains| [TIMEOUTS[0], TIMEOUTS[1], domains];
    rig.add_worker(None, &options("--domains=weather")).await;
    let other = Own { nats: Some(proxy.address()), ..Own::default() };
    rig.add_worker_with(other, &options("--domains=filler")).await;
    fill(&rig).await;
    let subject = "search.v1.default.weather";
    let until_degraded = async |expected: &[&str], within| {
        wait::until(&format!("degraded is {expected:?}"), within, async || {
            let asked = Instant::now();
            let reply: SearchReply = rig.ask(subject, &everywhere()).await.expect("its own worker answers");
            assert!(asked.elapsed() < IN_TIME, "an answer took {:?}", asked.elapsed());
            reply.degraded == expected
        })
        .await;
    };
    until_degraded(&[], SOON).await;
    for fault in NetworkFault::ALL {
        fault.befalls(&proxy);
        until_degraded(&["domain:filler"], SOON).await;
        proxy.heal();
        until_degraded(&[], HEALED_WITHIN).await;
    }
}

/// Nothing in the domain that it is asked of fits: the whole tenant is searched.
fn everywhere() -> SearchRequest {
    let SearchRequest { query, .. } = fresh_question();
    SearchRequest { top_k: Some(50), ..SearchRequest::new(format!("does thing number 7 {query}")) }
}

/// A tool about the weather in a crowd of others.
fn catalog() -> Vec<toolweaver_contracts::Tool> {
    let wanted = tool("get_forecast", "weather", "Tells the weather of tomorrow.", json!({}));
    crowd(25).into_iter().chain([wanted]).collect()
}

async fn fill(rig: &Rig) {
    let mut version = 0;
    for (revision, tool) in (1..).zip(&catalog()) {
        version = rig.index("default", tool, revision).await;
    }
    rig.applied(version).await;
}
