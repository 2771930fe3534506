//! The read side without NATS: the same projection and the same searcher, fed by hand.
//!
//! For whoever tunes or measures the ranking. What a running worker does with an INDEXED event and a request happens
//! here too; only the wire is missing.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use toolweaver_catalog_cache::CatalogCache;
use toolweaver_contracts::{
    Fault, IndexedEvent, SearchReply, SearchRequest, TEXT_VECTOR, Tenant, Tool, ToolKey, Vector, encode,
    subjects,
};
use toolweaver_embedding::{Embedder, Role, template};
use toolweaver_messaging::replay::Replayed;

use crate::{
    calibration::{self, Densities},
    projection::{self, Applier, Changes},
    searcher::{self, Breakers, Patience, Searcher},
};

/// Tools that are embedded and applied at a time.
const BATCH_MAX: usize = 512;
/// As long as no part is remote, none is late.
const PATIENCE: Duration = Duration::from_mins(1);

/// A catalogue in this process, and searches over it.
pub struct Engine {
    /// `None` after a batch that could not be applied.
    applier: Option<Applier>,
    pub(crate) searcher: Searcher,
    version: u64,
}

impl Engine {
    /// An empty catalogue.
    pub fn new(embedder: Embedder, cache: CatalogCache) -> anyhow::Result<Self> {
        let dimensions = embedder.dimensions();
        let (applier, projection) =
            projection::open(embedder.fingerprint().hex().to_owned(), Some(dimensions), None)
                .context("cannot make the lexical index")?;
        let searcher = Searcher {
            embedder,
            vectors: None,
            cache,
            projection,
            densities: Densities::default(),
            shards: None,
            routes: true,
            classifier: None,
            breakers: Breakers::new(),
            patience: Patience { part: PATIENCE, whole: PATIENCE },
            flights: searcher::flights(),
        };
        Ok(Self { applier: Some(applier), searcher, version: 0 })
    }

    /// The same, but every search is global: for measuring what routing gains or costs.
    #[must_use]
    pub fn without_routing(mut self) -> Self {
        self.searcher.routes = false;
        self
    }

    /// The vectors of tools, in their order; `embedded` learns how many each time some are done.
    pub async fn embed(
        &self,
        tools: &[Tool],
        mut embedded: impl FnMut(usize),
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let mut vectors = Vec::with_capacity(tools.len());
        for batch in tools.chunks(BATCH_MAX) {
            let texts = batch.iter().flat_map(template::passages).collect();
            let passages = self.searcher.embedder.embed(Role::Passage, texts).await;
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
        calibration::measure_stale(&self.searcher).await;
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
        self.searcher.search(tenant.clone(), request, true).await
    }

    /// The answer to a request without any cache.
    #[cfg(test)]
    pub(crate) async fn computed(
        &self,
        tenant: &Tenant,
        request: &SearchRequest,
    ) -> Result<SearchReply, Fault> {
        self.searcher.compute(tenant.clone(), request).await.map(|(reply, _)| reply)
    }

    /// The message of INDEXED that says that a tool can be found.
    pub(crate) fn event(&self, tenant: &Tenant, version: u64, tool: Tool, vector: Vec<f32>) -> Replayed {
        let key = ToolKey {
            tenant: tenant.clone(),
            domain: tool.domain.clone(),
            tool_name: tool.tool_name.clone(),
        };
        let event = IndexedEvent::Indexed {
            revision: version,
            model: self.searcher.embedder.fingerprint().hex().to_owned(),
            tool: Arc::new(tool),
            vectors: BTreeMap::from([(TEXT_VECTOR.to_owned(), Vector(vector))]),
        };
        message(&key, version, &event)
    }
}

/// A message of INDEXED, the newest one.
pub(crate) fn message(key: &ToolKey, version: u64, event: &IndexedEvent) -> Replayed {
    Replayed {
        subject: subjects::indexed(key),
        payload: encode(event).into(),
        stream_sequence: version,
        published_at: SystemTime::now().into(),
        pending: 0,
    }
}
