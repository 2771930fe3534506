//! Layer of catalog snapshots: summaries of a whole catalog, in practice its domains and their counts.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toolweaver_contracts::Tenant;

use crate::json_layer::JsonLayer;
use crate::keys;
use crate::metrics::LayerSnapshot;
use crate::tiers::Tiers;

const TTL: Duration = Duration::from_hours(24);

/// Key of a snapshot; see [`SnapshotKey::new`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotKey {
    catalog_hash: String,
}

impl SnapshotKey {
    /// Creates the key of a snapshot. `view` is everything that decides what it shows of the tenant's
    /// catalog, for example roles; see [`SearchKey::new`](crate::SearchKey::new) for the order in it.
    pub fn new(tenant: &Tenant, view: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self { catalog_hash: keys::value_hash(&(tenant, view))? })
    }
}

/// Catalog snapshots, as JSON. As with search results, the version of the catalog belongs into the value, or
/// else into the view.
#[derive(Clone, Debug)]
pub struct CatalogSnapshots {
    layer: JsonLayer,
}

impl CatalogSnapshots {
    pub(crate) fn new(tiers: &Arc<Tiers>, incarnation: &Arc<str>) -> Self {
        Self { layer: JsonLayer::new(tiers, "catalog", TTL, incarnation) }
    }

    /// Returns the snapshot, if one is cached and decodes as a `T`.
    pub async fn get<T: DeserializeOwned>(&self, key: &SnapshotKey) -> Option<T> {
        self.layer.get(&self.key(key), |_| true).await
    }

    /// Caches a snapshot in place of the one before.
    pub async fn put<T: Serialize + Sync>(&self, key: &SnapshotKey, snapshot: &T) {
        self.layer.put(&self.key(key), snapshot).await;
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.layer.snapshot()
    }

    fn key(&self, key: &SnapshotKey) -> String {
        keys::catalog(self.layer.incarnation(), &key.catalog_hash)
    }
}
