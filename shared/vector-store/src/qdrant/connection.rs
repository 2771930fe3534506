//! The client, bounded in time and renewed when its connections are dead.

use std::{
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use ::qdrant_client::{Qdrant as Client, QdrantError};

use crate::{QdrantConfig, StoreError, qdrant::COLLECTION_TIMEOUT};

/// The connections to a server. They are made when first needed.
pub(super) struct Connection {
    config: QdrantConfig,
    client: RwLock<Arc<Client>>,
}

/// The server did not answer in time.
pub(super) struct TimedOut;

impl Connection {
    pub(super) fn new(config: &QdrantConfig) -> Result<Self, StoreError> {
        let client = open(config).map_err(|source| StoreError::Address {
            url: config.qdrant_url.clone(),
            source: source.into(),
        })?;
        Ok(Self { config: config.clone(), client: RwLock::new(Arc::new(client)) })
    }

    /// Waits for an answer, but not longer than `timeout`.
    pub(super) async fn within<T, F>(
        &self,
        timeout: Duration,
        request: impl FnOnce(Arc<Client>) -> F,
    ) -> Result<Result<T, QdrantError>, TimedOut>
    where
        F: Future<Output = Result<T, QdrantError>>,
    {
        let client = Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner));
        // The client's futures are large.
        let answer = Box::pin(request(Arc::clone(&client)));
        tokio::time::timeout(timeout, answer).await.map_err(|_| {
            self.renew(&client);
            TimedOut
        })
    }

    /// Connects anew for the calls to come, once for all that waited on `stale`.
    ///
    /// A server that vanished without a word leaves connections on which every call would wait in vain until
    /// the kernel gives them up, a quarter of an hour later.
    fn renew(&self, stale: &Arc<Client>) {
        let Ok(fresh) = open(&self.config) else { return };
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&client, stale) {
            *client = Arc::new(fresh);
        }
    }
}

fn open(config: &QdrantConfig) -> Result<Client, QdrantError> {
    Client::from_url(&config.qdrant_url)
        .api_key(config.qdrant_api_key.clone())
        // The check would block this thread until the server answers.
        .skip_compatibility_check()
        // When *its* time-out strikes the client tries once more by itself. Ours always comes first.
        .timeout(2 * COLLECTION_TIMEOUT.max(config.qdrant_timeout))
        .connect_timeout(config.qdrant_timeout)
        .build()
}
