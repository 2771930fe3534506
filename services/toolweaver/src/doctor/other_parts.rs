//! The parts beside NATS: the model on disk, Qdrant and Redis.

use std::{
    num::NonZeroUsize,
    path::Path,
    time::{Duration, Instant},
};

use toolweaver_catalog_cache::{EntryStore as _, Redis, RedisConfig};
use toolweaver_vector_store::{Qdrant, QdrantConfig, VectorStore as _};

use super::Finding;
use crate::{
    data_dir::DataDir,
    exit::with_causes,
    model_pull::{WEIGHTS_SHA256, sha256_of},
};

/// How long Redis may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn model(given: Option<&Path>, data_dir: &DataDir) -> Finding {
    const PART: &str = "model";
    let Some(dir) = given.map(Path::to_path_buf).or_else(|| data_dir.default_model()) else {
        return Finding::bad(
            PART,
            format!("none in {}", data_dir.models().display()),
            "run `toolweaver model pull`, or say where one is with --model-dir",
        );
    };
    let missing: Vec<&str> = ["config.json", "tokenizer.json", "model.safetensors"]
        .into_iter()
        .filter(|file| !dir.join(file).is_file())
        .collect();
    if !missing.is_empty() {
        let detail = format!("{} is missing in {}", missing.join(", "), dir.display());
        return Finding::bad(PART, detail, "run `toolweaver model pull`, or give another --model-dir");
    }
    match sha256_of(&dir.join("model.safetensors")) {
        Ok(sha256) if sha256 == WEIGHTS_SHA256 => {
            Finding::good(PART, format!("all-MiniLM-L6-v2 in {}, hash as published", dir.display()))
        }
        Ok(sha256) => {
            Finding::good(PART, format!("another than the default in {}, weights {sha256}", dir.display()))
        }
        Err(error) => {
            Finding::bad(PART, format!("cannot read {}: {error}", dir.display()), "check its permissions")
        }
    }
}

pub(super) async fn qdrant(config: &QdrantConfig) -> Finding {
    const PART: &str = "Qdrant";
    let advice = "check that Qdrant runs there and that QDRANT_URL is its gRPC port (6334)";
    let bad =
        |error: &dyn std::error::Error| Finding::bad(PART, with_causes(error), advice).at(&config.qdrant_url);
    // Only the server is asked here, no collection: fingerprint and dimensions do not matter.
    let store = match Qdrant::new(config, "doctor", NonZeroUsize::MIN) {
        Ok(store) => store,
        Err(error) => return bad(&error),
    };
    let begin = Instant::now();
    match store.health().await {
        Ok(version) => {
            Finding::good(PART, format!("{version} at {}", config.qdrant_url)).after(begin.elapsed())
        }
        Err(error) => bad(&error),
    }
}

pub(super) async fn redis(config: &RedisConfig) -> Finding {
    const PART: &str = "Redis";
    let url = config.redis_url.to_string();
    let advice = "check that Redis runs there, and REDIS_URL with its password";
    let store = match Redis::connect(config) {
        Ok(store) => store,
        Err(error) => return Finding::bad(PART, with_causes(&error), advice).at(&url),
    };
    let deadline = Instant::now() + CONNECT_WITHIN;
    while !store.is_connected() {
        if Instant::now() >= deadline {
            return Finding::bad(
                PART,
                format!("no connection within {} s", CONNECT_WITHIN.as_secs()),
                advice,
            )
            .at(&url);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begin = Instant::now();
    match store.get("doctor").await {
        Ok(_) => Finding::good(PART, format!("answers at {url}")).after(begin.elapsed()),
        Err(error) => Finding::bad(PART, with_causes(&error), advice).at(&url),
    }
}
