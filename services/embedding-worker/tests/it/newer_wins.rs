//! Whoever is late, however often and in whatever order events are delivered: the highest revision stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use time::OffsetDateTime;
use toolweaver_contracts::{IndexedEvent, Predicate, TEXT_VECTOR, Tenant, Tool, Vector, encode, subjects};
use toolweaver_embedding::{Embedder, Hashing, Limits, Model};
use toolweaver_embedding_worker::Indexer;
use toolweaver_messaging::{BatchHandler, Delivery, Outcome, Outgoing, publish};
use toolweaver_testkit::sample;
use toolweaver_vector_store::{Memory, VectorStore};
use tracing::Span;

use crate::support::{Rig, key, registered, texts_of, tool};

const REMOVED: &[u8] = br#"{"event":"removed"}"#;

fn delivery(subject: String, body: &[u8], revision: u64) -> Delivery {
    Delivery {
        subject,
        payload: body.to_vec().into(),
        stream_sequence: revision,
        attempts: 1,
        published_at: OffsetDateTime::now_utc(),
        span: Span::none(),
    }
}

fn registration(tool: &Tool, revision: u64) -> Delivery {
    delivery(subjects::tools(&key(tool)), &registered(tool), revision)
}

fn removal(tool: &Tool, revision: u64) -> Delivery {
    delivery(subjects::tools(&key(tool)), REMOVED, revision)
}

fn embedder() -> Embedder {
    Embedder::spawn(Arc::new(Hashing::new()), Limits::default())
}

fn memory() -> Memory {
    Memory::new(Hashing::new().dimensions())
}

fn indexer(rig: &Rig, embedder: &Embedder, store: &Memory) -> Indexer<Memory> {
    Indexer::new(rig.nats.clone(), embedder.clone(), Some(store.clone()), Duration::from_hours(1))
}

/// Returns how many tools of a tenant a search finds.
async fn count(store: &Memory, tenant: Tenant) -> usize {
    let anything = vec![1.0; Hashing::new().dimensions().get()];
    store.search(&[anything], &Predicate::tenant(tenant), 1_000, &[]).await.unwrap().len()
}

#[tokio::test]
async fn a_late_registration_does_not_bring_a_removed_tool_back() {
    let (rig, embedder, store) = (Rig::start().await, embedder(), memory());
    let indexer = indexer(&rig, &embedder, &store);
    let tool = sample::tool();
    for event in [registration(&tool, 5), removal(&tool, 6)] {
        assert_eq!(indexer.handle(&[event]).await, [Outcome::Done]);
    }
    let before = rig.indexed_message(&key(&tool)).await.unwrap().stream_sequence;

    let late = Delivery { attempts: 3, ..registration(&tool, 5) };
    assert_eq!(indexer.handle(&[late]).await, [Outcome::Done]);
    assert_eq!(rig.indexed(&key(&tool)).await, Some(IndexedEvent::Removed { revision: 6 }));
    assert_eq!(rig.indexed_message(&key(&tool)).await.unwrap().stream_sequence, before);
    assert_eq!(count(&store, Tenant::default()).await, 0);
}

#[tokio::test]
async fn the_same_event_twice_changes_nothing_the_second_time() {
    let (rig, embedder, store) = (Rig::start().await, embedder(), memory());
    let (one, other) = (indexer(&rig, &embedder, &store), indexer(&rig, &embedder, &store));
    let tool = sample::tool();
    assert_eq!(one.handle(&[registration(&tool, 5)]).await, [Outcome::Done]);
    let before = rig.indexed_message(&key(&tool)).await.unwrap().stream_sequence;
    assert_eq!(other.handle(&[registration(&tool, 5)]).await, [Outcome::Done]);
    assert_eq!(rig.indexed_message(&key(&tool)).await.unwrap().stream_sequence, before);
    assert_eq!(embedder.stats().texts, texts_of([&tool]));
}

