//! Start of the three workers over one connection, with one copy of the model's weights.

use std::{num::NonZeroUsize, sync::Arc};

use anyhow::Context as _;
use toolweaver_cache_invalidator as cache_invalidator;
use toolweaver_catalog_cache::{CatalogCache, Store};
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_embedding::{Embedder, Model};
use toolweaver_embedding_worker as embedding_worker;
use toolweaver_messaging::{Nats, streams};
use toolweaver_query_worker as query_worker;
use toolweaver_service_runtime::Runtime;
use toolweaver_vector_store::Qdrant;

use super::WorkerArgs;

/// Starts the three workers on this connection. They run until the runtime's shutdown begins.
pub(crate) async fn start_workers(args: &WorkerArgs, nats: Nats, runtime: &Runtime) -> anyhow::Result<()> {
    let config = args.model.clone();
    let model: Arc<dyn Model> = tokio::task::spawn_blocking(move || toolweaver_embedding::load(&config))
        .await
        .context("loading the embedding model did not end")?
        .context("cannot load the embedding model")?;
    let vectors = if args.qdrant.use_vector_db {
        let dimensions = NonZeroUsize::new(model.dimensions()).context("the model has no dimensions")?;
        let fingerprint = model.fingerprint();
        Some(Qdrant::new(&args.qdrant, fingerprint.hex(), dimensions).context("cannot set up Qdrant")?)
    } else {
        None
    };
    let store = Store::open(&args.cache).context("cannot set up the cache")?;
    let limits = args.model.limits();

    let parts = embedding_worker::Parts {
        nats: nats.clone(),
        embedder: Embedder::spawn(Arc::clone(&model), limits),
        vectors: vectors.clone(),
    };
    // First, because it makes the streams that the others read.
    embedding_worker::run(&args.indexing, &args.streams, parts, runtime).await.context("embedding worker")?;
    let parts = cache_invalidator::Parts { nats: nats.clone(), store: store.clone() };
    cache_invalidator::run(&args.invalidation, &args.streams, parts, runtime)
        .await
        .context("cache invalidator")?;
    let indexed = streams::state(&nats, INDEXED_STREAM).await.context("cannot find INDEXED")?;
    let parts = query_worker::Parts {
        nats,
        embedder: query_worker::query_embedder(model, limits),
        vectors,
        cache: CatalogCache::new(store, &args.cache, &indexed.incarnation()),
    };
    query_worker::run(&args.query, parts, runtime).await.context("query worker")
}
