//! The dependencies of a cache invalidator: NATS and the store of the versions.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::Store;
use toolweaver_messaging::{ConnectError, Nats, connect};
use toolweaver_resilience::Retry;

use crate::Config;

/// The dependencies of a cache invalidator; clones share them.
#[derive(Clone, Debug)]
pub struct Dependencies {
    /// The connection to NATS.
    pub nats: Nats,
    /// The store of the versions.
    pub store: Store,
}

impl Dependencies {
    /// Connects everything that the configuration names. Waits for NATS until it is up, or until `stop`;
    /// Redis is connected in the background.
    pub async fn connect(config: &Config, stop: &CancellationToken) -> anyhow::Result<Self> {
        let store = Store::open(&config.cache).context("cannot set up the cache store")?;
        let nats = Retry::new("reach NATS", stop)
            .at(config.nats.url_redacted())
            .run(ConnectError::is_transient, || connect(&config.nats, "cache-invalidator"))
            .await
            .context("cannot connect to NATS")?;
        Ok(Self { nats, store })
    }
}
