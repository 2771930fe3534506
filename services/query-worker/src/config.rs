//! What an operator may set.

use std::{collections::BTreeSet, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Parser};
use toolweaver_catalog_cache::CacheConfig;
use toolweaver_contracts::Domain;
use toolweaver_embedding::ModelConfig;
use toolweaver_messaging::NatsConfig;
use toolweaver_service_runtime::{RuntimeConfig, ServiceConfig};
use toolweaver_vector_store::QdrantConfig;

use crate::{router::llm::LlmSettings, searcher::Patience};

/// Answers search, get, domains and status over NATS, from its own projection of the catalogue.
#[derive(Debug, Clone, Parser)]
#[command(name = "query-worker", version)]
pub struct Config {
    /// How to reach NATS.
    #[command(flatten)]
    pub nats: NatsConfig,
    /// Which model embeds queries; the same as the embedding worker's.
    #[command(flatten)]
    pub model: ModelConfig,
    /// Where vectors are searched.
    #[command(flatten)]
    pub qdrant: QdrantConfig,
    /// Where answers are cached.
    #[command(flatten)]
    pub cache: CacheConfig,
    /// How requests are served.
    #[command(flatten)]
    pub query: QuerySettings,
    /// Telemetry, health, shutdown.
    #[command(flatten)]
    pub runtime: RuntimeConfig,
}

/// How requests are served.
#[derive(Debug, Clone, Args)]
pub struct QuerySettings {
    /// Searches computed at the same time; one more is answered 429 at once.
    #[arg(long, env = "QUERY_CONCURRENCY_MAX", default_value = "256")]
    pub query_concurrency_max: NonZeroUsize,
    /// Milliseconds after which a search is answered without the part that has not answered yet.
    #[arg(long, env = "QUERY_PART_TIMEOUT_MS", value_name = "MS", default_value_t = 1_000)]
    pub query_part_timeout_ms: u64,
    /// Milliseconds after which a search is answered with what there is, however many parts were late one after the other
    #[arg(long, env = "QUERY_TIMEOUT_MS", value_name = "MS", default_value_t = 2_500)]
    pub query_timeout_ms: u64,
    /// Requests that are answered before the worker is ready, one a line: QUERY of the default tenant, or TENANT<tab>QUERY
    #[arg(long, env = "QUERY_WARM_FILE", value_name = "FILE")]
    pub query_warm_file: Option<PathBuf>,
    /// Changes applied to the projection at once.
    #[arg(long, env = "PROJECTION_BATCH_MAX", default_value = "4096")]
    pub projection_batch_max: NonZeroUsize,
    /// Index only these domains, separated by commas; other workers own the rest and are asked about it
    #[arg(long = "domains", env = "QUERY_DOMAINS", value_name = "DOMAIN,...", value_delimiter = ',')]
    pub query_domains: Vec<Domain>,
    /// Who is asked for a domain where nothing else is sure.
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
    /// All faults at once, each a sentence that names the variable.
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
        faults
    }

    /// How long answers may take.
    pub(crate) const fn patience(&self) -> Patience {
        let part = Duration::from_millis(self.query_part_timeout_ms);
        Patience { part, whole: Duration::from_millis(self.query_timeout_ms) }
    }

    /// The domains that this worker owns; `None` means all.
    pub(crate) fn own_domains(&self) -> Option<BTreeSet<Domain>> {
        (!self.query_domains.is_empty()).then(|| self.query_domains.iter().cloned().collect())
    }
}
