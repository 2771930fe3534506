//! The watch over this service: the lag of the versions behind INDEXED, the health of Redis and NATS (both
//! for metrics and readiness), and the identity of the stream.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::Store;
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_messaging::{Consumer, Nats, streams};
use toolweaver_service_runtime::Gate;

use crate::metrics;

/// The time between two looks at the servers.
const PERIOD: Duration = Duration::from_secs(1);

/// Watches until `stop`.
pub(crate) async fn watch(
    consumer: Consumer,
    consumer_gate: Gate,
    store: Store,
    store_gate: Gate,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = ticks();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if store.is_connected() {
            store_gate.ready();
        } else {
            store_gate.not_ready("Redis cannot be reached");
        }
        match consumer.lag().await {
            Ok(lag) => {
                consumer_gate.ready();
                metrics::lag(lag.pending + lag.ack_pending, lag.ack_floor_stream_sequence);
            }
            Err(error) => consumer_gate.not_ready(error.to_string()),
        }
    }
    Ok(())
}

/// Watches until `stop`; fails when INDEXED is another stream than it was at the start. The consumer would go
/// on with the new one, and its low sequences would raise nothing.
pub(crate) async fn watch_stream(
    nats: Nats,
    incarnation: String,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = ticks();
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // Without an answer there is nothing to say: others tell that NATS is away.
        if let Ok(state) = streams::state(&nats, INDEXED_STREAM).await {
            ensure!(state.incarnation() == incarnation, "INDEXED was made anew while this service ran");
        }
    }
    Ok(())
}

fn ticks() -> Interval {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
