//! The store in the memory of one process: what `toolweaver up` uses, and the tier in front of Redis.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::sync::Cache;

use super::{CacheStore, StoreError};
use crate::versions::Scope;

/// What an entry costs besides its key and value, roughly: the cache's own nodes and pointers.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Bytes under keys, bounded by their weight, and versions. Cheap to clone; all clones are one store.
#[derive(Clone, Debug)]
pub struct Local {
    entries: Cache<Arc<str>, Entry>,
    /// Apart from the entries, because a version must never be evicted: a scope without one would start again.
    versions: Arc<RwLock<HashMap<Scope, u64>>>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Bytes,
    ttl: Duration,
}

/// Each entry lives as long as it was given at its last write.
struct OwnTtl;

impl Expiry<Arc<str>, Entry> for OwnTtl {
    fn expire_after_create(&self, _: &Arc<str>, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.ttl)
    }

    fn expire_after_update(
        &self,
        _: &Arc<str>,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.ttl)
    }
}

impl Local {
    /// An empty store that keeps at most about `bytes_max`, keys and overhead included.
    pub fn new(bytes_max: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &Arc<str>, entry: &Entry| {
                let bytes = key.len() + entry.value.len() + ENTRY_OVERHEAD_BYTES;
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .expire_after(OwnTtl)
            .build();
        Self { entries, versions: Arc::default() }
    }

    /// The bytes under this key. Like the trait's method, but it cannot fail and waits for nobody.
    pub(crate) fn lookup(&self, key: &str) -> Option<Bytes> {
        self.entries.get(key).map(|entry| entry.value)
    }

    /// Puts bytes under this key; see [`Self::lookup`].
    pub(crate) fn insert(&self, key: &str, value: &[u8], ttl: Duration) {
        // A copy of its own: the bytes may be a slice of a large network buffer, which they would keep alive.
        let value = Bytes::copy_from_slice(value);
        self.entries.insert(Arc::from(key), Entry { value, ttl });
    }
}

impl CacheStore for Local {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.lookup(key))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.insert(key, &value, ttl);
        Ok(())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        for key in keys {
            self.entries.invalidate(key.as_str());
        }
        Ok(())
    }

    async fn raise_version(&self, scope: &Scope, version: u64) -> Result<u64, StoreError> {
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        let current = versions.entry(scope.clone()).or_default();
        *current = version.max(*current);
        Ok(*current)
    }

    async fn version(&self, scope: &Scope) -> Result<Option<u64>, StoreError> {
        Ok(self.versions.read().unwrap_or_else(PoisonError::into_inner).get(scope).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_weight() {
        let local = Local::new(100_000);
        for i in 0..1_000 {
            local.insert(&format!("key {i}"), &[0; 1_000], Duration::from_mins(1));
        }
        local.entries.run_pending_tasks();
        assert!(local.entries.weighted_size() <= 100_000, "{} bytes", local.entries.weighted_size());
        assert!(local.entries.entry_count() > 50, "it keeps what fits");
    }
}
