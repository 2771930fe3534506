//! Dependencies of a query worker, made from its configuration.

use std::{num::NonZeroUsize, sync::Arc};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::{CatalogCache, Store};
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_embedding::{Embedder, Limits};
use toolweaver_messaging::{ConnectError, Nats, connect, streams};
use toolweaver_resilience::Retry;
use toolweaver_vector_store::Qdrant;
use tracing::warn;

use crate::Config;

/// Dependencies of a query worker; clones share them.
#[derive(Clone)]
pub struct Dependencies {
    /// Connection to NATS.
    pub nats: Nats,
    /// Thread that embeds queries. Indexing has another one: a query must not wait behind a batch of
    /// documents.
    pub embedder: Embedder,
    /// Vector database; without one the worker keeps the vectors of INDEXED in memory.
    pub qdrant: Option<Qdrant>,
    /// Caches of answers and query vectors.
    pub cache: CatalogCache,
}

/// Capacity of the embedding thread's queue; queries that wait together are embedded together.
const QUERIES_WAITING_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

impl Dependencies {
    /// Makes everything that the configuration names. Waits for NATS and for INDEXED until they are there, or
    /// until `stop`.
    pub async fn connect(config: &Config, stop: &CancellationToken) -> anyhow::Result<Self> {
        let model =
            toolweaver_embedding::load(&config.model).await.context("cannot load the embedding model")?;
        let qdrant = Qdrant::if_used(&config.qdrant, model.fingerprint().hex(), model.dimensions())
            .context("cannot set up Qdrant")?;
        let embedder = query_embedder(model, config.model.limits());
        let nats = Retry::new("reach NATS", stop)
            .at(config.nats.url_redacted())
            .run(ConnectError::is_transient, || connect(&config.nats, "query-worker"))
            .await
            .context("cannot connect to NATS")?;
        // Whatever the error: a stream that is not there is made by the embedding worker.
        let indexed = Retry::new("find INDEXED", stop)
            .at(config.nats.url_redacted())
            .run(|_| true, || streams::state(&nats, INDEXED_STREAM))
            .await
            .context("cannot find INDEXED")?;
        let store = Store::open(&config.cache).context("cannot set up the cache")?;
        if !store.connected(config.cache.redis.connect_timeout()).await {
            warn!("Redis cannot be reached yet: starting without it");
        }
        let cache = CatalogCache::new(store, &config.cache, &indexed.incarnation());
        Ok(Self { nats, embedder, qdrant, cache })
    }
}

/// Starts the embedding thread for queries: many small callers at once.
pub fn query_embedder(model: Arc<dyn toolweaver_embedding::Model>, limits: Limits) -> Embedder {
    Embedder::spawn(model, Limits { requests_waiting_max: QUERIES_WAITING_MAX, ..limits })
}
