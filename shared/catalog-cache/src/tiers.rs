//! Tiers that every layer shares: memory of this process in front, Redis behind it, files behind both.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use toolweaver_contracts::Tenant;

use crate::metrics::{LayerMetrics, LayerSnapshot, Outcome, Tier};
use crate::store::{EntryStore, Files, Local, Redis, Store};
use toolweaver_resilience::{Breaker, BreakerError, BreakerState};

/// Tiers of the caches of one process.
#[derive(Debug)]
pub(crate) struct Tiers {
    local: Local,
    /// Shared tier; none when the store is this process's memory, which then is the local tier.
    redis: Option<Redis>,
    breaker: Arc<Breaker>,
    files: FileTier,
}

/// File tier, the last resort.
#[derive(Debug)]
pub(crate) enum FileTier {
    /// Not configured.
    Unwanted,
    /// Configured and usable.
    Open(Files),
    /// Configured and not usable.
    Unusable,
}

/// Layer of the cache, with its name in the metrics and its time to live.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    tiers: Arc<Tiers>,
    metrics: Arc<LayerMetrics>,
    ttl: Duration,
}

impl Tiers {
    pub(crate) fn new(store: Store, local_bytes_max: u64, breaker: Arc<Breaker>, files: FileTier) -> Self {
        let (local, redis) = match store {
            Store::Local(local) => (local, None),
            Store::Redis(redis) => (Local::new(local_bytes_max), Some(redis)),
        };
        Self { local, redis, breaker, files }
    }

    /// Returns whether lookups reach every tier that the configuration names.
    pub(crate) fn is_whole(&self) -> bool {
        self.redis.as_ref().is_none_or(Redis::is_connected)
            && self.breaker.state() == BreakerState::Closed
            && !matches!(self.files, FileTier::Unusable)
    }

    /// Pins the entries of a tenant with these keys in memory; see [`Local::pin`].
    pub(crate) fn pin(&self, tenant: &Tenant, keys: impl Iterator<Item = String>) {
        self.local.pin(tenant, keys.map(Arc::from).collect());
    }
}

impl FileTier {
    fn files(&self) -> Option<&Files> {
        match self {
            Self::Open(files) => Some(files),
            Self::Unwanted | Self::Unusable => None,
        }
    }
}

impl Layer {
    pub(crate) fn new(tiers: Arc<Tiers>, name: &'static str, ttl: Duration) -> Self {
        Self { tiers, metrics: Arc::new(LayerMetrics::new(name)), ttl }
    }

    /// Returns the decoded value of this key from the first tier whose bytes can be decoded.
    pub(crate) async fn get<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        if let Some(value) = self.in_memory(key, &decode) {
            return Some(value);
        }
        if let Some(value) = self.in_redis(key, &decode).await {
            return Some(value);
        }
        let value = self.in_files(key, &decode).await;
        if value.is_none() {
            self.metrics.missed();
        }
        value
    }

    /// Stores bytes under this key in every tier. A tier that cannot take them is counted, and no error.
    pub(crate) async fn put(&self, key: &str, value: Bytes) {
        self.tiers.local.insert(key, &value, self.ttl);
        self.put_in_file(key, &value);
        if let Some(redis) = &self.tiers.redis
            && self.tiers.breaker.guard(redis.set(key, value, self.ttl)).await.is_err()
        {
            self.metrics.write_failed(Tier::Redis);
        }
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.metrics.snapshot()
    }

    fn in_memory<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let value = self.tiers.local.lookup(key).and_then(|bytes| decode(&bytes));
        self.metrics.looked_up(Tier::Local, Outcome::of(value.as_ref()));
        value
    }

    async fn in_redis<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let redis = self.tiers.redis.as_ref()?;
        let (outcome, found) = match self.tiers.breaker.guard(redis.get(key)).await {
            Err(BreakerError::Open) => (Outcome::Skipped, None),
            Err(BreakerError::Failed(_)) => (Outcome::Error, None),
            Ok(bytes) => {
                let found = decoded(bytes, decode);
                (Outcome::of(found.as_ref()), found)
            }
        };
        self.metrics.looked_up(Tier::Redis, outcome);
        let (bytes, value) = found?;
        // Its whole time to live again: keys and values name what they hold, so that an entry never gets
        // wrong, only useless.
        self.tiers.local.insert(key, &bytes, self.ttl);
        // Not only what this process made: when Redis is away, this has what the process used.
        self.put_in_file(key, &bytes);
        Some(value)
    }

    async fn in_files<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let files = self.tiers.files.files()?;
        let (outcome, found) = match files.lookup(key, self.ttl).await {
            Err(_busy) => (Outcome::Skipped, None),
            Ok(bytes) => {
                let found = decoded(bytes, decode);
                (Outcome::of(found.as_ref()), found)
            }
        };
        self.metrics.looked_up(Tier::Files, outcome);
        let (bytes, value) = found?;
        self.tiers.local.insert(key, &bytes, self.ttl);
        Some(value)
    }

    fn put_in_file(&self, key: &str, value: &[u8]) {
        let Some(files) = self.tiers.files.files() else { return };
        // A copy of its own, for the reason that `Local::insert` gives.
        if !files.insert(key, Bytes::copy_from_slice(value), self.ttl) {
            self.metrics.write_failed(Tier::Files);
        }
    }
}

/// Bytes together with their decoded value.
fn decoded<T>(bytes: Option<Bytes>, decode: impl Fn(&[u8]) -> Option<T>) -> Option<(Bytes, T)> {
    let bytes = bytes?;
    let value = decode(&bytes)?;
    Some((bytes, value))
}
