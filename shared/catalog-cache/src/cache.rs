//! All caches of one process.

use std::sync::Arc;

use serde::Serialize;

use crate::config::CacheConfig;
use crate::embeddings::Embeddings;
pub use crate::metrics::LayerSnapshot;
use crate::search_results::SearchResults;
use crate::store::Store;
use crate::tiers::Tiers;
use crate::versions::Versions;

/// The caches that a query worker reads through. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct CatalogCache {
    /// How far the catalogue is searchable, as the invalidator says.
    pub versions: Versions,
    /// Answers to searches.
    pub search_results: SearchResults,
    /// Embeddings of queries.
    pub embeddings: Embeddings,
    tiers: Arc<Tiers>,
    kind: &'static str,
}

/// What a status reply can say about the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheSnapshot {
    /// `redis` or `local`.
    pub kind: &'static str,
    /// False while Redis should be there and does not answer.
    pub healthy: bool,
    /// Answers to searches.
    pub search_results: LayerSnapshot,
    /// Embeddings of queries.
    pub embeddings: LayerSnapshot,
}

impl CatalogCache {
    /// The caches over this store, with memory of this process in front of it.
    pub fn new(store: Store, config: &CacheConfig) -> Self {
        let kind = store.kind();
        let versions = Versions::new(store.clone());
        let tiers = Arc::new(Tiers::new(store, config.cache_local_bytes_max.get()));
        Self {
            versions,
            search_results: SearchResults::new(&tiers),
            embeddings: Embeddings::new(&tiers),
            tiers,
            kind,
        }
    }

    /// How the caches are and what they did since the process started.
    pub fn snapshot(&self) -> CacheSnapshot {
        CacheSnapshot {
            kind: self.kind,
            healthy: self.tiers.is_whole(),
            search_results: self.search_results.snapshot(),
            embeddings: self.embeddings.snapshot(),
        }
    }
}
