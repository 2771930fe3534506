//! The real parts a query worker works with.

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

/// The real parts a query worker works with; clones share them.
#[derive(Clone)]
pub struct Parts {
    /// The connection to NATS.
    pub nats: Nats,
    /// The thread that embeds queries. Indexing has another one: a query must not wait behind a batch of documents.
    pub embedder: Embedder,
    /// The vector database; without one the worker keeps the vectors of INDEXED in memory.
    pub vectors: Option<Qdrant>,
    /// Answers and query vectors from before.
    pub cache: CatalogCache,
}

/// Queries that wait for the embedding thread; those that wait together are embedded together.
const QUERIES_WAITING_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not zero");

impl Parts {
    /// Makes everything that the configuration names. Waits for NATS and for INDEXED until they are there, or
    /// until `stop`.
    pub async fn connect(config: &Config, stop: &CancellationToken) -> anyhow::Result<Self> {
        let model_config = config.model.clone();
        let model = tokio::task::spawn_blocking(move || toolweaver_embedding::load(&model_config))
            .await
            .context("loading the embedding model did not end")?
            .context("cannot load the embedding model")?;
        let embedder = query_embedder(model, config.model.limits());
        let vectors = if config.qdrant.use_vector_db {
            let dims = NonZeroUsize::new(embedder.dimensions()).context("the model has no dimensions")?;
            Some(
                Qdrant::new(&config.qdrant, embedder.fingerprint().hex(), dims)
                    .context("cannot set up Qdrant")?,
            )
        } else {
            None
        };
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
        Ok(Self { nats, embedder, vectors, cache })
    }
}

/// The embedding thread for queries: many small callers at once.
pub fn query_embedder(model: Arc<dyn toolweaver_embedding::Model>, limits: Limits) -> Embedder {
    Embedder::spawn(model, Limits { requests_waiting_max: QUERIES_WAITING_MAX, ..limits })
}
