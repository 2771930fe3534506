//! Configuration of the query worker.

use std::{
    collections::BTreeSet,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser};
use toolweaver_catalog_cache::CacheConfig;
use toolweaver_contracts::Domain;
use toolweaver_embedding::ModelConfig;
use toolweaver_messaging::{Limits, NatsConfig, TenantRate};
use toolweaver_service_runtime::{RuntimeConfig, ServiceConfig};
use toolweaver_vector_store::QdrantConfig;

use crate::search::{SearchTimeouts, llm_classifier::LlmSettings};

/// Answers search, get, domains and status over NATS, from its own projection of the catalog.
#[derive(Debug, Clone, Parser)]
#[command(name = "query-worker", version)]
pub struct Config {
    /// NATS connection.
    #[command(flatten)]
    pub nats: NatsConfig,
    /// Embedding model; the same as the embedding worker's.
    #[command(flatten)]
    pub model: ModelConfig,
    /// Vector database.
    #[command(flatten)]
    pub qdrant: QdrantConfig,
    /// Caches.
    #[command(flatten)]
    pub cache: CacheConfig,
    /// Serving of requests.
    #[command(flatten)]
    pub query: QuerySettings,
    /// Telemetry, health, shutdown.
    #[command(flatten)]
    pub runtime: RuntimeConfig,
}

/// Settings of how requests are served.
#[derive(Debug, Clone, Args)]
pub struct QuerySettings {
    /// Searches computed at the same time however slow they are. From there the number follows their latency,
    /// up to `QUERY_CONCURRENCY_MAX`
    #[arg(long, env = "QUERY_CONCURRENCY_MIN", default_value = "16")]
    pub query_concurrency_min: NonZeroUsize,
    /// Most searches computed at the same time
    #[arg(long, env = "QUERY_CONCURRENCY_MAX", default_value = "256")]
    pub query_concurrency_max: NonZeroUsize,
    /// Most searches that wait for their turn; a tenant that sends many does not hold up another
    #[arg(long, env = "QUERY_QUEUE_MAX", default_value_t = 256)]
    pub query_queue_max: usize,
    /// Longest that a search waits for its turn; one that would wait longer is answered 429 at once
    #[arg(long, env = "QUERY_QUEUE_WAIT_MS", default_value_t = 500)]
    pub query_queue_wait_ms: u64,
    /// Requests a second that each tenant may send to this worker; more are answered 429. 0 means any number
    #[arg(long, env = "QUERY_RATE_MAX", default_value_t = 0)]
    pub query_rate_max: u32,
    /// Requests that a tenant may send at once after a pause [default: as many as in a second]
    #[arg(long, env = "QUERY_RATE_BURST")]
    pub query_rate_burst: Option<NonZeroU32>,
    /// Largest request in bytes, with room for a thousand excluded tools; a larger one is answered 400
    #[arg(long, env = "QUERY_REQUEST_BYTES_MAX", default_value = "524288")]
    pub query_request_bytes_max: NonZeroUsize,
    /// Milliseconds after which a search goes on without a dependency that has not answered yet
    #[arg(long, env = "QUERY_PART_TIMEOUT_MS", value_name = "MS", default_value_t = 1_000)]
    pub query_part_timeout_ms: u64,
    /// Milliseconds from the receipt of a search until it is answered with what there is, however many
    /// dependencies are slow or silent; `wait_ms` of a request is added
    #[arg(long, env = "QUERY_TIMEOUT_MS", value_name = "MS", default_value_t = 2_500)]
    pub query_timeout_ms: u64,
    /// Requests that are answered before the worker is ready, one a line: QUERY of the default tenant, or
    /// TENANT<tab>QUERY
    #[arg(long, env = "QUERY_WARM_FILE", value_name = "FILE")]
    pub query_warm_file: Option<PathBuf>,
    /// Changes applied to the projection at once.
    #[arg(long, env = "PROJECTION_BATCH_MAX", default_value = "4096")]
    pub projection_batch_max: NonZeroUsize,
    /// Index only these domains, separated by commas; other workers own the rest and are asked about it
    #[arg(long = "domains", env = "QUERY_DOMAINS", value_name = "DOMAIN,...", value_delimiter = ',')]
    pub query_domains: Vec<Domain>,
    /// Language model that is asked for a domain where nothing else is sure.
    #[command(flatten)]
    pub llm: LlmSettings,
}

