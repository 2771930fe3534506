//! The embedding worker: what was published to TOOLS becomes searchable.
//!
//! ```text
//! TOOLS ─▶ consumer: batches of EMBEDDING_BATCH_MAX, EMBEDDING_BATCHES_AT_ONCE of them at a time
//!             │
//!          indexer ─▶ embedder: 1 thread, 1 batch waiting
//!             ├─────▶ Qdrant, where there is one
//!             └─────▶ INDEXED ─▶ everybody who answers searches
//! ```
//! Any number of these workers may run; the durable consumer shares the work out, and revisions guard every
//! write. A worker keeps nothing: killed at any moment, the next one goes on from what was acknowledged,
//! which is stored.
//!
//! `plan` says what a batch asks for, `indexer` does it with `vectors`, `store` and `indexed`, `failure`
//! decides what becomes of a change that failed, `cutover` moves the alias of the vector database. Here does
//! **not** live: acknowledging (`messaging`), models (`embedding`), and searching.

mod config;
mod cutover;
mod dependencies;
mod failure;
mod indexed;
mod indexer;
mod lag;
mod metrics;
mod plan;
mod store;
mod vectors;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolweaver_contracts::subjects::{self, INDEXED_STREAM, TOOLS_STREAM};
use toolweaver_embedding::Embedder;
use toolweaver_messaging::consumer::ConsumerError;
use toolweaver_messaging::streams::{self, EnsureError};
use toolweaver_messaging::{Consumer, ConsumerConfig, StreamsConfig};
use toolweaver_resilience::Retry;
use toolweaver_service_runtime::Runtime;
use toolweaver_vector_store::{Ensured, StoreError};

use self::cutover::Cutover;

pub use self::config::{Config, IndexingSettings};
pub use self::dependencies::Dependencies;
pub use self::indexer::Indexer;

/// Batches of this many may wait unacknowledged, over all workers: those in work, and those whose retry is
/// due later.
const BATCHES_UNACKNOWLEDGED_MAX: usize = 16;
/// So much later another worker gets the batch of one that was killed. A live one extends it, however long it
/// takes.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// Wires the worker up and returns; it then runs until `runtime` shuts down.
///
/// Makes the streams and the collection where they are missing, and waits for NATS and Qdrant while they are
/// not up.
pub async fn run(
    settings: &IndexingSettings,
    streams_config: &StreamsConfig,
    dependencies: Dependencies,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let gates =
        ["streams", "vectors", "consumer"].map(|name| runtime.health.gate(format!("indexing: {name}")));
    let [streams_gate, vectors_gate, consumer_gate] = gates;
    let Dependencies { nats, embedder, vectors } = dependencies;
    let stop = runtime.shutdown.soft();
    metrics::declare();
    toolweaver_embedding::metrics::observe(&embedder, "tools");

    let make_streams = async || {
        streams::ensure(&nats, streams_config).await?;
        streams::state(&nats, INDEXED_STREAM).await
    };
    let log = Retry::new("make the streams", stop)
        .at(nats.address())
        .observe(|failed| streams_gate.not_ready(failed.to_string()))
        .run(EnsureError::is_transient, make_streams)
        .await
        .context("cannot make the streams")?;
    streams_gate.ready();

    // Whichever is new misses what was acknowledged before.
    let mut incomplete = log.messages == 0;
    if let Some(vectors) = &vectors {
        let ensured = Retry::new("make the collection", stop)
            .at(vectors.url())
            .observe(|failed| vectors_gate.not_ready(failed.to_string()))
            .run(StoreError::is_transient, || vectors.ensure())
            .await
            .context("cannot make the collection")?;
        incomplete |= ensured == Ensured::Created;
    }
    vectors_gate.ready();

    let durable = subjects::embedding_consumer(embedder.fingerprint().short());
    let consumer = Consumer::new(nats.clone(), consumer_config(settings, durable));
    let make_consumer = async || {
        // Costs no embedding where only the collection is new: INDEXED has the vectors.
        if incomplete { consumer.start_over().await } else { consumer.ensure().await }
    };
    Retry::new("make the consumer", stop)
        .at(nats.address())
        .observe(|failed| consumer_gate.not_ready(failed.to_string()))
        .run(ConsumerError::is_transient, make_consumer)
        .await
        .context("cannot make the consumer")?;

    let tombstones_live = settings.tombstones_live();
    let indexer = Indexer::new(nats.clone(), embedder.clone(), vectors.clone(), tombstones_live);
    let indexer = Arc::new(indexer.with_store_gate(vectors_gate));
    for lane in 1..=settings.embedding_batches_at_once.get() {
        let (consumer, indexer, stop) = (consumer.clone(), Arc::clone(&indexer), stop.clone());
        runtime.tasks.spawn(format!("indexing {lane}"), async move {
            consumer.run(indexer, stop).await;
            Ok(())
        });
    }
    runtime
        .tasks
        .spawn("indexing lag", lag::watch(nats, consumer, consumer_gate, Cutover::to(vectors), stop.clone()));
    runtime.tasks.spawn("indexing model", watch_model(embedder, stop.clone()));
    Ok(())
}

fn consumer_config(settings: &IndexingSettings, durable: String) -> ConsumerConfig {
    let batch_max = settings.embedding_batch_max;
    let defaults = ConsumerConfig::new(TOOLS_STREAM, durable);
    ConsumerConfig {
        batch_max,
        linger: settings.linger(),
        ack_wait: ACK_WAIT,
        ack_pending_max: defaults.ack_pending_max.max(BATCHES_UNACKNOWLEDGED_MAX * batch_max.get()),
        ..defaults
    }
}

/// Fails when the embedding thread has stopped: without it this process can do nothing, and must be started
/// again.
async fn watch_model(embedder: Embedder, stop: CancellationToken) -> anyhow::Result<()> {
    match stop.run_until_cancelled(embedder.stopped()).await {
        None => Ok(()),
        Some(()) => anyhow::bail!("the embedding thread has stopped"),
    }
}
