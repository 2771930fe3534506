//! Common base of layers whose values are JSON and depend on the catalog.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::error;

use crate::metrics::LayerSnapshot;
use crate::tiers::{Layer, Tiers};

/// Layer of JSON values under keys of one incarnation of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct JsonLayer {
    layer: Layer,
    incarnation: Arc<str>,
}

impl JsonLayer {
    pub(crate) fn new(tiers: &Arc<Tiers>, name: &'static str, ttl: Duration, incarnation: &Arc<str>) -> Self {
        Self { layer: Layer::new(Arc::clone(tiers), name, ttl), incarnation: Arc::clone(incarnation) }
    }

    /// Returns the incarnation of the catalog that the keys must be made for.
    pub(crate) fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// Returns the value of this key, if it decodes as a `T` that is `wanted`. A tier whose value does not is
    /// passed over.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &str, wanted: impl Fn(&T) -> bool) -> Option<T> {
        self.layer.get(key, |bytes| serde_json::from_slice(bytes).ok().filter(&wanted)).await
    }

    pub(crate) async fn put<T: Serialize + Sync>(&self, key: &str, value: &T) {
        match serde_json::to_vec(value) {
            Ok(json) => self.layer.put(key, Bytes::from(json)).await,
            // A type whose values have no JSON: a mistake in the program, which costs the cache and no
            // answer.
            Err(error) => error!(%error, "a value cannot be cached"),
        }
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.layer.snapshot()
    }
}