impl ServiceConfig for Config {
    fn runtime(&self) -> &RuntimeConfig {
        &self.runtime
    }

    fn validate(&self) -> Vec<String> {
        let faults =
            [self.nats.validate(), self.model.validate(), self.qdrant.validate(), self.cache.validate()];
        let mut faults = faults.concat();
        faults.extend(self.query.validate());
        faults
    }
}

impl QuerySettings {
    /// Returns all faults at once, each a sentence that names the variable.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = self.llm.validate();
        if self.query_part_timeout_ms == 0 {
            faults.push("QUERY_PART_TIMEOUT_MS must be at least 1".to_owned());
        }
        if self.query_timeout_ms < self.query_part_timeout_ms {
            faults.push(format!(
                "QUERY_TIMEOUT_MS={} must not be less than QUERY_PART_TIMEOUT_MS={}",
                self.query_timeout_ms, self.query_part_timeout_ms
            ));
        }
        let (min, max) = (self.query_concurrency_min, self.query_concurrency_max);
        if min > max {
            faults.push(format!(
                "QUERY_CONCURRENCY_MIN is {min} and must be at most QUERY_CONCURRENCY_MAX, {max}"
            ));
        }
        if self.query_rate_max == 0 && self.query_rate_burst.is_some() {
            faults.push("QUERY_RATE_BURST needs a QUERY_RATE_MAX: set both or neither".to_owned());
        }
        faults
    }

    /// Returns the limits of every endpoint that tenants ask. Each call counts the tenants' rate anew.
    pub(crate) fn limits(&self) -> Limits {
        let rate = NonZeroU32::new(self.query_rate_max)
            .map(|per_second| TenantRate::new(per_second, self.query_rate_burst.unwrap_or(per_second)));
        Limits { request_bytes_max: self.query_request_bytes_max.get(), rate, ..Limits::default() }
    }

    /// Returns the limits of endpoints that search: they adapt, because a search costs what the machine has.
    pub(crate) fn searching(&self, limits: &Limits) -> Limits {
        Limits {
            concurrency_min: self.query_concurrency_min,
            concurrency_max: self.query_concurrency_max,
            queue_max: self.query_queue_max,
            queue_wait_max: Duration::from_millis(self.query_queue_wait_ms),
            ..limits.clone()
        }
    }

    /// Returns the timeouts of a search.
    pub(crate) const fn timeouts(&self) -> SearchTimeouts {
        let arm = Duration::from_millis(self.query_part_timeout_ms);
        SearchTimeouts { arm, total: Duration::from_millis(self.query_timeout_ms) }
    }

    /// Returns the domains that this worker owns; `None` means all.
    pub(crate) fn own_domains(&self) -> Option<BTreeSet<Domain>> {
        (!self.query_domains.is_empty()).then(|| self.query_domains.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[&str]) -> QuerySettings {
        let arguments = [&["query-worker", "--model=hashing"], options].concat();
        Config::try_parse_from(arguments).expect("options").query
    }

    #[test]
    fn every_fault_is_told() {
        assert_eq!(settings(&[]).validate(), Vec::<String>::new());
        let options = ["--query-concurrency-min=9", "--query-concurrency-max=8", "--query-rate-burst=5"];
        let faults = settings(&[&options[..], &["--query-part-timeout-ms=0"]].concat()).validate();
        let named = ["QUERY_PART_TIMEOUT_MS", "QUERY_CONCURRENCY_MIN", "QUERY_RATE_BURST"];
        assert_eq!(faults.len(), named.len(), "{faults:?}");
        for (fault, name) in faults.iter().zip(named) {
            assert!(fault.starts_with(name), "{fault}");
        }
    }

    #[test]
    fn there_is_no_rate_unless_it_is_set() {
        assert!(settings(&[]).limits().rate.is_none());
        assert!(settings(&["--query-rate-max=50"]).limits().rate.is_some());
    }
}
