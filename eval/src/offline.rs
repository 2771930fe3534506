//! Search system in this process, without NATS: fast enough to try a ranking, and the same ranking.

use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest as _, Sha256};
use toolweaver_catalog_cache::{CacheConfig, CatalogCache, Local, Store};
use toolweaver_contracts::{ErrorCode, Fault, SearchReply, SearchRequest, Tenant, Tool};
use toolweaver_embedding::{Embedder, Limits, Model, template};
use toolweaver_query_worker::offline::Engine;

use crate::{
    console::{progress_bar, remark},
    set::Set,
    system::SearchSystem,
};

/// Cache of the vectors of queries, in bytes: a query asked twice is embedded once, but its answer is
/// computed twice.
const CACHE_BYTES_MAX: u64 = 64 << 20;

/// Index of one set in this process.
pub(crate) struct Offline {
    engine: Engine,
    tenant: Tenant,
}

impl Offline {
    /// Indexes a set; its vectors are read from `vectors_dir` where an earlier run has left them, else
    /// embedded. Without routing every search is global.
    pub(crate) async fn open(
        model: Arc<dyn Model>,
        limits: Limits,
        set: &Set,
        vectors_dir: Option<&Path>,
        with_routing: bool,
    ) -> Result<Self, Fault> {
        let local = Store::Local(Local::new(CACHE_BYTES_MAX));
        let cache = CatalogCache::new(local, &CacheConfig::local(NonZeroU64::MIN), "offline");
        let dimensions = model.dimensions().get();
        let file = vectors_dir.map(|folder| vectors_file(folder, set, model.fingerprint().hex()));
        let mut engine =
            Engine::new(Embedder::spawn(model, limits), cache, with_routing).map_err(internal)?;
        let known = file.as_deref().and_then(|file| read(file, set.tools.len(), dimensions));
        let vectors = match known {
            Some(vectors) => vectors,
            None => embed(&engine, set, file.as_deref()).await?,
        };
        let tenant = Tenant::default();
        let tools = set.tools.iter().cloned().zip(vectors).collect();
        engine.add(&tenant, tools).await.map_err(internal)?;
        Ok(Self { engine, tenant })
    }
}

impl SearchSystem for Offline {
    async fn search(&self, request: &SearchRequest) -> Result<SearchReply, Fault> {
        self.engine.search(&self.tenant, request.clone()).await
    }
}

async fn embed(engine: &Engine, set: &Set, file: Option<&Path>) -> Result<Vec<Vec<f32>>, Fault> {
    let progress = progress_bar(set.tools.len(), "embedding");
    let vectors = engine.embed(&set.tools, |count| progress.inc(count as u64)).await.map_err(internal);
    progress.finish_and_clear();
    let vectors = vectors?;
    if let Some(file) = file {
        let bytes: Vec<u8> = vectors.iter().flatten().flat_map(|number| number.to_le_bytes()).collect();
        // The next run is slower without them; this one has what it needs.
        if let Err(error) = fs::write(file, bytes) {
            remark(&format!("cannot keep the vectors in {}: {error}", file.display()));
        }
    }
    Ok(vectors)
}

/// Returns the file of the vectors: one for each set, model and text of the tools.
fn vectors_file(folder: &Path, set: &Set, model: &str) -> PathBuf {
    let mut hasher = Sha256::new();
    hasher.update(model);
    for text in set.tools.iter().flat_map(|tool: &Tool| template::passages(tool)) {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    let hash: [u8; 32] = hasher.finalize().into();
    let hash = hash.iter().take(8).fold(0_u64, |hash, byte| (hash << 8) | u64::from(*byte));
    folder.join(format!("{}-{hash:016x}.f32", set.name))
}

/// Reads the vectors of `count` tools; `None` where the file is not there, or not whole.
fn read(file: &Path, count: usize, dimensions: usize) -> Option<Vec<Vec<f32>>> {
    let bytes = fs::read(file).ok()?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() != count * dimensions {
        return None;
    }
    let vectors = numbers.chunks_exact(dimensions);
    Some(vectors.map(|vector| vector.iter().map(|number| f32::from_le_bytes(*number)).collect()).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn internal(error: anyhow::Error) -> Fault {
    Fault::new(ErrorCode::Internal, format!("{error:#}"))
}
