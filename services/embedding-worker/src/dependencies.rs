//! The dependencies of an embedding worker: NATS, the model and the vector database.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolweaver_embedding::Embedder;
use toolweaver_messaging::{ConnectError, Nats, connect};
use toolweaver_resilience::Retry;
use toolweaver_vector_store::Qdrant;

use crate::Config;

/// The dependencies of an embedding worker; clones share them.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// The connection to NATS.
    pub nats: Nats,
    /// The thread that embeds tools. Queries have another one: they must not wait behind a batch of tools.
    pub embedder: Embedder,
    /// The vector database; without one vectors are found in INDEXED alone.
    pub vectors: Option<Qdrant>,
}

impl Dependencies {
    /// Makes everything that the configuration names. Waits for NATS until it is up, or until `stop`; Qdrant
    /// is waited for by [`run`](crate::run).
    pub async fn connect(config: &Config, stop: &CancellationToken) -> anyhow::Result<Self> {
        let model =
            toolweaver_embedding::load(&config.model).await.context("cannot load the embedding model")?;
        let vectors = Qdrant::if_used(&config.qdrant, model.fingerprint().hex(), model.dimensions())
            .context("cannot set up Qdrant")?;
        let embedder = Embedder::spawn(model, config.model.limits());
        let nats = Retry::new("reach NATS", stop)
            .at(config.nats.url_redacted())
            .run(ConnectError::is_transient, || connect(&config.nats, "embedding-worker"))
            .await
            .context("cannot connect to NATS")?;
        Ok(Self { nats, embedder, vectors })
    }
}
