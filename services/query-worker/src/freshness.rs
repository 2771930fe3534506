//! Read your writes: waiting until the projection holds what the caller knows to exist.

use std::{error::Error, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};
use toolweaver_contracts::{
    ErrorCode, Fault, SearchRequest,
    subjects::{INDEXED_STREAM, TOOLS_STREAM},
};
use toolweaver_messaging::{Nats, consumer, streams};
use tracing::debug;

use crate::projection::Projection;

/// How often NATS is asked how far the indexing is, while somebody waits for a revision not seen here.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Knows how far this worker is, and whom to ask about the rest.
pub(crate) struct Freshness {
    pub(crate) nats: Nats,
    pub(crate) projection: Projection,
    /// The durable consumer that indexes for this model.
    pub(crate) consumer: String,
}

impl Freshness {
    /// Waits for `min_version` and `min_revision` for at most `wait_ms`; the fault says how far it is.
    pub(crate) async fn wait(&self, request: &SearchRequest) -> Result<(), Fault> {
        wait(request, &self.projection, &self.nats, &self.consumer).await
    }
}

async fn wait(
    request: &SearchRequest,
    projection: &Projection,
    nats: &Nats,
    consumer: &str,
) -> Result<(), Fault> {
    let deadline = Instant::now() + Duration::from_millis(request.wait_ms.unwrap_or(0));
    if let Some(version) = request.min_version
        && projection.applied().version < version
        && timeout_at(deadline, projection.reach(version)).await.is_err()
    {
        return Err(not_yet(
            "/min_version",
            &format!("version {version} is not applied yet"),
            request,
            projection,
        ));
    }
    if let Some(revision) = request.min_revision
        && !projection.catalog().applied_lately(revision)
        && timeout_at(deadline, until_indexed(revision, projection, nats, consumer)).await.is_err()
    {
        return Err(not_yet(
            "/min_revision",
            &format!("revision {revision} is not searchable yet"),
            request,
            projection,
        ));
    }
    Ok(())
}

/// Ends once revision is searchable here: seen in INDEXED, or settled in TOOLS with all that INDEXED then held applied.
///
/// The second way covers a revision that never appears in INDEXED, because a newer one of the same tool replaced it or
/// because it was rejected.
async fn until_indexed(revision: u64, projection: &Projection, nats: &Nats, consumer: &str) {
    tokio::select! {
        () = projection.reach_revision(revision) => {}
        version = settled_version(revision, nats, consumer) => projection.reach(version).await,
    }
}

/// Waits until every event in TOOLS up to `revision` is settled; returns a version of INDEXED that holds them all.
async fn settled_version(revision: u64, nats: &Nats, consumer: &str) -> u64 {
    loop {
        match version_if_settled(revision, nats, consumer).await {
            Ok(Some(version)) => return version,
            Ok(None) => {}
            Err(error) => debug!(error, "cannot ask how far the indexing is"),
        }
        sleep(POLL_EVERY).await;
    }
}

async fn version_if_settled(
    revision: u64,
    nats: &Nats,
    consumer: &str,
) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
    let lag = consumer::lag(nats, TOOLS_STREAM, consumer).await?;
    let all_settled = lag.pending == 0 && lag.ack_pending == 0;
    let is_settled = lag.ack_floor_stream_sequence >= revision
        || (all_settled && streams::state(nats, TOOLS_STREAM).await?.last_sequence >= revision);
    if !is_settled {
        return Ok(None);
    }
    Ok(Some(streams::state(nats, INDEXED_STREAM).await?.last_sequence))
}

fn not_yet(pointer: &str, message: &str, request: &SearchRequest, projection: &Projection) -> Fault {
    let hint = if request.wait_ms.is_some() {
        "ask again, or wait longer with wait_ms"
    } else {
        "say with wait_ms how long the search may wait"
    };
    let applied = projection.applied();
    Fault::new(ErrorCode::NotYet, format!("{message}; this worker is at version {}", applied.version))
        .at(pointer)
        .hint(hint)
}
