//! Store in the memory of one process: what `toolweaver up` uses, and the tier in front of Redis.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use moka::Expiry;
use moka::sync::Cache;
use toolweaver_contracts::Tenant;

use super::pinned::Pinned;
use super::{CacheStore, EntryStore, StoreError};

/// Overhead of an entry besides its key and value, roughly: the cache's own nodes and pointers.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Store of entries, bounded by their weight, and of versions and scores. Cheap to clone; all clones are one
/// store.
#[derive(Clone, Debug)]
pub struct Local {
    entries: Cache<Arc<str>, Entry>,
    /// Pinned entries. Apart from the others, as everything below, because they must never be evicted.
    pinned: Arc<RwLock<Pinned>>,
    /// Versions. A tenant that lost its version would start again.
    versions: Arc<RwLock<HashMap<String, u64>>>,
    scores: Arc<RwLock<HashMap<String, HashMap<String, f64>>>>,
}

#[derive(Clone, Debug)]
struct Entry {
    value: Bytes,
    ttl: Duration,
    expires: Instant,
}

/// Expiry policy: each entry lives as long as it was given at its last write.
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
    /// Creates an empty store that keeps at most about `bytes_max`, keys and overhead included.
    pub fn new(bytes_max: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(|key: &Arc<str>, entry: &Entry| {
                let bytes = key.len() + entry.value.len() + ENTRY_OVERHEAD_BYTES;
                u32::try_from(bytes).unwrap_or(u32::MAX)
            })
            .expire_after(OwnTtl)
            .build();
        Self { entries, pinned: Arc::default(), versions: Arc::default(), scores: Arc::default() }
    }

    /// Returns the bytes of this key. Like the trait's method, but it cannot fail and waits for nothing.
    pub(crate) fn lookup(&self, key: &str) -> Option<Bytes> {
        let pinned = read(&self.pinned).get(key, Instant::now());
        pinned.or_else(|| self.entries.get(key).map(|entry| entry.value))
    }

    /// Stores bytes under this key; see [`Self::lookup`].
    pub(crate) fn insert(&self, key: &str, value: &[u8], ttl: Duration) {
        // A copy of its own: the bytes may be a slice of a large network buffer, which they would keep alive.
        let value = Bytes::copy_from_slice(value);
        let expires = Instant::now() + ttl;
        if !read(&self.pinned).is_empty() {
            write(&self.pinned).insert(key, &value, expires);
        }
        self.entries.insert(Arc::from(key), Entry { value, ttl, expires });
    }

    /// Pins the values of these keys, present and future, until they expire, however many other entries come.
    /// Replaces what were pinned for this tenant before.
    pub(crate) fn pin(&self, tenant: &Tenant, keys: HashSet<Arc<str>>) {
        let mut pinned = write(&self.pinned);
        for key in pinned.pin(tenant, keys) {
            if let Some(entry) = self.entries.get(&key) {
                pinned.insert(&key, &entry.value, entry.expires);
            }
        }
    }
}

/// Locks for reading. No code that can panic runs under these locks.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing; see [`read`].
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Sorts the highest first; equal ones in the order of Redis, which is that of the members.
fn by_rank((member, score): &(&String, &f64), (other, other_score): &(&String, &f64)) -> Ordering {
    other_score.total_cmp(score).then_with(|| other.cmp(member))
}

impl EntryStore for Local {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.lookup(key))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        self.insert(key, &value, ttl);
        Ok(())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        for key in keys {
            write(&self.pinned).remove(key);
            self.entries.invalidate(key.as_str());
        }
        Ok(())
    }
}

impl CacheStore for Local {
    async fn raise_version(&self, key: &str, version: u64) -> Result<u64, StoreError> {
        let mut versions = write(&self.versions);
        let current = versions.entry(key.to_owned()).or_default();
        *current = version.max(*current);
        Ok(*current)
    }

    async fn version(&self, key: &str) -> Result<Option<u64>, StoreError> {
        Ok(read(&self.versions).get(key).copied())
    }

    async fn add_scores(
        &self,
        key: &str,
        scores: &[(String, f64)],
        members_max: usize,
    ) -> Result<(), StoreError> {
        let mut all = write(&self.scores);
        let members = all.entry(key.to_owned()).or_default();
        for (member, score) in scores {
            *members.entry(member.clone()).or_default() += score;
        }
        if members.len() > members_max {
            let mut ranked: Vec<_> = members.iter().collect();
            ranked.sort_unstable_by(by_rank);
            let dropped: Vec<String> =
                ranked.drain(members_max..).map(|(member, _)| member.clone()).collect();
            for member in dropped {
                members.remove(&member);
            }
        }
        Ok(())
    }

    async fn top_scores(&self, key: &str, count: usize) -> Result<Vec<(String, f64)>, StoreError> {
        let all = read(&self.scores);
        let mut ranked: Vec<_> = all.get(key).into_iter().flatten().collect();
        ranked.sort_unstable_by(by_rank);
        Ok(ranked.into_iter().take(count).map(|(member, score)| (member.clone(), *score)).collect())
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

    #[test]
    fn what_is_kept_stays_whatever_else_comes() {
        let local = Local::new(10_000);
        let tenant = Tenant::default();
        local.insert("before", b"there already", Duration::from_mins(1));
        local.pin(&tenant, ["before", "after"].map(Arc::from).into());
        local.insert("after", b"there later", Duration::from_mins(1));
        for i in 0..100 {
            local.insert(&format!("other {i}"), &[0; 1_000], Duration::from_mins(1));
            // Popular, so that the cache would rather keep these.
            local.lookup(&format!("other {i}"));
        }
        local.entries.run_pending_tasks();
        assert_eq!(local.lookup("before").unwrap(), "there already");
        assert_eq!(local.lookup("after").unwrap(), "there later");

        local.pin(&tenant, HashSet::new());
        assert!(read(&local.pinned).is_empty());
    }
}
