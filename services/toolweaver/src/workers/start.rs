//! Start of the three workers over one connection, with one copy of the model's weights.

use std::sync::Arc;

use anyhow::Context as _;
use toolweaver_cache_invalidator as cache_invalidator;
use toolweaver_catalog_cache::{CatalogCache, Store};
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_embedding::Embedder;
use toolweaver_embedding_worker as embedding_worker;
use toolweaver_messaging::{Nats, streams};
use toolweaver_query_worker as query_worker;
use toolweaver_service_runtime::Runtime;
use toolweaver_vector_store::Qdrant;

use super::WorkerArgs;

/// Starts the three workers on this connection. They run until the runtime's shutdown begins.
pub(crate) async fn start_workers(args: &WorkerArgs, nats: Nats, runtime: &Runtime) -> anyhow::Result<()> {
    let model = toolweaver_embedding::load(&args.model).await.context("cannot load the embedding model")?;
    let vectors = Qdrant::if_used(&args.qdrant, model.fingerprint().hex(), model.dimensions())
        .context("cannot set up Qdrant")?;
    let store = Store::open(&args.cache).context("cannot set up the cache")?;
    let limits = args.model.limits();

    let dependencies = embedding_worker::Dependencies {
        nats: nats.clone(),
        embedder: Embedder::spawn(Arc::clone(&model), limits),
        vectors: vectors.clone(),
    };
    // First, because it makes the streams that the others read.
    embedding_worker::run(&args.indexing, &args.streams, dependencies, runtime)
        .await
        .context("embedding worker")?;
    let dependencies = cache_invalidator::Dependencies { nats: nats.clone(), store: store.clone() };
    cache_invalidator::run(&args.invalidation, &args.streams, dependencies, runtime)
        .await
        .context("cache invalidator")?;
    let indexed = streams::state(&nats, INDEXED_STREAM).await.context("cannot find INDEXED")?;
    let dependencies = query_worker::Dependencies {
        nats,
        embedder: query_worker::query_embedder(model, limits),
        qdrant: vectors,
        cache: CatalogCache::new(store, &args.cache, &indexed.incarnation()),
    };
    query_worker::run(&args.query, dependencies, runtime).await.context("query worker")
}
