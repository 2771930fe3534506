//! How often the caches helped: as metrics, and as plain numbers for a status reply.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use serde::Serialize;

/// How the lookups of one layer ended since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerSnapshot {
    /// Found in this process's memory.
    pub local_hits: u64,
    /// Found in Redis.
    pub redis_hits: u64,
    /// Found nowhere.
    pub misses: u64,
    /// Of these misses: Redis failed, or was not asked because it is known to be down.
    pub redis_errors: u64,
}

/// Where a lookup looked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tier {
    Local,
    Redis,
}

/// How a lookup in one tier ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Found.
    Hit,
    /// Not there, or not readable.
    Miss,
    /// The store failed.
    Error,
    /// The store was not asked, because it is known to be down.
    Skipped,
}

/// The counters of one layer. Created with the cache, so after telemetry was started.
#[derive(Debug)]
pub(crate) struct LayerMetrics {
    layer: &'static str,
    requests: Counter<u64>,
    write_errors: Counter<u64>,
    local_hits: AtomicU64,
    redis_hits: AtomicU64,
    misses: AtomicU64,
    redis_errors: AtomicU64,
}

impl LayerMetrics {
    pub(crate) fn new(layer: &'static str) -> Self {
        let meter = global::meter("toolweaver.cache");
        Self {
            layer,
            requests: meter
                .u64_counter("toolweaver_cache_requests_total")
                .with_description("Lookups by layer, tier and result (hit, miss, error, skipped)")
                .build(),
            write_errors: meter
                .u64_counter("toolweaver_cache_write_errors_total")
                .with_description("Entries that could not be stored in Redis")
                .build(),
            local_hits: AtomicU64::new(0),
            redis_hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            redis_errors: AtomicU64::new(0),
        }
    }

    /// One tier was asked.
    pub(crate) fn looked_up(&self, tier: Tier, outcome: Outcome) {
        let (tier_label, hits) = match tier {
            Tier::Local => ("local", &self.local_hits),
            Tier::Redis => ("redis", &self.redis_hits),
        };
        let result = match outcome {
            Outcome::Hit => "hit",
            Outcome::Miss => "miss",
            Outcome::Error => "error",
            Outcome::Skipped => "skipped",
        };
        match outcome {
            Outcome::Hit => hits.fetch_add(1, Ordering::Relaxed),
            Outcome::Error | Outcome::Skipped => self.redis_errors.fetch_add(1, Ordering::Relaxed),
            Outcome::Miss => 0,
        };
        let labels = [
            KeyValue::new("layer", self.layer),
            KeyValue::new("tier", tier_label),
            KeyValue::new("result", result),
        ];
        self.requests.add(1, &labels);
    }

    /// No tier had it.
    pub(crate) fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write_failed(&self) {
        self.write_errors.add(1, &[KeyValue::new("layer", self.layer)]);
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        LayerSnapshot {
            local_hits: self.local_hits.load(Ordering::Relaxed),
            redis_hits: self.redis_hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            redis_errors: self.redis_errors.load(Ordering::Relaxed),
        }
    }
}
