//! The real parts an embedding worker works with.

use std::num::NonZeroUsize;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolweaver_embedding::Embedder;
use toolweaver_messaging::{ConnectError, Nats, connect};
use toolweaver_resilience::Retry;
use toolweaver_vector_store::Qdrant;

use crate::Config;

/// The real parts an embedding worker works with; clones share them.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The connection to NATS.
    pub nats: Nats,
    /// The thread that embeds tools. Queries have another one: they must not wait behind a batch of tools.
    pub embedder: Embedder,
    /// The vector database; without one vectors are found in INDEXED alone.
    pub vectors: Option<Qdrant>,
}

impl Parts {
    /// Makes everything that the configuration names. Waits for NATS until it is up, or until `stop`; Qdrant is
    /// waited for by [`run`](crate::run).
    pub async fn connect(config: &Config, stop: &CancellationToken) -> anyhow::Result<Self> {
        let model_config = config.model.clone();
        let model = tokio::task::spawn_blocking(move || toolweaver_embedding::load(&model_config))
            .await
            .context("loading the embedding model did not end")?
            .context("cannot load the embedding model")?;
        let embedder = Embedder::spawn(model, config.model.limits());
        let vectors = if config.qdrant.use_vector_db {
            let dims = NonZeroUsize::new(embedder.dimensions()).context("the model has no dimensions")?;
            let fingerprint = embedder.fingerprint().hex();
            Some(Qdrant::new(&config.qdrant, fingerprint, dims).context("cannot set up Qdrant")?)
        } else {
            None
        };
        let nats = Retry::new("reach NATS", stop)
            .at(config.nats.url_redacted())
            .run(ConnectError::is_transient, || connect(&config.nats, "embedding-worker"))
            .await
            .context("cannot connect to NATS")?;
        Ok(Self { nats, embedder, vectors })
    }
}
