//! The configuration of the embedding worker.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::{Args, Parser};
use toolweaver_embedding::ModelConfig;
use toolweaver_messaging::{NatsConfig, StreamsConfig};
use toolweaver_service_runtime::{RuntimeConfig, ServiceConfig};
use toolweaver_vector_store::QdrantConfig;

/// Beyond this a batch's events and vectors take hundreds of megabytes.
const BATCH_MAX: usize = 4_096;
/// A pull request that waits longer delays the first tool of a quiet catalog for nothing.
const LINGER_MAX: Duration = Duration::from_secs(5);
/// More do not help: one thread owns the model.
const BATCHES_AT_ONCE_MAX: usize = 8;

/// Consumes TOOLS, embeds, writes to the vector database, and says in INDEXED what became searchable.
#[derive(Debug, Clone, Parser)]
#[command(name = "embedding-worker", version)]
pub struct Config {
    /// The connection to NATS.
    #[command(flatten)]
    pub nats: NatsConfig,
    /// The settings of the streams.
    #[command(flatten)]
    pub streams: StreamsConfig,
    /// The model that embeds tools; the same as the query workers'.
    #[command(flatten)]
    pub model: ModelConfig,
    /// The vector database.
    #[command(flatten)]
    pub qdrant: QdrantConfig,
    /// The batches in which events become searchable.
    #[command(flatten)]
    pub indexing: IndexingSettings,
    /// Telemetry, health, shutdown.
    #[command(flatten)]
    pub runtime: RuntimeConfig,
}

/// The batches in which events become searchable.
#[derive(Debug, Clone, Args)]
pub struct IndexingSettings {
    /// Most events in a batch
    #[arg(long, env = "EMBEDDING_BATCH_MAX", value_name = "COUNT", default_value = "256")]
    pub embedding_batch_max: NonZeroUsize,

    /// Milliseconds that a batch waits for more events after its first
    #[arg(long, env = "EMBEDDING_LINGER_MS", value_name = "MS", default_value_t = 20)]
    pub embedding_linger_ms: u64,

    /// Batches worked on at once: while one is being stored, the next is embedded
    #[arg(long, env = "EMBEDDING_BATCHES_AT_ONCE", value_name = "COUNT", default_value = "2")]
    pub embedding_batches_at_once: NonZeroUsize,

    /// Hours that a removal stays in INDEXED: longer than any query worker is disconnected
    #[arg(long, env = "EMBEDDING_TOMBSTONE_HOURS", value_name = "HOURS", default_value = "168")]
    pub embedding_tombstone_hours: NonZeroU32,
}

impl ServiceConfig for Config {
    fn runtime(&self) -> &RuntimeConfig {
        &self.runtime
    }

    fn validate(&self) -> Vec<String> {
        [self.nats.validate(), self.model.validate(), self.qdrant.validate(), self.indexing.validate()]
            .concat()
    }
}

impl IndexingSettings {
    /// Returns all faults at once, each a sentence that names the variable.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.embedding_batch_max.get() > BATCH_MAX {
            faults.push(format!(
                "EMBEDDING_BATCH_MAX={} must be at most {BATCH_MAX}",
                self.embedding_batch_max
            ));
        }
        if self.linger() > LINGER_MAX {
            let max = LINGER_MAX.as_millis();
            faults.push(format!("EMBEDDING_LINGER_MS={} must be at most {max}", self.embedding_linger_ms));
        }
        if self.embedding_batches_at_once.get() > BATCHES_AT_ONCE_MAX {
            faults.push(format!(
                "EMBEDDING_BATCHES_AT_ONCE={} must be at most {BATCHES_AT_ONCE_MAX}",
                self.embedding_batches_at_once
            ));
        }
        faults
    }

    /// Returns the time that a batch waits for more events after its first.
    pub const fn linger(&self) -> Duration {
        Duration::from_millis(self.embedding_linger_ms)
    }

    /// Returns the time that a removal stays in INDEXED.
    pub const fn tombstones_live(&self) -> Duration {
        Duration::from_hours(self.embedding_tombstone_hours.get() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_of_all_parts_are_reported_at_once() {
        let config = Config::try_parse_from([
            "embedding-worker",
            "--nats-url=http://host",
            "--model=candle",
            "--model-dir=/nowhere",
            "--use-vector-db",
            "--qdrant-url=host",
            "--embedding-batch-max=100000",
            "--embedding-linger-ms=60000",
            "--embedding-batches-at-once=100",
        ])
        .unwrap();
        let faults = config.validate();
        for variable in [
            "NATS_URL",
            "TOOLWEAVER_MODEL_DIR",
            "QDRANT_URL",
            "EMBEDDING_BATCH_MAX",
            "EMBEDDING_LINGER_MS",
            "EMBEDDING_BATCHES_AT_ONCE",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(variable)), "{variable} in {faults:?}");
        }
        assert_eq!(faults.len(), 6);
    }

    #[test]
    fn the_defaults_are_valid() {
        let config = Config::try_parse_from(["embedding-worker", "--model=hashing"]).unwrap();
        assert_eq!(config.validate(), Vec::<String>::new());
        assert_eq!(config.indexing.tombstones_live(), Duration::from_hours(7 * 24));
    }
}
