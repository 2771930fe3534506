//! Registrations and removals when nothing goes wrong.

use std::sync::Arc;

use serde_json::json;
use toolweaver_contracts::IndexedEvent;
use toolweaver_contracts::subjects::{INDEXED_STREAM, TOOLS_STREAM};
use toolweaver_embedding::{Hashing, Model, Role, template};
use toolweaver_service_runtime::telemetry::metrics;
use toolweaver_testkit::qdrant::QdrantDouble;
use toolweaver_testkit::{sample, wait};

use crate::support::{Rig, SOON, Worker, key, qdrant, texts_of, tool, tool_with, vector_of};

#[tokio::test]
async fn a_registered_tool_is_indexed_with_its_vector() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    for tool in sample::tools() {
        let revision = rig.register(&tool).await;
        let event = rig.until_indexed(&tool, revision, SOON).await;
        let passages =
            worker.embedder.embed(Role::Passage, template::passages(&tool).to_vec()).await.unwrap();
        let expected = template::combine([&passages[0], &passages[1]]);
        assert_eq!(vector_of(&event), (Hashing::new().fingerprint().hex(), &expected[..]));
        let IndexedEvent::Indexed { tool: indexed, .. } = event else { unreachable!("it has a vector") };
        assert_eq!(*indexed, tool);
    }
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    wait::until("the worker is ready", SOON, async || worker.runtime.health.is_ready()).await;
    worker.stop().await;
}

