//! Answer cache: an answer is looked up, revalidated, or computed once.
//!
//! ```text
//! search ─▶ cached under this version, or no change since then may enter it? ─▶ answer
//!                    │ no
//!                    └─▶ computed by the first who asks, awaited by all others ─▶ cached ─▶ answer
//! ```

use std::sync::Arc;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use toolweaver_catalog_cache::{CatalogCache, SearchKey};
use toolweaver_contracts::{Detail, Domain, Fault, Predicate, ServedFrom, Shape, Tenant};
use toolweaver_ranking::{
    RANKER, cosine,
    staleness::{ChangedTool, RevalidationThreshold},
};

use crate::{
    projection::Changed,
    search::{
        answer::Answer,
        pipeline::{Pipeline, Search},
    },
};

/// Cache in front of the pipeline. Shared by all requests.
pub(crate) struct AnswerCache {
    pipeline: Arc<Pipeline>,
    cache: CatalogCache,
    in_flight: InFlightSearches,
}

/// Searches that are being computed, by question and version. It keeps nothing that is done.
type InFlightSearches = moka::future::Cache<(SearchKey, u64), Arc<Answer>>;

/// An answer, and what it takes to tell whether it still holds.
#[derive(Debug, Serialize, Deserialize)]
struct CachedAnswer {
    /// The tenant's version up to which every change is in it.
    version: u64,
    answer: Answer,
    /// Threshold that a later change must reach to matter; none where every change does.
    threshold: Option<RevalidationThreshold>,
}

impl AnswerCache {
    /// Makes a cache in front of a pipeline.
    pub(crate) fn new(pipeline: Arc<Pipeline>, cache: CatalogCache) -> Self {
        Self { pipeline, cache, in_flight: InFlightSearches::new(0) }
    }

    /// Returns the pipeline behind it.
    pub(crate) fn pipeline(&self) -> &Arc<Pipeline> {
        &self.pipeline
    }

    /// Returns the caches of this worker.
    pub(crate) fn cache(&self) -> &CatalogCache {
        &self.cache
    }

    /// Returns the cached answer, if it still holds, or a new one.
    pub(crate) async fn answer(&self, search: &Search) -> Result<(Answer, ServedFrom), Fault> {
        let version = self.pipeline.projection().catalog().version(&search.everywhere.tenant);
        let key = self.key(search);
        // Boxed: most callers never poll it.
        if let Some(answer) = Box::pin(self.lookup_or_revalidate(&key, search, version)).await {
            return Ok((answer, ServedFrom::Cache));
        }
        let answer = self.compute_once(key, search, version).await?;
        Ok((Answer::clone(&answer), ServedFrom::Index))
    }

    /// Returns the key of an answer: everything that can change it besides the catalog. That is the request
    /// without how long it may wait, whose it is, the ranker, and the model.
    fn key(&self, search: &Search) -> SearchKey {
        #[derive(Serialize)]
        struct Question<'a> {
            query: &'a str,
            /// Sorted sets, unlike the lists of the request.
            predicate: &'a Predicate,
            domain: &'a Option<Domain>,
            /// Also whether it was given at all: then it holds for few candidates too.
            top_k: Option<u32>,
            detail: Detail,
            shape: Option<Shape>,
            budget_tokens: Option<u32>,
            explain: bool,
            ranker: &'a str,
            model: &'a str,
            /// Of the catalog: the relevance decision depends on it, and it is measured later than versions
            /// change.
            density: String,
        }
        let (request, tenant) = (&search.request, &search.everywhere.tenant);
        let question = Question {
            query: &request.query,
            predicate: &search.everywhere,
            domain: &request.domain,
            top_k: request.top_k,
            detail: request.detail,
            shape: request.shape,
            budget_tokens: request.budget_tokens,
            explain: request.explain,
            ranker: RANKER,
            model: self.pipeline.arms().embedder().fingerprint().query_hex(),
            density: format!("{:.2}", self.pipeline.densities().of(tenant)),
        };
        SearchKey::new(tenant, &question, request.top_k()).expect("a question has string keys only")
    }

    /// Computes an answer and caches it. Whoever asks the same while it is computed waits for it.
    async fn compute_once(
        &self,
        key: SearchKey,
        search: &Search,
        version: u64,
    ) -> Result<Arc<Answer>, Fault> {
        let computing = async {
            let (answer, threshold) = self.pipeline.run(search).await?;
            let cached = CachedAnswer { version, answer, threshold };
            // An answer that lacks something must not outlive the reason.
            if cached.answer.degraded.is_empty() {
                self.cache.search_results.put(&key, &cached).await;
            }
            Ok(Arc::new(cached.answer))
        };
        // Under the version too: whoever has seen a newer one must not get what was begun before it.
        let computed = self.in_flight.try_get_with((key.clone(), version), computing.boxed()).await;
        computed.map_err(|fault: Arc<Fault>| Fault::clone(&fault))
    }

    /// Returns the cached answer, if it holds every change up to `version` or no change since then can have
    /// entered it.
    async fn lookup_or_revalidate(&self, key: &SearchKey, search: &Search, version: u64) -> Option<Answer> {
        let cached: CachedAnswer = self.cache.search_results.get(key).await?;
        if cached.version >= version {
            return Some(cached.answer);
        }
        let tenant: &Tenant = &search.everywhere.tenant;
        let changes = self.pipeline.projection().catalog().changes_since(tenant, cached.version)?;
        let mut threshold = cached.threshold?;
        if !self.holds_after(&changes, &mut threshold, search).await {
            return None;
        }
        let revalidated = CachedAnswer { version, threshold: Some(threshold), ..cached };
        self.cache.search_results.put(key, &revalidated).await;
        Some(revalidated.answer)
    }

    /// Tells whether none of these changes can be seen in the answer of this threshold.
    async fn holds_after(
        &self,
        changes: &[Arc<Changed>],
        threshold: &mut RevalidationThreshold,
        search: &Search,
    ) -> bool {
        if changes.iter().any(|change| threshold.exceeds_drift() || threshold.has(change.point_id)) {
            return false;
        }
        let Ok(vectors) = self.pipeline.arms().embed(&search.query, search.deadline).await else {
            return false;
        };
        if self.pipeline.few_candidates(&search.everywhere).is_some() {
            return false;
        }
        let catalog = self.pipeline.projection().catalog();
        let point_ids: Vec<_> = changes.iter().map(|change| change.point_id).collect();
        let named = catalog.named_in(search.query.written(), &point_ids, &search.everywhere);
        if named.iter().any(|(point_id, _)| point_ids.contains(point_id)) {
            return false;
        }
        let rescorer = threshold.rescorer(&search.query);
        let may_enter = |change: &Arc<Changed>| {
            // A tool that is gone, or that this caller may not see, and that was not in the answer either.
            let Some(entry) = catalog.at(change.point_id, threshold.predicate()) else { return false };
            let tool = ChangedTool {
                point_id: change.point_id,
                frequencies: entry.frequencies(),
                stems: entry.stems(),
                cosines: change.vector.as_ref().map(|vector| cosines(&vectors, vector)),
            };
            threshold.prefers(&entry.key.domain) || threshold.may_enter(&tool, &rescorer)
        };
        !changes.iter().any(may_enter)
    }
}

/// Returns the cosine of a tool with a query's text and with each of its sentences.
pub(crate) fn cosines(query: &[Vec<f32>], tool: &[f32]) -> Vec<f32> {
    query.iter().map(|vector| cosine(vector, tool)).collect()
}
