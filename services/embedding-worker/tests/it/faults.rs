//! Bad events, and parts that are down: nothing is lost, nothing is acknowledged too early, nobody blocks
//! others.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use tonic::Status;
use toolweaver_contracts::subjects::{self, INDEXED_STREAM, REJECTED_STREAM};
use toolweaver_contracts::{ErrorCode, IndexedEvent, Tool, limits};
use toolweaver_embedding::{Embedder, Hashing, Limits, Model};
use toolweaver_embedding_worker::{Dependencies, Indexer, run};
use toolweaver_messaging::{BatchHandler, Delivery, Outcome, StreamsConfig};
use toolweaver_service_runtime::telemetry::metrics;
use toolweaver_service_runtime::{DrainConfig, Runtime};
use toolweaver_testkit::qdrant::QdrantDouble;
use toolweaver_testkit::{sample, wait};
use toolweaver_vector_store::Qdrant;
use tracing::Span;

use crate::support::{
    AFTER_REDELIVERY, Rig, SOON, Worker, key, qdrant, qdrant_of, registered, settings, texts_of, tool,
};

#[tokio::test]
async fn each_bad_event_is_rejected_with_its_reason_and_blocks_nobody() {
    let rig = Rig::start().await;
    let named = |name: &str| format!("tools.v1.default.general.{name}");
    let event =
        |tool: serde_json::Value| json!({ "event": "registered", "tool": tool }).to_string().into_bytes();
    let mut deep = json!({});
    for _ in 0..limits::PARAMETERS_DEPTH_MAX {
        deep = json!({ "deeper": deep });
    }
    let long = |bytes| "x".repeat(bytes);
    let bad: Vec<(String, Vec<u8>, Option<&str>)> = vec![
        (named("no_json"), b"{\"event\":".to_vec(), Some("")),
        (named("no_utf8"), vec![b'"', 0xff, 0xfe, b'"'], Some("")),
        (named("no_event"), b"{}".to_vec(), Some("/event")),
        (named("other_event"), br#"{"event":"renamed"}"#.to_vec(), Some("/event")),
        (named("no_tool"), br#"{"event":"registered"}"#.to_vec(), Some("/tool")),
        (named("empty_name"), event(json!({ "tool_name": "" })), Some("/tool/tool_name")),
        (named("other_name"), event(json!({ "tool_name": "somebody_else" })), Some("/tool/tool_name")),
        (
            named("other_domain"),
            event(json!({ "tool_name": "other_domain", "domain": "github" })),
            Some("/tool/domain"),
        ),
        (
            named("wrong_type"),
            event(json!({ "tool_name": "wrong_type", "description": 7 })),
            Some("/tool/description"),
        ),
        (
            named("unknown_type"),
            event(json!({ "tool_name": "unknown_type", "tool_type": "magic" })),
            Some("/tool/tool_type"),
        ),
        (
            named("long_description"),
            event(json!({
                "tool_name": "long_description",
                "description": long(limits::DESCRIPTION_BYTES_MAX + 1)
            })),
            Some("/tool/description"),
        ),
        (
            named("deep_parameters"),
            event(json!({ "tool_name": "deep_parameters", "parameters": deep })),
            Some("/tool/parameters"),
        ),
        (
            named("huge"),
            event(json!({ "tool_name": "huge", "parameters": { "x": long(limits::EVENT_BYTES_MAX) } })),
            Some(""),
        ),
        (named(&long(limits::TOOL_NAME_BYTES_MAX + 1)), event(json!({ "tool_name": "long" })), None),
        ("tools.v1.Tenant.general.x".to_owned(), event(json!({ "tool_name": "x" })), None),
    ];
    let mut good = Vec::new();
    for (number, (subject, body, _)) in bad.iter().enumerate() {
        rig.publish(subject, body).await;
        let neighbour = tool(&format!("neighbour_{number}"), "It is fine.");
        good.push((rig.register(&neighbour).await, neighbour));
    }

    let worker = Worker::start(&rig).await;
    for (revision, neighbour) in &good {
        rig.until_indexed(neighbour, *revision, SOON).await;
    }
    for (subject, body, pointer) in &bad {
        let rejection =
            wait::until(&format!("{subject} is rejected"), SOON, async || rig.rejected(subject).await).await;
        assert_eq!(rejection.reason.code, ErrorCode::BadRequest, "{subject}");
        assert_eq!(rejection.reason.pointer.as_deref(), *pointer, "{subject}: {}", rejection.reason);
        assert_eq!(&rejection.subject, subject);
        assert_eq!(rejection.original.bytes, body.len());
    }
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    assert_eq!(rig.messages(INDEXED_STREAM).await, good.len() as u64);
    worker.stop().await;
}

#[tokio::test]
async fn while_qdrant_is_down_nothing_is_acknowledged_and_nothing_is_indexed() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let vectors = qdrant(&server.url());
    let worker = Worker::start_with(&rig, Arc::new(Hashing::new()), Some(vectors.clone())).await;
    server.set_down(true);
    let calls_before = server.calls("points.upsert");
    let mut tools = Vec::new();
    for number in 0..20 {
        let tool = tool(&format!("tool_{number}"), &format!("Number {number}."));
        tools.push((rig.register(&tool).await, tool));
    }
    let model = Hashing::new();
    // One attempt is two calls: the client repeats each once by itself.
    wait::until("at least two attempts were made", SOON, async || {
        server.calls("points.upsert") >= calls_before + 4
    })
    .await;
    let lag = rig.lag(model.fingerprint()).await;
    assert_eq!(lag.pending + lag.ack_pending, tools.len() as u64, "{lag:?}");
    assert_eq!(lag.ack_floor_stream_sequence, 0);
    assert_eq!(rig.messages(INDEXED_STREAM).await, 0);

    server.set_down(false);
    for (revision, tool) in &tools {
        rig.until_indexed(tool, *revision, AFTER_REDELIVERY).await;
    }
    rig.until_acknowledged(model.fingerprint(), AFTER_REDELIVERY).await;
    assert_eq!(server.points_with_vectors(), tools.len());
    let texts = texts_of(tools.iter().map(|(_, tool)| tool));
    assert_eq!(worker.embedded(), texts, "the attempts in vain embedded nothing twice");
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_waits_for_a_vector_database_that_is_not_up_yet() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    server.set_down(true);
    let runtime = Runtime::new(DrainConfig { drain_timeout_seconds: 25 });
    let starting = tokio::spawn({
        let (nats, vectors, runtime) = (rig.nats.clone(), qdrant(&server.url()), runtime.clone());
        let embedder = Embedder::spawn(Arc::new(Hashing::new()), Limits::default());
        async move {
            let dependencies = Dependencies { nats, embedder, vectors: Some(vectors) };
            run(&settings(), &StreamsConfig::default(), dependencies, &runtime).await
        }
    });
    wait::until("it asks for the collection", SOON, async || {
        server.calls("collections.collection_exists") > 0
    })
    .await;
    let closed: Vec<String> = runtime.health.not_ready().into_iter().map(|gate| gate.gate).collect();
    assert_eq!(closed, ["indexing: consumer", "indexing: vectors"]);

    server.set_down(false);
    starting.await.unwrap().unwrap();
    wait::until("it is ready", SOON, async || runtime.health.is_ready()).await;
    runtime.shutdown.begin();
    runtime.join().await.unwrap();
}

/// Makes an indexer on a Qdrant double, and deliveries of three tools that came for the fifth time.
async fn on_qdrant(rig: &Rig, server: &QdrantDouble) -> (Indexer<Qdrant>, Qdrant, Vec<Tool>, Vec<Delivery>) {
    let vectors = qdrant(&server.url());
    vectors.ensure().await.unwrap();
    let embedder = Embedder::spawn(Arc::new(Hashing::new()), Limits::default());
    let indexer = Indexer::new(rig.nats.clone(), embedder, Some(vectors.clone()), Duration::from_hours(1));
    let tools: Vec<Tool> = sample::tools().into_iter().take(3).collect();
    let deliveries = tools.iter().zip(1..).map(|(tool, revision)| Delivery {
        subject: subjects::tools(&key(tool)),
        payload: registered(tool).into(),
        stream_sequence: revision,
        attempts: 5,
        published_at: OffsetDateTime::now_utc(),
        span: Span::none(),
    });
    let deliveries = deliveries.collect();
    (indexer, vectors, tools, deliveries)
}

#[tokio::test]
async fn a_point_that_is_refused_again_and_again_is_rejected_alone() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let (indexer, _, _, deliveries) = on_qdrant(&rig, &server).await;
    let refused = Status::invalid_argument("Wrong input: this point is not welcome");

    // The whole batch is refused, and then one of its points alone.
    server.fail_next_of("points.upsert", 2, &refused);
    let early: Vec<Delivery> =
        deliveries.iter().map(|delivery| Delivery { attempts: 1, ..delivery.clone() }).collect();
    let outcomes = indexer.handle(&early).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count(), 2, "{outcomes:?}");
    assert!(outcomes.contains(&Outcome::RetryAfter(Duration::from_secs(1))), "{outcomes:?}");
    assert_eq!(rig.messages(INDEXED_STREAM).await, 2);

    server.fail_next_of("points.upsert", 2, &refused);
    let outcomes = indexer.handle(&deliveries).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Done).count(), 2, "{outcomes:?}");
    let fault = outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Reject(fault) => Some(fault),
        _ => None,
    });
    let message = &fault.expect("one is rejected").message;
    assert!(message.starts_with("could not be indexed: ") && message.contains("not welcome"), "{message}");
    assert!(server.points_with_vectors() >= 2);
}