#[tokio::test]
async fn an_event_of_another_model_is_replaced_but_never_a_newer_one() {
    let (rig, embedder, store) = (Rig::start().await, embedder(), memory());
    let indexer = indexer(&rig, &embedder, &store);
    let tool = sample::tool();
    let by_another_model = IndexedEvent::Indexed {
        revision: 5,
        model: "another".to_owned(),
        tool: Arc::new(tool.clone()),
        vectors: BTreeMap::from([(TEXT_VECTOR.to_owned(), Vector(vec![1.0]))]),
    };
    let message = Outgoing::new(subjects::indexed(&key(&tool)), encode(&by_another_model));
    publish(&rig.nats, message).await.unwrap();

    assert_eq!(indexer.handle(&[registration(&tool, 4)]).await, [Outcome::Done]);
    assert_eq!(rig.indexed(&key(&tool)).await.unwrap(), by_another_model);

    assert_eq!(indexer.handle(&[registration(&tool, 5)]).await, [Outcome::Done]);
    let Some(IndexedEvent::Indexed { model, vectors, .. }) = rig.indexed(&key(&tool)).await else {
        panic!("the tool is gone")
    };
    assert_eq!(model, Hashing::new().fingerprint().hex());
    assert_eq!(vectors[TEXT_VECTOR].0.len(), Hashing::new().dimensions().get());
}

/// INDEXED and the store end with the highest revision of each tool, whatever happened on the way.
#[tokio::test]
async fn two_workers_end_with_the_highest_revision_of_each_tool_in_any_interleaving() {
    const SEEDS: u64 = 40;
    const TOOLS: usize = 3;
    let rig = Rig::start().await;
    let (embedder, store) = (embedder(), memory());
    let workers = [indexer(&rig, &embedder, &store), indexer(&rig, &embedder, &store)];
    for seed in 0..SEEDS {
        let mut random = StdRng::seed_from_u64(seed);
        let tenant: Tenant = format!("seed-{seed}").parse().unwrap();
        let mut events = Vec::new();
        let mut expected = vec![None; TOOLS];
        for revision in 1..=random.random_range(4..30) {
            let place = random.random_range(0..TOOLS);
            let tool = tool(&format!("tool_{place}"), &format!("As of revision {revision}."));
            let subject = subjects::tools(&sample::key(&tenant, &tool));
            if random.random_bool(0.3) {
                events.push(delivery(subject, REMOVED, revision));
                expected[place] = Some((tool, revision, true));
            } else {
                events.push(delivery(subject, &registered(&tool), revision));
                expected[place] = Some((tool, revision, false));
            }
        }
        // Some are delivered again, to anybody.
        let again: Vec<Delivery> = events.iter().filter(|_| random.random_bool(0.3)).cloned().collect();
        events.extend(again);
        events.shuffle(&mut random);
        let (left, right) = events.split_at(random.random_range(0..=events.len()));
        let sizes: Vec<usize> = (0..events.len()).map(|_| random.random_range(1..6)).collect();
        tokio::join!(work(&workers[0], left, &sizes), work(&workers[1], right, &sizes));

        let mut alive = 0;
        for (tool, revision, is_removed) in expected.into_iter().flatten() {
            let event = rig.indexed(&sample::key(&tenant, &tool)).await;
            match event {
                Some(IndexedEvent::Indexed { revision: found, tool: indexed, .. }) if !is_removed => {
                    assert_eq!((found, &*indexed), (revision, &tool), "seed {seed}");
                    alive += 1;
                }
                Some(IndexedEvent::Removed { revision: found }) if is_removed => {
                    assert_eq!(found, revision, "seed {seed}");
                }
                other => {
                    panic!("seed {seed}: {} should be at revision {revision}: {other:?}", tool.tool_name)
                }
            }
        }
        assert_eq!(count(&store, tenant).await, alive, "seed {seed}");
    }
}

/// Hands events to a worker in batches of these sizes, until each of them is done.
async fn work(worker: &Indexer<Memory>, events: &[Delivery], sizes: &[usize]) {
    let mut rest = events;
    for &size in sizes {
        let (batch, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        let mut open = batch.to_vec();
        while !open.is_empty() {
            let outcomes = worker.handle(&open).await;
            assert!(!outcomes.iter().any(|outcome| matches!(outcome, Outcome::Reject(_))), "{outcomes:?}");
            let mut outcomes = outcomes.into_iter();
            open.retain(|_| outcomes.next() != Some(Outcome::Done));
        }
    }
}
