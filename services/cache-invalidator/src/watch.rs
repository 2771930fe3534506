//! How far the versions are behind INDEXED, and whether the parts answer: for metrics and readiness.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::Store;
use toolweaver_messaging::Consumer;
use toolweaver_service_runtime::Gate;

use crate::metrics;

/// How often the servers are asked.
const PERIOD: Duration = Duration::from_secs(1);

/// Watches until `stop`.
pub(crate) async fn watch(
    consumer: Consumer,
    consumer_gate: Gate,
    store: Store,
    store_gate: Gate,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if store.is_connected() {
            store_gate.ready();
        } else {
            store_gate.not_ready("Redis cannot be reached");
        }
        match consumer.lag().await {
            Ok(lag) => {
                consumer_gate.ready();
                metrics::pending(lag.pending + lag.ack_pending);
            }
            Err(error) => consumer_gate.not_ready(error.to_string()),
        }
    }
    Ok(())
}
