//! Replacement of one worker.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::sleep;

use crate::{
    arguments::RollingArguments,
    system::{End, Kind, System},
};

/// Margin over the drain timeout: a process must still report the work it left undone.
const MARGIN: Duration = Duration::from_secs(5);

/// Order and timeouts of the replacements.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Manner {
    in_place: bool,
    pre_stop_seconds: u64,
    drain_seconds: u64,
}

/// Result of one replacement.
#[derive(Debug, Serialize)]
pub(super) struct Replaced {
    pub(super) kind: Kind,
    /// Time from the start of the new process to its readiness, milliseconds.
    pub(super) ready_ms: f64,
    /// End of the old process.
    #[serde(flatten)]
    pub(super) end: End,
}

impl Manner {
    pub(super) fn new(arguments: &RollingArguments) -> Self {
        Self {
            in_place: arguments.restart_in_place,
            pre_stop_seconds: arguments.pre_stop_seconds,
            drain_seconds: arguments.drain_seconds,
        }
    }
}

/// Replaces the worker of a kind that runs longest.
pub(super) async fn replace(system: &mut System, kind: Kind, manner: Manner) -> anyhow::Result<Replaced> {
    if manner.in_place {
        let end = retire(system, kind, manner).await?;
        Ok(Replaced { kind, ready_ms: start(system, kind).await?, end })
    } else {
        let ready_ms = start(system, kind).await?;
        Ok(Replaced { kind, ready_ms, end: retire(system, kind, manner).await? })
    }
}

/// Starts a worker and returns the milliseconds until it was ready.
async fn start(system: &mut System, kind: Kind) -> anyhow::Result<f64> {
    let started = Instant::now();
    let worker = system.launch(kind)?;
    worker.ready().await?;
    system.join(worker);
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

async fn retire(system: &mut System, kind: Kind, manner: Manner) -> anyhow::Result<End> {
    let oldest = system.oldest(kind)?;
    sleep(Duration::from_secs(manner.pre_stop_seconds)).await;
    oldest.end(Duration::from_secs(manner.drain_seconds) + MARGIN).await
}
