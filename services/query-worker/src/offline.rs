//! Search engine without NATS: the same projection and the same pipeline, fed by hand.
//!
//! For whoever tunes or measures the ranking. An INDEXED event and a request are treated as by a running
//! worker; only the wire is missing.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use tokio::time::Instant;
use toolweaver_catalog_cache::CatalogCache;
use toolweaver_contracts::{
    Fault, IndexedEvent, SearchReply, SearchRequest, TEXT_VECTOR, Tenant, Tool, ToolKey, Vector, encode,
    subjects,
};
use toolweaver_embedding::{Embedder, Role, template};
use toolweaver_messaging::replay::Replayed;

use crate::{
    answers::cache::AnswerCache,
    endpoints,
    projection::{self, Applier, Changes},
    search::{
        SearchTimeouts,
        arms::Arms,
        density,
        pipeline::{Pipeline, Search},
        routing::Router,
    },
};

/// Tools that are embedded and applied at a time.
const BATCH_MAX: usize = 512;
/// Timeout of searches: nothing is remote, so nothing is late.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Catalog in this process, and searches over it.
pub struct Engine {
    /// `None` after a batch that could not be applied.
    applier: Option<Applier>,
    pub(crate) answers: AnswerCache,
    version: u64,
}

impl Engine {
    /// Makes an empty catalog. Without routing every search is global: for measuring what routing gains or
    /// costs.
    pub fn new(embedder: Embedder, cache: CatalogCache, with_routing: bool) -> anyhow::Result<Self> {
        let dimensions = embedder.dimensions();
        let (applier, projection) =
            projection::open(embedder.fingerprint().hex().to_owned(), Some(dimensions), None)
                .context("cannot make the lexical index")?;
        let timeouts = SearchTimeouts { arm: TIMEOUT, total: TIMEOUT };
        let arms = Arms::new(embedder, cache.embeddings.clone(), projection.clone(), None, timeouts.arm);
        let router = with_routing.then(|| Router::new(projection.clone(), None));
        let pipeline = Pipeline::new(projection, arms, router, None, timeouts);
        let answers = AnswerCache::new(Arc::new(pipeline), cache);
        Ok(Self { applier: Some(applier), answers, version: 0 })
    }

    pub(crate) fn pipeline(&self) -> &Pipeline {
        self.answers.pipeline()
    }

    /// Returns the vectors of tools, in their order; `embedded` learns how many each time some are done.
    pub async fn embed(
        &self,
        tools: &[Tool],
        mut embedded: impl FnMut(usize),
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(tools.len());
        for batch in tools.chunks(BATCH_MAX) {
            let texts = batch.iter().flat_map(template::passages).collect();
            let passages = self.pipeline().arms().embedder().embed(Role::Passage, texts).await;
            let passages = passages.context("cannot embed the tools")?;
            let pairs = passages.as_chunks::<2>().0.iter();
            vectors.extend(pairs.map(|[document, name]| template::combine([document, name])));
            embedded(batch.len());
        }
        Ok(vectors)
    }

    /// Adds tools with their vectors; searches see them once it returns.
    pub async fn add(&mut self, tenant: &Tenant, tools: Vec<(Tool, Vec<f32>)>) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(tools.len());
        for (tool, vector) in tools {
            self.version += 1;
            events.push(self.event(tenant, self.version, tool, vector));
        }
        self.apply(events).await?;
        density::measure_stale(self.pipeline()).await;
        Ok(())
    }

    /// Applies messages of INDEXED.
    pub(crate) async fn apply(&mut self, events: Vec<Replayed>) -> anyhow::Result<()> {
        let applier = self.applier.take().context("earlier tools could not be applied")?;
        self.applier = Some(applier.apply(Changes::read(events).await?).await?);
        Ok(())
    }

    /// Answers a request as a worker does.
    pub async fn search(&self, tenant: &Tenant, request: SearchRequest) -> Result<SearchReply, Fault> {
        request.validate()?;
        endpoints::search_reply(&self.answers, &self.understood(tenant, request), true).await
    }

    /// Understands a request: its time begins now.
    pub(crate) fn understood(&self, tenant: &Tenant, request: SearchRequest) -> Search {
        let deadline = self.pipeline().timeouts().deadline(Instant::now());
        Search::new(tenant.clone(), request, deadline)
    }

    /// Returns the message of INDEXED that says that a tool can be found.
    pub(crate) fn event(&self, tenant: &Tenant, version: u64, tool: Tool, vector: Vec<f32>) -> Replayed {
        let key = ToolKey {
            tenant: tenant.clone(),
            domain: tool.domain.clone(),
            tool_name: tool.tool_name.clone(),
        };
        let event = IndexedEvent::Indexed {
            revision: version,
            model: self.pipeline().arms().embedder().fingerprint().hex().to_owned(),
            tool: Arc::new(tool),
            vectors: BTreeMap::from([(TEXT_VECTOR.to_owned(), Vector(vector))]),
        };
        message(&key, version, &event)
    }
}

/// Returns a message of INDEXED, the newest one.
pub(crate) fn message(key: &ToolKey, version: u64, event: &IndexedEvent) -> Replayed {
    Replayed {
        subject: subjects::indexed(key),
        payload: encode(event).into(),
        stream_sequence: version,
        published_at: SystemTime::now().into(),
        pending: 0,
    }
}
