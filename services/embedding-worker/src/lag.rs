//! The lag of indexing behind TOOLS, looked up again and again for metrics, readiness and the cutover.
//! Nothing here moves an event.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use toolweaver_contracts::subjects::{TOOLS_STREAM, TOOLS_SUBJECTS};
use toolweaver_messaging::{Consumer, Nats};
use toolweaver_service_runtime::Gate;

use crate::cutover::Cutover;
use crate::metrics;

/// The time between two looks at the consumer.
const PERIOD: Duration = Duration::from_secs(2);

/// Watches the lag until `stop`. The gate is open while the server knows the consumer.
pub(crate) async fn watch(
    nats: Nats,
    consumer: Consumer,
    gate: Gate,
    mut cutover: Cutover,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let lag = match consumer.lag().await {
            Ok(lag) => lag,
            Err(error) => {
                gate.not_ready(format!("{error}"));
                continue;
            }
        };
        gate.ready();
        let unindexed = lag.pending + lag.ack_pending;
        let oldest = if unindexed == 0 {
            Duration::ZERO
        } else {
            age_after(&nats, lag.ack_floor_stream_sequence).await
        };
        metrics::lag(unindexed, oldest);
        if unindexed == 0 {
            cutover.when_filled().await;
        }
    }
    Ok(())
}

/// Returns the age of the first event after `sequence`; zero if there is none or it cannot be read now.
async fn age_after(nats: &Nats, sequence: u64) -> Duration {
    let Ok(stream) = nats.jetstream().get_stream_no_info(TOOLS_STREAM).await else { return Duration::ZERO };
    match stream.direct_get_next_for_subject(TOOLS_SUBJECTS, Some(sequence + 1)).await {
        Ok(message) => (OffsetDateTime::now_utc() - message.time).try_into().unwrap_or_default(),
        Err(_) => Duration::ZERO,
    }
}
