//! Answers to searches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toolweaver_contracts::Tenant;
use tracing::error;

use crate::keys;
use crate::metrics::LayerSnapshot;
use crate::tiers::{Layer, Tiers};

const TTL: Duration = Duration::from_hours(1);

/// What an answer hangs on; see [`SearchKey::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchKey(String);

impl SearchKey {
    /// The key of an answer.
    ///
    /// `query` is everything that can change the answer besides the other arguments: text, filters, roles, detail,
    /// ranker, model fingerprint. Its fields' order does not matter; the order in its lists does, so sort what is a
    /// set. `catalog_version` is what the projection had applied when the answer began to be computed.
    pub fn new(
        tenant: &Tenant,
        query: &impl Serialize,
        catalog_version: u64,
        top_k: usize,
    ) -> Result<Self, serde_json::Error> {
        let query_hash = keys::value_hash(&(tenant, query))?;
        Ok(Self(format!("search:{query_hash}:{catalog_version}:{top_k}")))
    }
}

/// Answers under the version of the catalogue that they were computed from, as JSON.
#[derive(Clone, Debug)]
pub struct SearchResults {
    layer: Layer,
}

impl SearchResults {
    pub(crate) fn new(tiers: &Arc<Tiers>) -> Self {
        Self { layer: Layer::new(Arc::clone(tiers), "search", TTL) }
    }

    /// The answer, if one is cached and reads as a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &SearchKey) -> Option<T> {
        self.layer.get(&key.0, |bytes| serde_json::from_slice(bytes).ok()).await
    }

    /// Caches an answer.
    pub async fn put<T: Serialize + Sync>(&self, key: &SearchKey, answer: &T) {
        match serde_json::to_vec(answer) {
            Ok(json) => self.layer.put(&key.0, Bytes::from(json)).await,
            // A type whose values have no JSON: a mistake in the program, which costs the cache and no answer.
            Err(error) => error!(%error, "an answer cannot be cached"),
        }
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.layer.snapshot()
    }
}
