//! Checks of dependencies beside NATS: a model on disk, Qdrant and Redis.

use std::{
    num::NonZeroUsize,
    path::Path,
    time::{Duration, Instant},
};

use toolweaver_catalog_cache::{EntryStore as _, Redis, RedisConfig};
use toolweaver_resilience::error_chain;
use toolweaver_vector_store::{Qdrant, QdrantConfig, VectorStore as _};

use super::Finding;
use crate::{
    data_dir::DataDir,
    default_model::{self, WEIGHTS_SHA256, sha256_of},
};

/// Time that Redis may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Checks the model that the next `up` would take.
pub(super) fn default_model(data_dir: &DataDir) -> Finding {
    match data_dir.default_model() {
        Some(dir) => model(&dir),
        None => Finding::fail(
            "model",
            format!("none in {}", data_dir.models().display()),
            "run `toolweaver model pull`, or say where one is with --model-dir",
        ),
    }
}

/// Checks the files of a model.
pub(super) fn model(dir: &Path) -> Finding {
    const CHECK: &str = "model";
    let missing: Vec<&str> = ["config.json", "tokenizer.json", "model.safetensors"]
        .into_iter()
        .filter(|file| !dir.join(file).is_file())
        .collect();
    if !missing.is_empty() {
        let detail = format!("{} is missing in {}", missing.join(", "), dir.display());
        return Finding::fail(CHECK, detail, "run `toolweaver model pull`, or give another --model-dir");
    }
    match sha256_of(&dir.join("model.safetensors")) {
        Ok(sha256) if sha256 == WEIGHTS_SHA256 => {
            Finding::pass(CHECK, format!("{} in {}, hash as published", default_model::NAME, dir.display()))
        }
        Ok(sha256) => {
            Finding::pass(CHECK, format!("another than the default in {}, weights {sha256}", dir.display()))
        }
        Err(error) => {
            Finding::fail(CHECK, format!("cannot read {}: {error}", dir.display()), "check its permissions")
        }
    }
}

/// Checks that Qdrant answers.
pub(super) async fn qdrant(config: &QdrantConfig) -> Finding {
    const CHECK: &str = "Qdrant";
    let advice = "check that Qdrant runs there and that QDRANT_URL is its gRPC port (6334)";
    let failed = |error: &dyn std::error::Error| {
        Finding::fail(CHECK, error_chain(error).to_string(), advice).at(&config.qdrant_url)
    };
    // Only the server is asked here, no collection: fingerprint and dimensions do not matter.
    let store = match Qdrant::new(config, "doctor", NonZeroUsize::MIN) {
        Ok(store) => store,
        Err(error) => return failed(&error),
    };
    let begin = Instant::now();
    match store.health().await {
        Ok(version) => {
            Finding::pass(CHECK, format!("{version} at {}", config.qdrant_url)).after(begin.elapsed())
        }
        Err(error) => failed(&error),
    }
}

/// Checks that Redis answers.
pub(super) async fn redis(config: &RedisConfig) -> Finding {
    const CHECK: &str = "Redis";
    let url = config.redis_url.to_string();
    let advice = "check that Redis runs there, and REDIS_URL with its password";
    let store = match Redis::connect(config) {
        Ok(store) => store,
        Err(error) => return Finding::fail(CHECK, error_chain(&error).to_string(), advice).at(&url),
    };
    let deadline = Instant::now() + CONNECT_WITHIN;
    while !store.is_connected() {
        if Instant::now() >= deadline {
            return Finding::fail(
                CHECK,
                format!("no connection within {} s", CONNECT_WITHIN.as_secs()),
                advice,
            )
            .at(&url);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begin = Instant::now();
    match store.get("doctor").await {
        Ok(_) => Finding::pass(CHECK, format!("answers at {url}")).after(begin.elapsed()),
        Err(error) => Finding::fail(CHECK, error_chain(&error).to_string(), advice).at(&url),
    }
}
