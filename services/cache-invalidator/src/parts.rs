//! The real parts an invalidator works with.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use toolweaver_catalog_cache::Store;
use toolweaver_messaging::{ConnectError, Nats, connect};
use toolweaver_resilience::Retry;

use crate::Config;

/// The real parts an invalidator works with; clones share them.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The connection to NATS.
    pub nats: Nats,
    /// Where versions are kept.
    pub store: Store,
}

impl Parts {
    /// Connects everything that the configuration names. Waits for NATS until it is up, or until `stop`; Redis is
    /// connected in the background.
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
