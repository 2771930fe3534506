//! A search from request to reply.
//!
//! ```text
//! request ─▶ fresh enough? ─▶ remembered? ─▶ embed ─┬▶ lexical ─┐
//!                                                   └▶ dense ───┴▶ fuse ─▶ reply ─▶ remember
//! ```
//! An arm that fails or is late is left out and named in `degraded`; only both gone is an error.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{task, time::timeout};
use toolweaver_catalog_cache::SearchKey;
use toolweaver_contracts::{
    Detail, Domain, ErrorCode, Explanation, Fault, Predicate, Routed, RoutedBy, SearchReply, SearchRequest,
    SearchResult, SearchStatus, ServedFrom, Strategy, Tenant, Tool, subjects,
};
use toolweaver_embedding::template;
use toolweaver_vector_store::{Scores, VectorStore as _};
use tracing::{Instrument as _, info_span, warn};
use uuid::Uuid;

use crate::{
    Parts, QuerySettings, freshness, metrics,
    projection::{Entry, LexicalHit, Mention, Projection},
    ranker::{self, Hit, Ranked},
};

/// Names in `degraded`.
const EMBEDDING: &str = "embedding";
const VECTORS: &str = "vectors";
const LEXICAL: &str = "lexical";

/// Computes answers. Shared by all requests.
pub(crate) struct Searcher {
    pub(crate) parts: Parts,
    pub(crate) projection: Projection,
    /// The durable consumer that indexes for this model; who waits for a revision asks how far it is.
    pub(crate) consumer: String,
    pub(crate) part_timeout: Duration,
}

/// What the arms found.
struct Found {
    ranked: Vec<Ranked>,
    has_dense: bool,
    has_lexical: bool,
}

/// The query vector, or why there is none.
type Embedded = Result<Arc<[f32]>, &'static str>;

impl Searcher {
    pub(crate) fn new(parts: Parts, projection: Projection, settings: &QuerySettings) -> Self {
        Self {
            consumer: subjects::embedding_consumer(parts.embedder.fingerprint().short()),
            part_timeout: Duration::from_millis(settings.query_part_timeout_ms),
            parts,
            projection,
        }
    }

    /// Answers one request.
    pub(crate) async fn search(&self, tenant: Tenant, request: SearchRequest) -> Result<SearchReply, Fault> {
        let started = Instant::now();
        request.validate()?;
        freshness::wait(&request, &self.projection, &self.parts.nats, &self.consumer).await?;

        // Taken before anything is read: the answer holds every change up to this version, perhaps newer ones.
        let applied = self.projection.applied();
        let tenant_version = self.projection.catalog().version(&tenant);
        let key = self.search_key(&tenant, &request, tenant_version);
        let remembered: Option<SearchReply> = self.parts.cache.search_results.get(&key).await;
        let mut reply = if let Some(reply) = remembered {
            SearchReply { served_from: ServedFrom::Cache, ..reply }
        } else {
            let reply = self.compute(tenant, &request).await?;
            // An answer that lacks a part must not outlive the part's absence.
            if reply.degraded.is_empty() {
                self.parts.cache.search_results.put(&key, &reply).await;
            }
            reply
        };
        reply.search_id = Uuid::now_v7().to_string();
        reply.catalog_version = applied.version;
        reply.lag_ms = u64::try_from(applied.lag().as_millis()).unwrap_or(u64::MAX);
        reply.took_ms = started.elapsed().as_secs_f64() * 1e3;
        metrics::search_answered(&reply);
        Ok(reply)
    }

