//! Layer of tool metadata.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Tenant, ToolKey};

use crate::json_layer::JsonLayer;
use crate::keys;
use crate::metrics::LayerSnapshot;
use crate::store::{EntryStore, Store, StoreError};
use crate::tiers::Tiers;

const TTL: Duration = Duration::from_hours(24);

/// Most tools of one tenant that are pinned in memory whatever else is cached.
const PINNED_MAX: usize = 100;

/// Tool metadata, as JSON, each with the version that it is of.
#[derive(Clone, Debug)]
pub struct ToolMetadata {
    layer: JsonLayer,
    tiers: Arc<Tiers>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    tool: T,
}

impl ToolMetadata {
    pub(crate) fn new(tiers: &Arc<Tiers>, incarnation: &Arc<str>) -> Self {
        Self { layer: JsonLayer::new(tiers, "tool", TTL, incarnation), tiers: Arc::clone(tiers) }
    }

    /// Returns the metadata of exactly this version of a tool, if it is cached and decodes as a `T`.
    pub async fn get<T: DeserializeOwned>(&self, tool: &ToolKey, version: u64) -> Option<T> {
        let is_wanted = |found: &Versioned<T>| found.version == version;
        self.layer.get(&self.key(tool), is_wanted).await.map(|found| found.tool)
    }

    /// Caches the metadata of a tool in place of that of any version of it.
    pub async fn put<T: Serialize + Sync>(&self, tool: &ToolKey, version: u64, metadata: &T) {
        self.layer.put(&self.key(tool), &Versioned { version, tool: metadata }).await;
    }

    /// Pins tools of a tenant in this process's memory, once they are there, until they expire: what
    /// else is cached never pushes them out. Replaces what was said before; the first 100 count.
    pub fn pin(&self, tenant: &Tenant, tools: &[ToolKey]) {
        self.tiers.pin(tenant, tools.iter().take(PINNED_MAX).map(|tool| self.key(tool)));
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.layer.snapshot()
    }

    fn key(&self, tool: &ToolKey) -> String {
        keys::tool(self.layer.incarnation(), tool)
    }
}

/// Drops the metadata of these tools from the store, whatever version it is of: for the cache invalidator,
/// which learns that tools changed. What other processes have in memory or in files is of another version
/// then, so never returned.
pub async fn drop_tools(store: &Store, incarnation: &str, tools: &[ToolKey]) -> Result<(), StoreError> {
    let keys: Vec<String> = tools.iter().map(|tool| keys::tool(incarnation, tool)).collect();
    store.delete(&keys).await
}
