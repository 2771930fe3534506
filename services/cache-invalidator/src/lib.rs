//! The cache invalidator: drops what is cached of tools and raises catalog versions when something became
//! searchable.
//!
//! ```text
//! INDEXED ─▶ consumer: batches, 1 at a time ─▶ pace ─▶ invalidator ─▶ store: less metadata of changed tools,
//!                                                           │                then versions of tenants
//!                                                           └───────▶ versions.v1.<tenant>
//! ```
//! A version is a sequence of INDEXED, which gets an event only after the change is searchable: so a version
//! never runs ahead of the data, whoever raises it and in whatever order. The store lets versions only grow,
//! so any number of these services may run, and see events again, without harm. A stream that is made anew
//! starts its sequences again; versions are kept for one incarnation of it, and the service ends, to be
//! started again, when there is another.
//!
//! `coalesce` says what a batch asks for, `pace` when it may be done, `invalidator` does it, `watch` tells
//! the lag. Here does **not** live: acknowledging (`messaging`), how versions are kept (`catalog-cache`), and
//! who reads them.

mod coalesce;
mod config;
mod dependencies;
mod invalidator;
mod metrics;
mod pace;
mod watch;

use std::time::Duration;

use anyhow::Context as _;
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_messaging::consumer::ConsumerError;
use toolweaver_messaging::streams::{self, EnsureError};
use toolweaver_messaging::{Consumer, ConsumerConfig, StreamsConfig};
use toolweaver_resilience::Retry;
use toolweaver_service_runtime::Runtime;
use tracing::warn;

pub use self::config::{Config, InvalidationSettings};
pub use self::dependencies::Dependencies;
use self::invalidator::Invalidator;
use self::pace::Pace;

/// The consumer that all invalidators share.
pub const DURABLE: &str = "cache-invalidator";

/// Time after which the server delivers again what nobody acknowledged.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// Wires the invalidator up and returns; it then runs until `runtime` shuts down.
///
/// Makes the streams where they are missing, and waits for NATS while it is not up. The store is waited for
/// by the batches.
pub async fn run(
    settings: &InvalidationSettings,
    streams_config: &StreamsConfig,
    dependencies: Dependencies,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let gates =
        ["streams", "consumer", "store"].map(|name| runtime.health.gate(format!("invalidation: {name}")));
    let [streams_gate, consumer_gate, store_gate] = gates;
    let Dependencies { nats, store } = dependencies;
    metrics::declare();
    let stop = runtime.shutdown.soft();

    let make_streams = async || {
        streams::ensure(&nats, streams_config).await?;
        streams::state(&nats, INDEXED_STREAM).await
    };
    let indexed = Retry::new("make the streams", stop)
        .at(nats.address())
        .observe(|failed| streams_gate.not_ready(failed.to_string()))
        .run(EnsureError::is_transient, make_streams)
        .await
        .context("cannot make the streams")?;
    streams_gate.ready();

    let consumer = Consumer::new(
        nats.clone(),
        ConsumerConfig {
            batch_max: settings.invalidation_batch_max,
            linger: settings.linger(),
            // What the server sent to an invalidator that was just then stopping comes back after this time.
            ack_wait: ACK_WAIT,
            ..ConsumerConfig::new(INDEXED_STREAM, DURABLE)
        },
    );
    Retry::new("make the consumer", stop)
        .at(nats.address())
        .observe(|failed| consumer_gate.not_ready(failed.to_string()))
        .run(ConsumerError::is_transient, || consumer.ensure())
        .await
        .context("cannot make the consumer")?;

    let incarnation = indexed.incarnation();
    let pace = Pace::new(settings.linger());
    let invalidator = Invalidator::new(nats.clone(), store.clone(), incarnation.clone(), pace, stop.clone());
    let consumption = (consumer.clone(), stop.clone());
    runtime.tasks.spawn("invalidation", async move {
        let (consumer, stop) = consumption;
        consumer.run(invalidator, stop).await;
        Ok(())
    });
    runtime
        .tasks
        .spawn("invalidation lag", watch::watch(consumer, consumer_gate, store, store_gate, stop.clone()));
    runtime.tasks.spawn("invalidation stream", watch::watch_stream(nats, incarnation, stop.clone()));
    Ok(())
}

/// Runs one invalidator as a process of its own: connects what the configuration names, then [`run`].
pub async fn serve(config: &Config, runtime: &Runtime) -> anyhow::Result<()> {
    if !config.cache.redis.use_redis {
        warn!(
            "USE_REDIS is false: versions are announced on NATS, and kept where no other process can read them"
        );
    }
    let dependencies = Dependencies::connect(config, runtime.shutdown.soft()).await?;
    run(&config.invalidation, &config.streams, dependencies, runtime).await
}
