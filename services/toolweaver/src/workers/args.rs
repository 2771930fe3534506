//! Options of the three workers, wherever they run in one process.

use clap::Args;
use toolweaver_cache_invalidator as cache_invalidator;
use toolweaver_catalog_cache::CacheConfig;
use toolweaver_contracts::{ErrorCode, Fault};
use toolweaver_embedding::{ModelConfig, ModelKind};
use toolweaver_embedding_worker as embedding_worker;
use toolweaver_messaging::StreamsConfig;
use toolweaver_query_worker as query_worker;
use toolweaver_vector_store::QdrantConfig;

use crate::data_dir::DataDir;

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    pub(crate) streams: StreamsConfig,

    #[command(flatten, next_help_heading = "Model")]
    pub(crate) model: ModelConfig,

    #[command(flatten, next_help_heading = "Indexing")]
    pub(crate) indexing: embedding_worker::IndexingSettings,

    #[command(flatten, next_help_heading = "Queries")]
    pub(crate) query: query_worker::QuerySettings,

    #[command(flatten, next_help_heading = "Vectors")]
    pub(crate) qdrant: QdrantConfig,

    #[command(flatten, next_help_heading = "Cache")]
    pub(crate) cache: CacheConfig,

    #[command(flatten, next_help_heading = "Invalidation")]
    pub(crate) invalidation: cache_invalidator::InvalidationSettings,
}

impl WorkerArgs {
    /// Takes the model of the data folder, where none was named.
    pub(crate) fn find_model(&mut self, data_dir: &DataDir) -> Result<(), Fault> {
        if self.model.kind == ModelKind::Candle && self.model.model_dir.is_none() {
            let found = data_dir.default_model().ok_or_else(|| {
                let models = data_dir.models();
                Fault::new(
                    ErrorCode::BadRequest,
                    format!("there is no embedding model in {}", models.display()),
                )
                .hint("run `toolweaver model pull`, or say where one is with --model-dir")
            })?;
            self.model.model_dir = Some(found);
        }
        Ok(())
    }

    /// Returns all faults of all options together.
    pub(crate) fn validate(&self) -> Vec<String> {
        [
            self.model.validate(),
            self.indexing.validate(),
            self.query.validate(),
            self.invalidation.validate(),
            self.qdrant.validate(),
            self.cache.validate(),
        ]
        .concat()
    }
}
