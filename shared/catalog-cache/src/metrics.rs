//! Hits and misses of the caches: as metrics, and as plain numbers for a status reply.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};
use serde::Serialize;

/// Counts of the lookups of one layer since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LayerSnapshot {
    /// Hits in this process's memory.
    pub local_hits: u64,
    /// Hits in Redis.
    pub redis_hits: u64,
    /// Hits in files.
    pub file_hits: u64,
    /// Misses in every tier.
    pub misses: u64,
    /// Lookups for which Redis failed, or was not called because it is known to be down.
    pub redis_errors: u64,
}

/// Tier of a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tier {
    Local,
    Redis,
    Files,
}

impl Tier {
    const ALL: [Self; 3] = [Self::Local, Self::Redis, Self::Files];

    const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Redis => "redis",
            Self::Files => "files",
        }
    }
}

/// Result of a lookup in one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Hit.
    Hit,
    /// Miss, or a value that cannot be decoded.
    Miss,
    /// The tier failed.
    Error,
    /// The tier was not called, because it is known to be down or to be busy.
    Skipped,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Hit, Self::Miss, Self::Error, Self::Skipped];

    const fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }

    /// Returns the outcome of a tier that answered.
    pub(crate) fn of<T>(found: Option<&T>) -> Self {
        if found.is_some() { Self::Hit } else { Self::Miss }
    }
}

/// Counters of one layer. Created with the cache, so after telemetry was started.
#[derive(Debug)]
pub(crate) struct LayerMetrics {
    layer: &'static str,
    requests: Counter<u64>,
    write_errors: Counter<u64>,
    local_hits: AtomicU64,
    redis_hits: AtomicU64,
    file_hits: AtomicU64,
    misses: AtomicU64,
    redis_errors: AtomicU64,
}

impl LayerMetrics {
    pub(crate) fn new(layer: &'static str) -> Self {
        let meter = global::meter("toolweaver.cache");
        let requests = meter
            .u64_counter("toolweaver_cache_requests_total")
            .with_description("Lookups by layer, tier and result (hit, miss, error, skipped)")
            .build();
        let write_errors = meter
            .u64_counter("toolweaver_cache_write_errors_total")
            .with_description("Entries that could not be stored, by layer and tier")
            .build();
        // Each is there before the first time: what appears at 1 has no increase.
        for tier in Tier::ALL {
            for outcome in Outcome::ALL {
                requests.add(0, &labels(layer, tier, outcome));
            }
            write_errors.add(0, &[KeyValue::new("layer", layer), KeyValue::new("tier", tier.name())]);
        }
        Self {
            layer,
            requests,
            write_errors,
            local_hits: AtomicU64::new(0),
            redis_hits: AtomicU64::new(0),
            file_hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            redis_errors: AtomicU64::new(0),
        }
    }

    /// Counts a lookup in one tier.
    pub(crate) fn looked_up(&self, tier: Tier, outcome: Outcome) {
        let hits = match tier {
            Tier::Local => &self.local_hits,
            Tier::Redis => &self.redis_hits,
            Tier::Files => &self.file_hits,
        };
        match (outcome, tier) {
            (Outcome::Hit, _) => hits.fetch_add(1, Ordering::Relaxed),
            (Outcome::Error | Outcome::Skipped, Tier::Redis) => {
                self.redis_errors.fetch_add(1, Ordering::Relaxed)
            }
            _ => 0,
        };
        self.requests.add(1, &labels(self.layer, tier, outcome));
    }

    /// Counts a lookup that missed in every tier.
    pub(crate) fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an entry that one tier did not take.
    pub(crate) fn write_failed(&self, tier: Tier) {
        self.write_errors.add(1, &[KeyValue::new("layer", self.layer), KeyValue::new("tier", tier.name())]);
    }

    pub(crate) fn snapshot(&self) -> LayerSnapshot {
        LayerSnapshot {
            local_hits: self.local_hits.load(Ordering::Relaxed),
            redis_hits: self.redis_hits.load(Ordering::Relaxed),
            file_hits: self.file_hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            redis_errors: self.redis_errors.load(Ordering::Relaxed),
        }
    }
}

fn labels(layer: &'static str, tier: Tier, outcome: Outcome) -> [KeyValue; 3] {
    [
        KeyValue::new("layer", layer),
        KeyValue::new("tier", tier.name()),
        KeyValue::new("result", outcome.name()),
    ]
}