#[tokio::test]
async fn what_operators_watch_is_in_the_metrics() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let tool = sample::tool();
    let revision = rig.register(&tool).await;
    rig.until_indexed(&tool, revision, SOON).await;
    let names = [
        "toolweaver_indexed_total{event=\"registered\"}",
        "toolweaver_tool_vectors_total{source=\"model\"}",
        "toolweaver_index_batch_events_count",
        "toolweaver_index_stage_seconds_bucket{stage=\"publish\",le=\"0.0005\"}",
        "toolweaver_embedded_texts_total",
        "toolweaver_embedded_tokens_total",
        "toolweaver_embedded_padded_tokens_total",
        "toolweaver_embedding_busy_seconds_total",
        "toolweaver_unindexed_events",
        "toolweaver_unindexed_age_seconds",
    ];
    wait::until("every metric is there", SOON, async || {
        let page = metrics::render(metrics::Format::Prometheus).unwrap();
        let missing: Vec<_> = names.iter().filter(|name| !page.contains(**name)).collect();
        println!("missing: {missing:?}");
        missing.is_empty()
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn what_is_indexed_is_in_the_vector_database_too() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let vectors = qdrant(&server.url());
    let worker = Worker::start_with(&rig, Arc::new(Hashing::new()), Some(vectors.clone())).await;
    let tools: Vec<_> = sample::tools().into_iter().filter(|tool| tool.allowed_roles.is_empty()).collect();
    for tool in &tools {
        let revision = rig.register(tool).await;
        rig.until_indexed(tool, revision, SOON).await;
    }
    assert_eq!(server.points_with_vectors(), tools.len());

    let revision = rig.remove(&tools[0]).await;
    rig.until_indexed(&tools[0], revision, SOON).await;
    assert_eq!(server.points_with_vectors(), tools.len() - 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_removal_replaces_the_tool_and_expires() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let tool = sample::tool();
    let registered = rig.register(&tool).await;
    rig.until_indexed(&tool, registered, SOON).await;
    let removed = rig.remove(&tool).await;
    let event = rig.until_indexed(&tool, removed, SOON).await;
    assert_eq!(event, IndexedEvent::Removed { revision: removed });
    assert_eq!(rig.messages(INDEXED_STREAM).await, 1);

    let stream = rig.nats.jetstream().get_stream(INDEXED_STREAM).await.unwrap();
    let sequence = rig.indexed_message(&key(&tool)).await.unwrap().stream_sequence;
    let message = stream.get_raw_message(sequence).await.unwrap();
    let expiry = message.headers.get("Nats-TTL").map(|ttl| ttl.as_str().to_owned());
    assert_eq!(expiry.as_deref(), Some("604800"), "seven days in seconds");
    worker.stop().await;
}

#[tokio::test]
async fn of_a_hundred_quick_updates_the_last_one_wins_and_most_are_never_embedded() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let mut last = (tool("changing", ""), 0);
    for version in 0..100 {
        let tool = tool("changing", &format!("Description number {version}."));
        let revision = rig.register(&tool).await;
        last = (tool, revision);
    }
    let event = rig.until_indexed(&last.0, last.1, SOON).await;
    let IndexedEvent::Indexed { tool, .. } = event else { panic!("removed") };
    assert_eq!(*tool, last.0);
    assert!(worker.embedded() < 100, "{} embeddings", worker.embedded());
    assert_eq!(rig.messages(TOOLS_STREAM).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn registering_unchanged_tools_again_embeds_nothing_not_even_in_a_new_process() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let tools = sample::tools();
    for tool in &tools {
        let revision = rig.register(tool).await;
        rig.until_indexed(tool, revision, SOON).await;
    }
    assert_eq!(worker.embedded(), texts_of(&tools));

    for tool in &tools {
        let revision = rig.register(tool).await;
        rig.until_indexed(tool, revision, SOON).await;
    }
    assert_eq!(worker.embedded(), texts_of(&tools));
    worker.stop().await;

    let worker = Worker::start(&rig).await;
    for tool in &tools {
        let revision = rig.register(tool).await;
        rig.until_indexed(tool, revision, SOON).await;
    }
    assert_eq!(worker.embedded(), 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_change_outside_the_embedded_text_is_indexed_without_embedding() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let before = tool_with(json!({ "tool_name": "same", "description": "Says the same." }));
    let after = tool_with(json!({ "tool_name": "same", "description": "Says the same.", "tags": ["new"] }));
    let revision = rig.register(&before).await;
    let event = rig.until_indexed(&before, revision, SOON).await;
    let revision = rig.register(&after).await;
    let changed = rig.until_indexed(&after, revision, SOON).await;
    assert_eq!(vector_of(&event), vector_of(&changed));
    let IndexedEvent::Indexed { tool, .. } = changed else { unreachable!("it has a vector") };
    assert_eq!(tool.tags, ["new"]);
    assert_eq!(worker.embedded(), texts_of([&before]));
    worker.stop().await;
}

#[tokio::test]
async fn a_new_collection_is_filled_from_what_was_published_before_without_embedding() {
    let (rig, server) = (Rig::start().await, QdrantDouble::start().await);
    let worker = Worker::start(&rig).await;
    let (kept, removed) = (tool("kept", "It stays."), tool("removed", "It goes."));
    for tool in [&kept, &removed] {
        let revision = rig.register(tool).await;
        rig.until_indexed(tool, revision, SOON).await;
    }
    let revision = rig.remove(&removed).await;
    rig.until_indexed(&removed, revision, SOON).await;
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    worker.stop().await;

    let indexed_before = rig.indexed_message(&key(&kept)).await.unwrap().stream_sequence;
    let vectors = qdrant(&server.url());
    let worker = Worker::start_with(&rig, Arc::new(Hashing::new()), Some(vectors.clone())).await;
    wait::until("the collection is filled", SOON, async || server.points_with_vectors() == 1).await;
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    assert_eq!(worker.embedded(), 0);
    let indexed_now = rig.indexed_message(&key(&kept)).await.unwrap().stream_sequence;
    assert_eq!(indexed_now, indexed_before, "nothing changed for readers");
    wait::until("the alias points at the filled collection", SOON, async || {
        vectors.active_collection().await.unwrap().as_deref() == Some(vectors.collection())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_lost_indexed_stream_is_filled_again_from_tools() {
    let rig = Rig::start().await;
    let worker = Worker::start(&rig).await;
    let tool = sample::tool();
    let revision = rig.register(&tool).await;
    rig.until_indexed(&tool, revision, SOON).await;
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    worker.stop().await;

    rig.nats.jetstream().delete_stream(INDEXED_STREAM).await.unwrap();
    let worker = Worker::start(&rig).await;
    rig.until_indexed(&tool, revision, SOON).await;
    rig.until_acknowledged(Hashing::new().fingerprint(), SOON).await;
    worker.stop().await;

    // A purged one goes on counting where it was.
    rig.nats.jetstream().get_stream(INDEXED_STREAM).await.unwrap().purge().await.unwrap();
    let worker = Worker::start(&rig).await;
    rig.until_indexed(&tool, revision, SOON).await;
    worker.stop().await;
}
