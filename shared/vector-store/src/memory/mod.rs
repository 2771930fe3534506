//! Exact search in memory: the embedded default, and the fallback while Qdrant is away.
//!
//! Every vector is compared, so the answer is exact; the vectors of a tenant lie in one block, so it is fast
//! too. Here live the handle, its lock and the contract; `partition` holds one tenant, `labels` makes filters
//! cheap, `ranking` keeps the nearest.

mod labels;
mod partition;
mod ranking;

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use toolweaver_contracts::{Predicate, Tenant};
use uuid::Uuid;

use self::{labels::Labels, partition::Partition};
use crate::{Point, Scores, StoreError, Tombstone, VectorStore, cosine::Queries, error::check_vector};

/// Above this many cosines a search takes milliseconds, too long for a thread that others wait for.
const INLINE_COSINES_MAX: usize = 20_000;

/// Exact vector search in this process. Cheap to clone; clones share their content.
///
/// Searches run side by side; a write waits for them and they for it.
#[derive(Debug, Clone)]
pub struct Memory {
    dims: usize,
    catalog: Arc<RwLock<Catalog>>,
}

#[derive(Debug, Default)]
struct Catalog {
    labels: Labels,
    /// Kept apart, so that no scan of one tenant can meet another's tools.
    partitions: HashMap<Tenant, Partition>,
}

impl Memory {
    /// Returns an empty store for vectors of `dims` dimensions.
    pub fn new(dims: NonZeroUsize) -> Self {
        Self { dims: dims.get(), catalog: Arc::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().expect("no thread panics while it holds the lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().expect("no thread panics while it holds the lock")
    }

    fn vectors(&self, tenant: &Tenant) -> usize {
        self.read().partitions.get(tenant).map_or(0, Partition::len)
    }

    fn search_now(&self, queries: &Queries, predicate: &Predicate, limit: usize, also: &[Uuid]) -> Scores {
        let catalog = self.read();
        let Some(partition) = catalog.partitions.get(&predicate.tenant) else {
            return Scores::new(queries.len());
        };
        partition.search(queries, &catalog.labels.compile(predicate), limit, also)
    }
}

impl VectorStore for Memory {
    async fn upsert(&self, points: &[Point]) -> Result<(), StoreError> {
        for point in points {
            check_vector("upsert", &point.vector, self.dims)?;
        }
        let mut catalog = self.write();
        let Catalog { labels, partitions } = &mut *catalog;
        for point in points {
            let partition =
                partitions.entry(point.key.tenant.clone()).or_insert_with(|| Partition::new(self.dims));
            partition.upsert(point, labels);
        }
        Ok(())
    }

    async fn remove(&self, tombstones: &[Tombstone]) -> Result<(), StoreError> {
        let mut catalog = self.write();
        for tombstone in tombstones {
            let partition = catalog
                .partitions
                .entry(tombstone.key.tenant.clone())
                .or_insert_with(|| Partition::new(self.dims));
            partition.remove(tombstone);
        }
        Ok(())
    }

    async fn search(
        &self,
        vectors: &[Vec<f32>],
        predicate: &Predicate,
        limit: usize,
        also: &[Uuid],
    ) -> Result<Scores, StoreError> {
        for vector in vectors {
            check_vector("search", vector, self.dims)?;
        }
        let queries = Queries::new(vectors, self.dims);
        if self.vectors(&predicate.tenant) * queries.len() <= INLINE_COSINES_MAX {
            return Ok(self.search_now(&queries, predicate, limit, also));
        }
        let (store, predicate, also) = (self.clone(), predicate.clone(), also.to_vec());
        let search =
            tokio::task::spawn_blocking(move || store.search_now(&queries, &predicate, limit, &also));
        Ok(search.await.expect("a search neither panics nor is cancelled"))
    }

    async fn health(&self) -> Result<String, StoreError> {
        Ok("memory".to_owned())
    }
}
