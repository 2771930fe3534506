//! The tiers that every layer shares: memory of this process in front, Redis behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::breaker::Breaker;
use crate::metrics::{LayerMetrics, LayerSnapshot, Outcome, Tier};
use crate::store::{CacheStore, Local, Redis, Store, StoreError};

/// Where the layers of one process look things up.
#[derive(Debug)]
pub(crate) struct Tiers {
    local: Local,
    /// None when the store is this process's memory: then that is the local tier, and there is no other.
    redis: Option<Redis>,
    breaker: Breaker,
}

/// One kind of cached thing, with its name in the metrics and its time to live.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    tiers: Arc<Tiers>,
    metrics: Arc<LayerMetrics>,
    ttl: Duration,
}

impl Tiers {
    pub(crate) fn new(store: Store, local_bytes_max: u64) -> Self {
        let (local, redis) = match store {
            Store::Local(local) => (local, None),
            Store::Redis(redis) => (Local::new(local_bytes_max), Some(redis)),
        };
        Self { local, redis, breaker: Breaker::default() }
    }

    /// Whether lookups reach everything that this process shares with others.
    pub(crate) fn is_whole(&self) -> bool {
        self.redis.as_ref().is_none_or(Redis::is_connected) && !self.breaker.is_open()
    }

    /// Asks Redis if it is there and believed to answer.
    async fn guarded<T>(&self, call: impl AsyncFnOnce(&Redis) -> Result<T, StoreError>) -> Guarded<T> {
        let Some(redis) = &self.redis else { return Guarded::NoStore };
        if !self.breaker.admits(Instant::now()) {
            return Guarded::Skipped;
        }
        match call(redis).await {
            Ok(value) => {
                self.breaker.succeeded();
                Guarded::Answered(value)
            }
            Err(error) => {
                self.breaker.failed(Instant::now(), &error);
                Guarded::Failed
            }
        }
    }
}

enum Guarded<T> {
    Answered(T),
    Failed,
    Skipped,
    NoStore,
}

impl Layer {
    pub(crate) fn new(tiers: Arc<Tiers>, name: &'static str, ttl: Duration) -> Self {
        Self { tiers, metrics: Arc::new(LayerMetrics::new(name)), ttl }
    }

    /// What `decode` makes of the bytes under this key. Bytes that it cannot read are a miss.
    pub(crate) async fn get<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let value = match self.local(key, &decode) {
            Some(value) => Some(value),
            None => self.shared(key, &decode).await,
        };
        if value.is_none() {
            self.metrics.missed();
        }
        value
    }

    /// Stores bytes under this key in every tier. That Redis cannot is counted, and no error.
    pub(crate) async fn put(&self, key: &str, value: Bytes) {
        self.tiers.local.insert(key, &value, self.ttl);
        let ttl = self.ttl;
        match self.tiers.guarded(async |redis| redis.set(key, value, ttl).await).await {
            Guarded::Answered(()) | Guarded::NoStore => (),
            Guarded::Failed | Guarded::Skipped => self.metrics.write_failed(),
        }
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        self.metrics.snapshot()
    }

    fn local<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let value = self.tiers.local.lookup(key).and_then(|bytes| decode(&bytes));
        let outcome = if value.is_some() { Outcome::Hit } else { Outcome::Miss };
        self.metrics.looked_up(Tier::Local, outcome);
        value
    }

    async fn shared<T>(&self, key: &str, decode: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let (outcome, value) = match self.tiers.guarded(async |redis| redis.get(key).await).await {
            Guarded::NoStore => return None,
            Guarded::Skipped => (Outcome::Skipped, None),
            Guarded::Failed => (Outcome::Error, None),
            Guarded::Answered(bytes) => {
                match bytes.and_then(|bytes| decode(&bytes).map(|value| (bytes, value))) {
                    None => (Outcome::Miss, None),
                    Some((bytes, value)) => {
                        // Its whole time to live again: keys name the version of what they hold, so that an entry never
                        // gets wrong, only useless.
                        self.tiers.local.insert(key, &bytes, self.ttl);
                        (Outcome::Hit, Some(value))
                    }
                }
            }
        };
        self.metrics.looked_up(Tier::Redis, outcome);
        value
    }
}
