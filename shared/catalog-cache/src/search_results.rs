//! Answers to searches.

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

/// Which answer; see [`SearchKey::new`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchKey {
    query_hash: String,
    top_k: usize,
}

impl SearchKey {
    /// The key of an answer.
    ///
    /// `query` is everything that can change the answer besides the other arguments and the catalogue: text, filters,
    /// roles, detail, ranker, model fingerprint. Its fields' order does not matter; the order in its lists does, so
    /// sort what is a set.
    pub fn new(tenant: &Tenant, query: &impl Serialize, top_k: usize) -> Result<Self, serde_json::Error> {
        Ok(Self { query_hash: keys::value_hash(&(tenant, query))?, top_k })
    }
}

/// Answers, as JSON.
///
/// One is kept a question, the newest. The version of the catalogue that it was computed from is not in the key, so
/// it belongs into the value: whoever reads an answer decides whether it still holds.
#[derive(Clone, Debug)]
pub struct SearchResults {
    layer: JsonLayer,
}

impl SearchResults {
    pub(crate) fn new(tiers: &Arc<Tiers>, incarnation: &Arc<str>) -> Self {
        Self { layer: JsonLayer::new(tiers, "search", TTL, incarnation) }
    }

    /// The answer, if one is cached and reads as a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &SearchKey) -> Option<T> {
        self.layer.get(&self.key(key), |_| true).await
    }

    /// Caches an answer in place of the one before.
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
