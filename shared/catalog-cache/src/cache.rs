//! Caches of one process, all layers together.

use std::sync::Arc;

use serde::Serialize;
use tracing::error;

use crate::catalog_snapshots::CatalogSnapshots;
use crate::config::CacheConfig;
use crate::embeddings::Embeddings;
pub use crate::metrics::LayerSnapshot;
use crate::popularity::Popularity;
use crate::search_results::SearchResults;
use crate::store::{self, Files, Store};
use crate::tiers::{FileTier, Tiers};
use crate::tool_metadata::ToolMetadata;
use crate::versions::Versions;
use toolweaver_resilience::Breaker;

/// Caches that a query worker reads through. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct CatalogCache {
    /// Catalog versions, as the invalidator raises them.
    pub versions: Versions,
    /// Search results.
    pub search_results: SearchResults,
    /// Catalog snapshots.
    pub catalog_snapshots: CatalogSnapshots,
    /// Tool metadata.
    pub tool_metadata: ToolMetadata,
    /// Query embeddings.
    pub embeddings: Embeddings,
    /// Popularity of tools and requests.
    pub popularity: Popularity,
    tiers: Arc<Tiers>,
    kind: &'static str,
}

/// State of the caches, for a status reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CacheSnapshot {
    /// Kind of store: `redis` or `local`.
    pub kind: &'static str,
    /// Whether every tier that is configured can be reached: Redis, and the folder of files.
    pub healthy: bool,
    /// Search results.
    pub search_results: LayerSnapshot,
    /// Catalog snapshots.
    pub catalog_snapshots: LayerSnapshot,
    /// Tool metadata.
    pub tool_metadata: LayerSnapshot,
    /// Query embeddings.
    pub embeddings: LayerSnapshot,
}

impl CatalogCache {
    /// Creates the caches over this store, with memory of this process in front of it and files behind it
    /// where the configuration names a folder. Opening that blocks: call this at start.
    ///
    /// `incarnation` tells the INDEXED stream from one of the same name before it: versions of the two do not
    /// compare, and nothing that was cached under the one is found under the other.
    pub fn new(store: Store, config: &CacheConfig, incarnation: &str) -> Self {
        let kind = store.kind();
        let incarnation: Arc<str> = Arc::from(incarnation);
        let breaker = Arc::new(Breaker::new(store::DEPENDENCY));
        let versions = Versions::behind(store.clone(), Arc::clone(&incarnation), Arc::clone(&breaker));
        let popularity = Popularity::new(store.clone(), Arc::clone(&breaker));
        let local_bytes_max = config.cache_local_bytes_max.get();
        let tiers = Arc::new(Tiers::new(store, local_bytes_max, breaker, file_tier(config)));
        Self {
            versions,
            search_results: SearchResults::new(&tiers, &incarnation),
            catalog_snapshots: CatalogSnapshots::new(&tiers, &incarnation),
            tool_metadata: ToolMetadata::new(&tiers, &incarnation),
            embeddings: Embeddings::new(&tiers),
            popularity,
            tiers,
            kind,
        }
    }

    /// Returns the state of the caches, with their counts since the process started.
    pub fn snapshot(&self) -> CacheSnapshot {
        CacheSnapshot {
            kind: self.kind,
            healthy: self.tiers.is_whole(),
            search_results: self.search_results.snapshot(),
            catalog_snapshots: self.catalog_snapshots.snapshot(),
            tool_metadata: self.tool_metadata.snapshot(),
            embeddings: self.embeddings.snapshot(),
        }
    }
}

fn file_tier(config: &CacheConfig) -> FileTier {
    let Some(dir) = &config.cache_dir else { return FileTier::Unwanted };
    match Files::open(dir, config.cache_files_bytes_max.get()) {
        Ok(files) => FileTier::Open(files),
        // Every answer can be had without files; the snapshot says that they are missing.
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            error!(%error, cause, "going on without files");
            FileTier::Unusable
        }
    }
}