#[tokio::test]
async fn a_lost_collection_is_nobodys_fault_and_rejects_nothing() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let (indexer, vectors, tools, deliveries) = on_qdrant(&rig, &server).await;
    vectors.delete_collection().await.unwrap();
    let outcomes = indexer.handle(&deliveries).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::RetryAfter(_))), "{outcomes:?}");
    assert_eq!(rig.messages(INDEXED_STREAM).await, 0);

    vectors.ensure().await.unwrap();
    assert_eq!(indexer.handle(&deliveries).await, vec![Outcome::Done; tools.len()]);
    assert_eq!(server.points_with_vectors(), tools.len());
}

#[tokio::test]
async fn a_removal_that_is_refused_again_and_again_is_rejected_alone_and_the_tool_stays_as_it_was() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let (indexer, _, tools, registrations) = on_qdrant(&rig, &server).await;
    assert_eq!(indexer.handle(&registrations).await, vec![Outcome::Done; tools.len()]);

    let removals: Vec<Delivery> = registrations
        .iter()
        .map(|registration| Delivery {
            payload: br#"{"event":"removed"}"#.to_vec().into(),
            stream_sequence: registration.stream_sequence + 10,
            ..registration.clone()
        })
        .collect();
    // The whole batch is refused, and then one of its points alone.
    server.fail_next_of("points.upsert", 2, &Status::invalid_argument("Expected some vectors"));
    let outcomes = indexer.handle(&removals).await;
    let refused: Vec<usize> = (0..tools.len()).filter(|&n| outcomes[n] != Outcome::Done).collect();
    let [refused] = refused[..] else { panic!("one is refused: {outcomes:?}") };
    let Outcome::Reject(fault) = &outcomes[refused] else { panic!("it is rejected: {outcomes:?}") };
    assert!(fault.message.contains("Expected some vectors"), "the store's own words: {fault}");
    for (n, tool) in tools.iter().enumerate() {
        let event = rig.indexed(&key(tool)).await.expect("INDEXED holds every tool");
        assert_eq!(matches!(event, IndexedEvent::Indexed { .. }), n == refused, "{event:?}");
    }
    assert_eq!(server.points_with_vectors(), 1, "and the vector store says the same");
}

