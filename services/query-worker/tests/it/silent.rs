//! Everything remote silent at the same time: every request is answered or refused in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use toolweaver_contracts::{Fault, SearchReply, SearchRequest, encode};
use toolweaver_embedding::{Hashing, Model as _};
use toolweaver_testkit::{proxy::Proxy, qdrant::QdrantDouble, redis::RedisServer, wait};
use toolweaver_vector_store::{Point, Qdrant, QdrantConfig, VectorStore as _};

use crate::support::{Own, Rig, SOON, crowd, key, tool};

const TIMEOUT: Duration = Duration::from_millis(600);
const OPTIONS: [&str; 2] = ["--query-part-timeout-ms=250", "--query-timeout-ms=600"];
/// Time beyond the timeout within which an answer or a refusal must have come.
const SLACK: Duration = Duration::from_millis(100);
/// Subjects of JetStream's API, and where they lead to in vain; of one length.
const JETSTREAM_API: (&[u8], &[u8]) = (b"$JS.API.", b"$JS.NIL.");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_is_answered_or_refused_in_time() {
    let (server, double) = (RedisServer::start().await, QdrantDouble::start().await);
    let redis = Proxy::start(([127, 0, 0, 1], server.port()).into()).await;
    let address = double.url().trim_start_matches("http://").parse().expect("an address");
    let vectors = Proxy::start(address).await;
    let model = Hashing::new();
    let dims = model.dimensions();
    let config = QdrantConfig::at(format!("http://{}", vectors.address()));
    let qdrant = Qdrant::new(&config, model.fingerprint().hex(), dims).expect("a client");
    qdrant.ensure().await.expect("a collection");

    let mut rig = Rig::without_workers().await;
    let (nats, nats_of_owner) =
        (Proxy::start(rig.nats_address()).await, Proxy::start(rig.nats_address()).await);
    let own = Own {
        vectors: Some(qdrant.clone()),
        nats: Some(nats.address()),
        redis: Some(redis.address()),
        ..Own::default()
    };
    rig.add_worker_with(own, &[&OPTIONS[..], &["--domains=weather"]].concat()).await;
    let owner = Own { nats: Some(nats_of_owner.address()), ..Own::default() };
    rig.add_worker_with(owner, &[&OPTIONS[..], &["--domains=filler"]].concat()).await;
    let wanted = tool("get_forecast", "weather", "Tells the weather of tomorrow.", json!({}));
    let mut version = 0;
    for (revision, tool) in (1..).zip(crowd(25).into_iter().chain([wanted])) {
        let vector = rig.vector(&tool).await;
        version = rig.index("default", &tool, revision).await;
        let point = Point { key: key("default", &tool), revision, tool: Arc::new(tool), vector };
        qdrant.upsert(&[point]).await.expect("Qdrant takes it");
    }
    rig.applied(version).await;
    wait::until("everything answers", SOON, async || {
        search(&rig, "the weather of tomorrow, all well").await.is_ok_and(|reply| reply.degraded.is_empty())
    })
    .await;

    // Nobody answers there, and unlike a subject without subscribers it does not say so.
    let _in_vain = rig.nats.client().subscribe("$JS.NIL.>").await.expect("a subscription");
    nats.divert(JETSTREAM_API.0, JETSTREAM_API.1);
    redis.stall();
    vectors.stall();
    nats_of_owner.stall();
    // A version that the worker has not applied makes it wait, and then ask JetStream.
    let announced = json!({ "tenant": "default", "version": version + 1_000, "domains": {} });
    rig.nats
        .client()
        .publish("versions.v1.default", encode(&announced).into())
        .await
        .expect("an announcement");
    rig.nats.client().flush().await.expect("a flush");

    let mut slowest = Duration::ZERO;
    for round in 0..4 {
        // What a timer oversleeps here is the machine's lateness, not the worker's.
        let overslept = async {
            let begun = Instant::now();
            tokio::time::sleep(TIMEOUT).await;
            begun.elapsed().saturating_sub(TIMEOUT)
        };
        let searches = (0..5).map(|number| {
            let (rig, query) = (&rig, format!("the weather of tomorrow, round {round}, number {number}"));
            async move {
                let begun = Instant::now();
                let reply = search(rig, &query).await;
                if let Ok(reply) = &reply {
                    assert!(!reply.degraded.is_empty(), "an answer that lacks much and says nothing");
                }
                begun.elapsed()
            }
        });
        let get = async {
            let begun = Instant::now();
            assert!(
                rig.get("default", "weather.get_forecast", &[]).await.is_err(),
                "it cannot say what is newest"
            );
            begun.elapsed()
        };
        let (overslept, mut took, got) = tokio::join!(overslept, join_all(searches), get);
        took.push(got);
        for took in took {
            assert!(took <= TIMEOUT + SLACK + overslept, "{took:?}, and a timer overslept {overslept:?}");
            slowest = slowest.max(took);
        }
    }
    println!("slowest of 24 requests: {slowest:?} with a timeout of {TIMEOUT:?}");
}

/// Asks the worker of the domain, whose fallback is the whole tenant.
async fn search(rig: &Rig, query: &str) -> Result<SearchReply, Fault> {
    rig.ask("search.v1.default.weather", &SearchRequest::new(query)).await
}
