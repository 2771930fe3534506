//! Writes of a batch to the vector store: one change that the store refuses does not take the others with it.

use std::collections::HashMap;
use std::sync::Arc;

use toolweaver_service_runtime::Gate;
use toolweaver_vector_store::{Point, StoreError, Tombstone, VectorStore};
use tracing::error;

use crate::failure::{Cause, Failure};
use crate::indexer::{EmbeddedChange, NewState};
use crate::metrics::{self, Refused};

/// Writes all changes. Returns those that are not stored, by their place; all others are confirmed.
pub(crate) async fn write(store: &impl VectorStore, changes: &[EmbeddedChange]) -> HashMap<usize, Failure> {
    let (mut points, mut tombstones) = (Vec::new(), Vec::new());
    let (mut registered, mut removed) = (Vec::new(), Vec::new());
    for (place, change) in changes.iter().enumerate() {
        let (key, revision) = (change.key.clone(), change.revision);
        match &change.new_state {
            NewState::Registered { tool, vector } => {
                registered.push(place);
                points.push(Point { key, revision, tool: Arc::clone(tool), vector: vector.to_vec() });
            }
            NewState::Removed => {
                removed.push(place);
                tombstones.push(Tombstone { key, revision });
            }
        }
    }
    // Neither waits for the other: no tool is in both.
    let (upserts, removals) = tokio::join!(
        write_all(store, Writes::Upsert(&points), &registered),
        write_all(store, Writes::Remove(&tombstones), &removed),
    );
    upserts.into_iter().chain(removals).collect()
}

/// Counts the writes that the store refused for good, and closes `gate` while it refuses everything: a fault
/// that no retry mends must be seen where operators look, not only in the log.
pub(crate) fn report(failures: &HashMap<usize, Failure>, writes: usize, gate: Option<&Gate>) {
    let of = |cause| failures.values().filter(move |failure| failure.cause == cause);
    metrics::store_refused(Refused::Point, of(Cause::Change).count());
    metrics::store_refused(Refused::Store, of(Cause::Deployment).count());
    let refusal = of(Cause::Deployment).next();
    if let Some(refusal) = refusal {
        let reason = refusal.reason();
        error!(reason, "the vector store refuses everything; trying again until it does not");
    }
    match (gate, refusal) {
        (Some(gate), Some(refusal)) => gate.not_ready(refusal.reason()),
        (Some(gate), None) if failures.len() < writes => gate.ready(),
        // Nothing was stored, for reasons that pass or are the points' own: neither says that the fault is
        // gone.
        _ => {}
    }
}

/// Writes of one kind.
#[derive(Clone, Copy)]
enum Writes<'a> {
    Upsert(&'a [Point]),
    Remove(&'a [Tombstone]),
}

impl Writes<'_> {
    fn one(&self, index: usize) -> Self {
        match self {
            Self::Upsert(points) => Self::Upsert(&points[index..=index]),
            Self::Remove(tombstones) => Self::Remove(&tombstones[index..=index]),
        }
    }

    async fn send(self, store: &impl VectorStore) -> Result<(), StoreError> {
        match self {
            Self::Upsert(points) => store.upsert(points).await,
            Self::Remove(tombstones) => store.remove(tombstones).await,
        }
    }
}

/// Sends writes together, and each alone where one of them is at fault. `places` has the place of each, as
/// have the failures returned.
async fn write_all(store: &impl VectorStore, writes: Writes<'_>, places: &[usize]) -> Vec<(usize, Failure)> {
    if places.is_empty() {
        return Vec::new();
    }
    let Err(error) = writes.send(store).await else { return Vec::new() };
    if places.len() == 1 || !error.blames_the_point() {
        let failure = Failure::store(&error);
        return places.iter().map(|&place| (place, failure.clone())).collect();
    }
    // One is at fault and spoiled it for all. Which one, the store does not say.
    let mut failures = Vec::new();
    for (index, &place) in places.iter().enumerate() {
        if let Err(error) = writes.one(index).send(store).await {
            failures.push((place, Failure::store(&error)));
        }
    }
    failures
}