#[tokio::test]
async fn a_store_that_refuses_everything_rejects_nothing_and_is_told_by_readiness() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let vectors = qdrant(&server.url());
    let worker = Worker::start_with(&rig, Arc::new(Hashing::new()), Some(vectors.clone())).await;
    wait::until("the worker is ready", SOON, async || worker.runtime.health.is_ready()).await;

    // Somebody made the collection anew for vectors of another length: no point fits it.
    let another = qdrant_of(&server.url(), NonZeroUsize::MIN);
    vectors.delete_collection().await.unwrap();
    another.ensure().await.unwrap();
    let tool = sample::tool();
    let revision = rig.register(&tool).await;
    let closed = wait::until("readiness says so", SOON, async || {
        worker.runtime.health.not_ready().into_iter().find(|gate| gate.gate == "indexing: vectors")
    })
    .await;
    assert!(closed.reason.contains("holds vector") && closed.reason.contains("QDRANT_ALIAS"), "{closed:?}");
    let page = metrics::render(metrics::Format::Prometheus).unwrap();
    let counted = page.lines().find(|line| line.contains("index_store_refused_total{refused=\"store\"}"));
    assert!(counted.is_some_and(|line| !line.ends_with(" 0")), "{counted:?}");

    another.delete_collection().await.unwrap();
    vectors.ensure().await.unwrap();
    rig.until_indexed(&tool, revision, AFTER_REDELIVERY).await;
    wait::until("the worker is ready again", SOON, async || worker.runtime.health.is_ready()).await;
    assert_eq!(rig.messages(REJECTED_STREAM).await, 0);
    worker.stop().await;
}
