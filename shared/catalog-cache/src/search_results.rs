//! Layer of search results.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toolweaver_contracts::Tenant;

use crate::json_layer::JsonLayer;
use crate::keys;
use crate::metrics::LayerSnapshot;
use crate::tiers::Tiers;

const TTL: Duration = Duration::from_hours(1);

/// Key of a search result; see [`SearchKey::new`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchKey {
    query_hash: String,
    top_k: usize,
}

impl SearchKey {
    /// Creates the key of a search result.
    ///
    /// `query` is everything that can change the answer besides the other arguments and the catalog: text,
    /// filters, roles, detail, ranker, model fingerprint. Its fields' order does not matter; the order in its
    /// lists does, so sort what is a set.
    pub fn new(tenant: &Tenant, query: &impl Serialize, top_k: usize) -> Result<Self, serde_json::Error> {
        Ok(Self { query_hash: keys::value_hash(&(tenant, query))?, top_k })
    }
}

/// Search results, as JSON.
///
/// One is kept a question, the newest. The version of the catalog that it was computed from is not in the
/// key, so it belongs into the value: whoever reads an answer decides whether it still holds.
#[derive(Clone, Debug)]
pub struct SearchResults {
    layer: JsonLayer,
}

impl SearchResults {
    pub(crate) fn new(tiers: &Arc<Tiers>, incarnation: &Arc<str>) -> Self {
        Self { layer: JsonLayer::new(tiers, "search", TTL, incarnation) }
    }

    /// Returns the result, if one is cached and decodes as a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &SearchKey) -> Option<T> {
        self.layer.get(&self.key(key), |_| true).await
    }

    /// Caches a result in place of the one before.
    pub async fn put<T: Serialize + Sync>(&self, key: &SearchKey, answer: &T) {
        self.layer.put(&self.key(key), answer).await;
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.layer.snapshot()
    }

    fn key(&self, key: &SearchKey) -> String {
        keys::search(self.layer.incarnation(), &key.query_hash, key.top_k)
    }
}
