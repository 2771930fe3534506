//! Which model, from where, on which device.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{Candle, Hashing, Limits, LoadError, Model, Prefixes};

/// Options of the embedding model.
#[derive(Debug, Clone, clap::Args)]
pub struct ModelConfig {
    /// The kind of model that makes vectors of texts
    #[arg(long = "model", env = "TOOLWEAVER_MODEL", value_enum, default_value_t = ModelKind::Candle)]
    pub kind: ModelKind,

    /// Folder of a sentence-transformers model: config.json, tokenizer.json, model.safetensors and so on
    #[arg(long, env = "TOOLWEAVER_MODEL_DIR", value_name = "DIR")]
    pub model_dir: Option<PathBuf>,

    /// The device that computes vectors
    #[arg(long, env = "TOOLWEAVER_DEVICE", value_enum, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,

    /// Threads that compute vectors on the CPU [default: one for each core]
    #[arg(long, env = "TOOLWEAVER_EMBEDDING_THREADS", value_name = "N")]
    pub embedding_threads: Option<NonZeroUsize>,

    /// Tokens in one batch, padding included: more is faster on a GPU and needs more memory
    #[arg(long, env = "TOOLWEAVER_TOKENS_PER_BATCH_MAX", value_name = "N", default_value = "4096")]
    pub tokens_per_batch_max: NonZeroUsize,

    /// Not for hashed words, which have none
    #[command(flatten)]
    pub prefixes: Prefixes,
}

impl ModelConfig {
    /// Returns all faults at once, each a sentence that names the variable. The folder's contents are
    /// [`load`]'s to judge.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.kind == ModelKind::Candle {
            match &self.model_dir {
                None => faults.push(
                    "TOOLWEAVER_MODEL_DIR is not set: give the folder of a sentence-transformers model, for example one \
                     that `toolweaver model pull` has fetched"
                        .to_owned(),
                ),
                Some(dir) if !dir.is_dir() => {
                    faults.push(format!("TOOLWEAVER_MODEL_DIR: {} is not a folder", dir.display()));
                }
                Some(_) => {}
            }
        }
        faults
    }

    /// Returns the limits for an embedder in front of this model.
    pub fn limits(&self) -> Limits {
        Limits { tokens_per_batch_max: self.tokens_per_batch_max, ..Limits::default() }
    }
}

/// The model's implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ModelKind {
    /// The weights of a model folder
    Candle,
    /// Hashed words, no weights: for tests, not for good search
    Hashing,
}

/// The device that computes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The first GPU if this binary can use one and one is there, else the CPU
    Auto,
    /// The CPU
    Cpu,
    /// The first GPU; refuse to start without
    Cuda,
}

/// Loads the model that `config` names, on a thread that may block, and logs its name and device.
pub async fn load(config: &ModelConfig) -> Result<Arc<dyn Model>, LoadError> {
    let config = config.clone();
    let loading = tokio::task::spawn_blocking(move || load_blocking(&config));
    loading.await.expect("loading a model reports its errors")
}

/// Loads the model that `config` names, and logs its name and device. Blocks for a fraction of a second.
pub fn load_blocking(config: &ModelConfig) -> Result<Arc<dyn Model>, LoadError> {
    let started = std::time::Instant::now();
    let model: Arc<dyn Model> = match config.kind {
        ModelKind::Hashing => {
            tracing::warn!("embedding with hashed words: good for tests, not for search by meaning");
            Arc::new(Hashing::new())
        }
        ModelKind::Candle => {
            let dir = config.model_dir.as_deref().ok_or(LoadError::NoFolder)?;
            Arc::new(Candle::load(dir, config.device, config.embedding_threads, &config.prefixes)?)
        }
    };
    tracing::info!(
        model = %model.fingerprint(),
        device = %model.device(),
        dimensions = model.dimensions(),
        took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "embedding model loaded"
    );
    Ok(model)
}
