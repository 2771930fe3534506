//! A batch in the vector store, such that one change that the store refuses does not take the others with it.

use std::collections::HashMap;
use std::sync::Arc;

use toolweaver_vector_store::{Point, StoreError, Tombstone, VectorStore};

use crate::failure::Failure;
use crate::indexer::{Content, Ready};

/// Writes all changes. Those that are not stored are in the answer, by their place; all others are confirmed.
pub(crate) async fn write(store: &impl VectorStore, changes: &[Ready]) -> HashMap<usize, Failure> {
    let (mut points, mut tombstones) = (Vec::new(), Vec::new());
    let (mut registered, mut removed) = (Vec::new(), Vec::new());
    for (place, change) in changes.iter().enumerate() {
        let (key, revision) = (change.key.clone(), change.revision);
        match &change.content {
            Content::Registered { tool, vector } => {
                registered.push(place);
                points.push(Point { key, revision, tool: Arc::clone(tool), vector: vector.to_vec() });
            }
            Content::Removed => {
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

/// `places` has the place of each of the `writes`; so do the answers.
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