    /// What can change an answer, besides the catalogue: the request without how long it may wait, whose it is, which
    /// ranking, which model.
    fn search_key(&self, tenant: &Tenant, request: &SearchRequest, version: u64) -> SearchKey {
        #[derive(Serialize)]
        struct Question<'a> {
            query: &'a str,
            /// Sorted sets, unlike the lists of the request.
            predicate: Predicate,
            domain: &'a Option<Domain>,
            /// Also whether it was given at all: then it holds for few candidates too.
            top_k: Option<u32>,
            detail: Detail,
            explain: bool,
            ranker: &'a str,
            model: &'a str,
        }
        let question = Question {
            query: &request.query,
            predicate: request.predicate(tenant.clone()),
            domain: &request.domain,
            top_k: request.top_k,
            detail: request.detail,
            explain: request.explain,
            ranker: ranker::NAME,
            model: self.parts.embedder.fingerprint().hex(),
        };
        SearchKey::new(tenant, &question, version, request.top_k()).expect("a question has string keys only")
    }

    async fn compute(&self, tenant: Tenant, request: &SearchRequest) -> Result<SearchReply, Fault> {
        let everywhere = request.predicate(tenant);
        let mut degraded = Vec::new();
        let few = self.few_candidates(&everywhere);
        let embedded = self.embed(&request.query).await;
        if let Err(part) = &embedded {
            degraded.push((*part).to_owned());
        }

        let mut found = None;
        let mut routed =
            Routed { domain: None, by: RoutedBy::None, confidence: None, fell_back: false, strategy: Strategy::Hybrid };
        if let Some(domain) = request.domain.as_ref().filter(|_| few.is_none()) {
            let in_domain = self
                .find(&request.query, &embedded, &everywhere.clone().in_domain(domain.clone()), &mut degraded)
                .await?;
            let good = in_domain.ranked.iter().filter(|tool| tool.is_good(in_domain.has_dense)).count();
            routed = Routed { domain: Some(domain.clone()), by: RoutedBy::Hint, ..routed };
            routed.fell_back = good < ranker::GOOD_MATCHES_MIN;
            found = Some(in_domain);
        }
        if found.is_none() || routed.fell_back {
            let mut all = self.find(&request.query, &embedded, &everywhere, &mut degraded).await?;
            if let Some(in_domain) = found {
                all.ranked = ranker::first_good_of(&in_domain.ranked, in_domain.has_dense, all.ranked);
            }
            found = Some(all);
        }
        let mut found = found.expect("one of the two searches above has run");

        let top_k = match &few {
            Some(candidates) => {
                routed.strategy = Strategy::All;
                ranker::append_unranked(
                    &mut found.ranked,
                    candidates.iter().map(|entry| entry.key.point_id()),
                );
                request.top_k.map_or(candidates.len(), |top_k| top_k as usize)
            }
            None => request.top_k(),
        };
        if routed.strategy == Strategy::Hybrid && !found.has_dense {
            routed.strategy = Strategy::Lexical;
        } else if routed.strategy == Strategy::Hybrid && !found.has_lexical {
            routed.strategy = Strategy::Dense;
        }
        let status = if ranker::is_relevant(&found.ranked) {
            SearchStatus::Matched
        } else {
            SearchStatus::NothingRelevant
        };
        degraded.sort_unstable();
        degraded.dedup();
        Ok(SearchReply {
            search_id: String::new(),
            status,
            confidence: None,
            shaped: Vec::new(),
            budget: None,
            explain: None,
            results: self.results(ranker::cut(found.ranked, top_k), request, &everywhere),
            catalog_version: 0,
            lag_ms: 0,
            ranker: ranker::NAME.to_owned(),
            served_from: ServedFrom::Index,
            degraded,
            routed,
            took_ms: 0.0,
        })
    }

    /// All candidates, if there are so few that the caller is best served with all of them.
    fn few_candidates(&self, predicate: &Predicate) -> Option<Vec<Arc<Entry>>> {
        let catalog = self.projection.catalog();
        let some: Vec<_> = catalog.admitted(predicate).take(ranker::CANDIDATES_MIN).cloned().collect();
        (some.len() < ranker::CANDIDATES_MIN).then_some(some)
    }

    async fn embed(&self, query: &str) -> Embedded {
        let (text, model) = (template::query(query), self.parts.embedder.fingerprint().hex());
        if let Some(vector) =
            self.parts.cache.embeddings.get(model, &text, self.parts.embedder.dimensions()).await
        {
            return Ok(vector.into());
        }
        let embedding = self.parts.embedder.embed(vec![text.clone()]).instrument(info_span!("embed query"));
        let vector = match timeout(self.part_timeout, embedding).await {
            Ok(Ok(mut vectors)) => vectors.pop().ok_or(EMBEDDING)?,
            Ok(Err(error)) => {
                warn!(%error, "cannot embed a query");
                return Err(EMBEDDING);
            }
            Err(_) => return Err(EMBEDDING),
        };
        self.parts.cache.embeddings.put(model, &text, &vector).await;
        Ok(vector.into())
    }

    /// Asks both arms at the same time and merges what they say.
    async fn find(
        &self,
        query: &str,
        embedded: &Embedded,
        predicate: &Predicate,
        degraded: &mut Vec<String>,
    ) -> Result<Found, Fault> {
        let (lexical, dense) = tokio::join!(self.lexical(query, predicate), self.dense(embedded, predicate));
        let failed = [lexical.as_ref().err(), dense.as_ref().err()];
        degraded.extend(failed.into_iter().flatten().map(|part| (*part).to_owned()));
        let mentions: Vec<(Uuid, Mention)> = {
            let catalog = self.projection.catalog();
            let named = catalog.named_in(query, predicate);
            named.into_iter().map(|(mention, entry)| (entry.key.point_id(), mention)).collect()
        };
        let (lexical, dense) = (lexical.ok(), dense.ok());
        if lexical.is_none() && dense.is_none() {
            return Err(Fault::new(ErrorCode::Unavailable, "neither words nor vectors can be searched now")
                .hint("ask again; the status endpoint says which part is down"));
        }
        Ok(Found {
            ranked: ranker::fuse(lexical.as_deref().unwrap_or_default(), dense.as_deref(), &mentions),
            has_dense: dense.is_some(),
            has_lexical: lexical.is_some(),
        })
    }

    async fn lexical(&self, query: &str, predicate: &Predicate) -> Result<Vec<LexicalHit>, &'static str> {
        let (projection, query, predicate) = (self.projection.clone(), query.to_owned(), predicate.clone());
        let search =
            task::spawn_blocking(move || projection.lexical(&query, &predicate, ranker::LEXICAL_HITS));
        match search.instrument(info_span!("search words")).await {
            Ok(Ok(hits)) => Ok(hits),
            Ok(Err(error)) => {
                warn!(%error, "cannot search words");
                Err(LEXICAL)
            }
            Err(error) => {
                warn!(%error, "cannot search words");
                Err(LEXICAL)
            }
        }
    }

    async fn dense(&self, embedded: &Embedded, predicate: &Predicate) -> Result<Vec<Hit>, &'static str> {
        let vectors = [embedded.as_ref().map_err(|part| *part)?.to_vec()];
        let found = async {
            match (self.projection.vectors(), &self.parts.vectors) {
                (Some(memory), _) => memory.search(&vectors, predicate, ranker::DENSE_HITS, &[]).await,
                (None, Some(qdrant)) => qdrant.search(&vectors, predicate, ranker::DENSE_HITS, &[]).await,
                (None, None) => Ok(Scores::new(vectors.len())),
            }
        };
        match timeout(self.part_timeout, found.instrument(info_span!("search vectors"))).await {
            Ok(Ok(found)) => {
                Ok(found.iter().map(|(point_id, row)| Hit { point_id, score: row[0] }).collect())
            }
            Ok(Err(error)) => {
                warn!(%error, "cannot search vectors");
                Err(VECTORS)
            }
            Err(_) => Err(VECTORS),
        }
    }

    /// What the caller asked to see of each tool. A tool that was removed meanwhile, or that changed so that the
    /// caller may not see it any more, is left out.
    fn results(
        &self,
        ranked: Vec<Ranked>,
        request: &SearchRequest,
        predicate: &Predicate,
    ) -> Vec<SearchResult> {
        let catalog = self.projection.catalog();
        let result = |found: Ranked| {
            let entry = catalog.at(found.point_id, predicate)?;
            let with_description = request.detail != Detail::Name;
            Some(SearchResult {
                tool_id: entry.key.tool_id(),
                tool_name: entry.key.tool_name.clone(),
                domain: entry.key.domain.clone(),
                tool_type: entry.tool.tool_type,
                description: if with_description { entry.tool.description.clone() } else { String::new() },
                score: found.score,
                tool: (request.detail == Detail::Schema).then(|| Tool::clone(&entry.tool)),
                explain: request.explain.then(|| Explanation {
                    lexical: found.lexical,
                    dense: found.dense,
                    exact_name: found.mention.is_some(),
                    contributions: None,
                    matched: Vec::new(),
                }),
            })
        };
        ranked.into_iter().filter_map(result).collect()
    }
}
