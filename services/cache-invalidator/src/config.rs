//! The configuration of the cache invalidator.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::{Args, Parser};
use toolweaver_catalog_cache::CacheConfig;
use toolweaver_messaging::{NatsConfig, StreamsConfig};
use toolweaver_service_runtime::{RuntimeConfig, ServiceConfig};

/// A pull request larger than this is not answered faster.
const BATCH_MAX: usize = 4_096;
/// A version that comes later than this helps nobody any more.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// Consumes INDEXED and raises catalog versions in Redis.
#[derive(Debug, Clone, Parser)]
#[command(name = "cache-invalidator", version)]
pub struct Config {
    /// The connection to NATS.
    #[command(flatten)]
    pub nats: NatsConfig,
    /// The settings of the streams.
    #[command(flatten)]
    pub streams: StreamsConfig,
    /// The store of the versions.
    #[command(flatten)]
    pub cache: CacheConfig,
    /// The batches in which events become versions.
    #[command(flatten)]
    pub invalidation: InvalidationSettings,
    /// Telemetry, health, shutdown.
    #[command(flatten)]
    pub runtime: RuntimeConfig,
}

/// The batches in which events become versions.
#[derive(Debug, Clone, Args)]
pub struct InvalidationSettings {
    /// Most events in a batch
    #[arg(long, env = "INVALIDATION_BATCH_MAX", value_name = "COUNT", default_value = "1024")]
    pub invalidation_batch_max: NonZeroUsize,

    /// Milliseconds that a batch waits for more events after its first, and at least between the writes of
    /// two batches: each scope is written once a batch
    #[arg(long, env = "INVALIDATION_LINGER_MS", value_name = "MS", default_value_t = 20)]
    pub invalidation_linger_ms: u64,
}

impl ServiceConfig for Config {
    fn runtime(&self) -> &RuntimeConfig {
        &self.runtime
    }

    fn validate(&self) -> Vec<String> {
        [self.nats.validate(), self.cache.validate(), self.invalidation.validate()].concat()
    }
}

impl InvalidationSettings {
    /// Returns all faults at once, each a sentence that names the variable.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.invalidation_batch_max.get() > BATCH_MAX {
            faults.push(format!(
                "INVALIDATION_BATCH_MAX={} must be at most {BATCH_MAX}",
                self.invalidation_batch_max
            ));
        }
        if self.linger() > LINGER_MAX {
            let max = LINGER_MAX.as_millis();
            faults.push(format!(
                "INVALIDATION_LINGER_MS={} must be at most {max}",
                self.invalidation_linger_ms
            ));
        }
        faults
    }

    /// Returns the time that a batch waits for more events after its first.
    pub const fn linger(&self) -> Duration {
        Duration::from_millis(self.invalidation_linger_ms)
    }
}
