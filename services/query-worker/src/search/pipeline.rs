//! A search from request to reply.
//!
//! ```text
//! request ─▶ remembered, and still right? ─▶ embed ─┬─▶ route ─▶ dense ─▶ fuse ─▶ verdict ─▶ load ─▶ reply ─▶ remember
//!                                           lexical ┘     │ fewer than 3 good matches in the domain
//!                                                         └──────────▶ the same over the whole tenant
//! ```
//! An arm that fails or is late is left out and named in `degraded`; only both gone is an error.

mod arms;
mod deadline;
mod explained;
mod lookup;
mod owners;
mod remembered;
mod stages;

use std::{borrow::Cow, collections::BTreeSet, sync::Arc, time::Instant};

use serde::Serialize;
use toolweaver_catalog_cache::{CatalogCache, SearchKey};
use toolweaver_contracts::{
    Detail, Domain, ErrorCode, Fault, Predicate, RouteCandidate, Routed, RoutedBy, SearchReply,
    SearchRequest, SearchResult, SearchStatus, ServedFrom, Shape, Strategy, Tenant, Tool,
};
use toolweaver_embedding::Embedder;
use toolweaver_vector_store::Qdrant;
use uuid::Uuid;

#[cfg(test)]
pub(crate) use self::remembered::cosines;
pub(crate) use self::{arms::Breakers, deadline::Patience};
use self::{
    arms::Embedded,
    deadline::Deadline,
    owners::Arms,
    remembered::Remembered,
    stages::{Stage, Stages},
};
use crate::{
    answer,
    calibration::Densities,
    metrics,
    projection::{Entry, LexicalAnswer, Projection},
    ranker::{
        self,
        bar::Bar,
        coverage::{Analysis, Coverage},
        fusion::{self, DenseAnswer, Fused, Ranked},
        idioms, parts, verdict,
    },
    router::{self, llm::LlmClassifier},
    shards::Shards,
};

/// Name in `degraded` of a projection that is behind what can be known of the catalogue.
const PROJECTION: &str = "projection";

/// Name in `degraded` of caches that do not answer; then it is not known how far the catalogue is elsewhere, either.
const CACHE: &str = "cache";

/// Computes answers. Shared by all requests.
pub(crate) struct Searcher {
    pub(crate) embedder: Embedder,
    /// The vector database; without one the projection keeps the vectors.
    pub(crate) vectors: Option<Qdrant>,
    pub(crate) cache: CatalogCache,
    pub(crate) projection: Projection,
    pub(crate) densities: Densities,
    /// Who owns the domains that are not indexed here; `None` where all are.
    pub(crate) shards: Option<Shards>,
    /// Whether a search without a hint may be led to a domain.
    pub(crate) routes: bool,
    /// Asked for a domain where nothing else is sure.
    pub(crate) classifier: Option<LlmClassifier>,
    pub(crate) breakers: Breakers,
    pub(crate) patience: Patience,
    /// Answers that are being computed.
    pub(crate) flights: Flights,
}

/// What is being computed, by question and version. It keeps nothing that is done.
pub(crate) type Flights = moka::future::Cache<(SearchKey, u64), Arc<SearchReply>>;

/// Where equal questions meet.
pub(crate) fn flights() -> Flights {
    Flights::new(0)
}

/// What a request asks for, in the pieces that are looked for.
struct Question<'a> {
    request: &'a SearchRequest,
    /// The request without idioms: what both arms look for.
    text: Cow<'a, str>,
    parts: Vec<String>,
    embedded: Embedded,
    deadline: Deadline,
}

/// What the arms found under one predicate.
struct Found {
    predicate: Predicate,
    lexical: Option<LexicalAnswer>,
    dense: Option<DenseAnswer>,
    fused: Fused,
}

impl Found {
    fn strategy(&self) -> Strategy {
        match (&self.lexical, &self.dense) {
            (_, None) => Strategy::Lexical,
            (None, Some(_)) => Strategy::Dense,
            (Some(_), Some(_)) => Strategy::Hybrid,
        }
    }

    fn good_matches(&self) -> usize {
        self.fused.ranked.iter().filter(|tool| tool.is_good(self.dense.is_some())).count()
    }
}

impl Searcher {
    /// Answers one request. A worker that does not keep up with the catalogue says so in the reply.
    pub(crate) async fn search(
        &self,
        tenant: Tenant,
        request: SearchRequest,
        keeps_up: bool,
    ) -> Result<SearchReply, Fault> {
        let started = Instant::now();
        // Taken before anything is read: the answer holds every change up to this version, perhaps newer ones.
        let applied = self.projection.applied();
        self.note(&tenant, &request);
        let mut reply = self.answer(tenant.clone(), request).await?;
        self.show(&tenant, &reply);
        // Both are about this reply only: what was found is whole.
        let lacks = [(PROJECTION, !keeps_up), (CACHE, !self.cache.snapshot().healthy)];
        reply.degraded.extend(lacks.into_iter().filter(|(_, lacks)| *lacks).map(|(part, _)| part.to_owned()));
        reply.search_id = Uuid::now_v7().to_string();
        reply.catalog_version = applied.version;
        reply.lag_ms = u64::try_from(applied.lag().as_millis()).unwrap_or(u64::MAX);
        reply.took_ms = started.elapsed().as_secs_f64() * 1e3;
        metrics::search_answered(&reply);
        Ok(reply)
    }

    /// The answer from before, if it still holds, or a new one.
    pub(crate) async fn answer(&self, tenant: Tenant, request: SearchRequest) -> Result<SearchReply, Fault> {
        let version = self.projection.catalog().version(&tenant);
        let key = self.search_key(&tenant, &request);
        // Boxed, as below: most callers never poll it.
        match Box::pin(self.recall(&key, &tenant, &request, version)).await {
            Some(reply) => Ok(SearchReply { served_from: ServedFrom::Cache, ..reply }),
            None => self.compute_once(key, tenant, request, version).await,
        }
    }

    /// What can change an answer, besides the catalogue: the request without how long it may wait, whose it is, which
    /// ranking, which model.
    fn search_key(&self, tenant: &Tenant, request: &SearchRequest) -> SearchKey {
        #[derive(Serialize)]
        struct Question<'a> {
            query: &'a str,
            /// Sorted sets, unlike the lists of the request.
            predicate: Predicate,
            domain: &'a Option<Domain>,
            /// Also whether it was given at all: then it holds for few candidates too.
            top_k: Option<u32>,
            detail: Detail,
            shape: Option<Shape>,
            budget_tokens: Option<u32>,
            explain: bool,
            ranker: &'a str,
            model: &'a str,
            /// Of the catalogue: the verdict depends on it, and it is measured later than versions change.
            density: String,
        }
        let question = Question {
            query: &request.query,
            predicate: request.predicate(tenant.clone()),
            domain: &request.domain,
            top_k: request.top_k,
            detail: request.detail,
            shape: request.shape,
            budget_tokens: request.budget_tokens,
            explain: request.explain,
            ranker: ranker::NAME,
            model: self.embedder.fingerprint().query_hex(),
            density: format!("{:.2}", self.densities.of(tenant)),
        };
        SearchKey::new(tenant, &question, request.top_k()).expect("a question has string keys only")
    }

    /// Computes an answer and remembers it. Who asks the same while it is computed waits for it.
    async fn compute_once(
        &self,
        key: SearchKey,
        tenant: Tenant,
        request: SearchRequest,
        version: u64,
    ) -> Result<SearchReply, Fault> {
        let computing = Box::pin(async {
            let (reply, bar) = self.compute(tenant, &request).await?;
            let remembered = Remembered { version, reply, bar };
            // An answer that lacks a part must not outlive the part's absence.
            if remembered.reply.degraded.is_empty() {
                self.cache.search_results.put(&key, &remembered).await;
            }
            Ok(Arc::new(remembered.reply))
        });
        // Under the version too: who has seen a newer one must not get what was begun before it.
        let reply = self.flights.try_get_with((key.clone(), version), computing).await;
        reply.map(|reply| SearchReply::clone(&reply)).map_err(|fault: Arc<Fault>| Fault::clone(&fault))
    }

    /// Computes an answer, and what a later change must reach to matter.
    pub(crate) async fn compute(
        &self,
        tenant: Tenant,
        request: &SearchRequest,
    ) -> Result<(SearchReply, Option<Bar>), Fault> {
        let deadline = self.patience.begin();
        let mut stages = Stages::default();
        let mut degraded = BTreeSet::new();
        let everywhere = request.predicate(tenant);
        let few = self.few_candidates(&everywhere);
        let hint = request.domain.as_ref().filter(|_| few.is_none());

        let text = idioms::reworded(&request.query);
        let parts = parts::parts(&text);
        let first =
            hint.map_or_else(|| everywhere.clone(), |domain| everywhere.clone().in_domain(domain.clone()));
        let (embedded, words) = tokio::join!(
            Box::pin(stages::timed(self.embed(&text, &parts, deadline))),
            stages::timed(self.lexical(&text, &parts, &first, deadline)),
        );
        let (embedded, words) = (stages.took(Stage::Embed, embedded), stages.took(Stage::Lexical, words));
        degraded.extend(embedded.as_ref().err().map(|part| (*part).to_owned()));
        let question = Question { request, text, parts, embedded, deadline };

        let choosing = async {
            match hint {
                Some(domain) => router::hinted(domain),
                None if few.is_some() || !self.routes => Vec::new(),
                None => self.routes(&question, &everywhere, words.as_ref().ok()).await,
            }
        };
        let weighed = stages.took(Stage::Route, stages::timed(choosing).await);
        let mut routed = Routed {
            domain: None,
            by: RoutedBy::None,
            confidence: None,
            fell_back: false,
            strategy: Strategy::Hybrid,
        };
        let mut found = None;
        if let Some(route) = weighed.first().filter(|route| route.confidence >= router::CONFIDENCE_MIN) {
            let predicate = everywhere.clone().in_domain(route.domain.clone());
            let words = (predicate == first).then(|| words.clone());
            let in_domain = self.find(&question, predicate, words, &mut stages, &mut degraded).await?;
            routed.fell_back = in_domain.good_matches() < ranker::GOOD_MATCHES_MIN;
            routed.domain = Some(route.domain.clone());
            routed.by = route.by;
            routed.confidence = hint.is_none().then_some(route.confidence);
            found = Some(in_domain);
        }
        if found.is_none() || routed.fell_back {
            let words = (everywhere == first).then_some(words);
            let mut all = self.find(&question, everywhere.clone(), words, &mut stages, &mut degraded).await?;
            if let Some(in_domain) = found.filter(|_| routed.by == RoutedBy::Hint) {
                fusion::prefer_good_of(
                    &mut all.fused.ranked,
                    &in_domain.fused.ranked,
                    in_domain.dense.is_some(),
                );
            }
            found = Some(all);
        }
        let mut found = found.expect("one of the two searches above has run");

        let (status, confidence) = stages.time(Stage::Fuse, || self.verdict(&found, &everywhere));
        let top_k = match &few {
            Some(candidates) => {
                routed.strategy = Strategy::All;
                let all = candidates.iter().map(|entry| entry.key.point_id());
                fusion::append_unranked(&mut found.fused.ranked, all);
                request.top_k.map_or(candidates.len(), |top_k| top_k as usize)
            }
            None => request.top_k(),
        };
        if routed.strategy == Strategy::Hybrid {
            routed.strategy = found.strategy();
        }
        let ranked = fusion::cut(std::mem::take(&mut found.fused.ranked), top_k);
        let is_plain = few.is_none() && !request.explain;
        let bar = is_plain.then(|| {
            let preferred = routed.domain.clone().filter(|_| routed.fell_back);
            let Found { predicate, lexical, dense, .. } = &found;
            Bar::of(&ranked, top_k, predicate, preferred, lexical.as_ref(), dense.as_ref())
        });
        let packed = stages.time(Stage::Load, || {
            answer::pack(self.results(ranked, request, &found), request.shape, request.budget_tokens)
        });
        metrics::computed(&routed, stages.took_by_name());
        let reply = SearchReply {
            search_id: String::new(),
            status,
            confidence,
            results: packed.results,
            shaped: packed.shaped,
            budget: packed.budget,
            catalog_version: 0,
            lag_ms: 0,
            ranker: ranker::NAME.to_owned(),
            served_from: ServedFrom::Index,
            degraded: degraded.into_iter().collect(),
            routed,
            explain: request.explain.then(|| explained::search(&question, &found, weighed, &stages)),
            took_ms: 0.0,
        };
        Ok((reply, bar.flatten().filter(|_| !fusion::lifts(question.parts.len()))))
    }

    /// All candidates, if there are so few that the caller is best served with all of them.
    fn few_candidates(&self, predicate: &Predicate) -> Option<Vec<Arc<Entry>>> {
        let catalog = self.projection.catalog();
        let some: Vec<_> = catalog.admitted(predicate).take(ranker::CANDIDATES_MIN).cloned().collect();
        (some.len() < ranker::CANDIDATES_MIN).then_some(some)
    }

    /// The domains that the request may be about. A compound request is about several: it has none.
    async fn routes(
        &self,
        question: &Question<'_>,
        everywhere: &Predicate,
        words: Option<&LexicalAnswer>,
    ) -> Vec<RouteCandidate> {
        let Some(whole) = question.embedded.iter().flatten().next().filter(|_| question.parts.is_empty())
        else {
            return Vec::new();
        };
        let (query, tenant) = (&*question.text, &everywhere.tenant);
        let mut routes = router::candidates(&self.projection.samples(), tenant, query, whole);
        router::heed_words(&mut routes, self.domain_by_words(words, everywhere).as_ref());
        let is_sure = routes.first().is_some_and(|route| route.confidence >= router::CONFIDENCE_MIN);
        if let Some(classifier) = self.classifier.as_ref().filter(|_| !is_sure) {
            let counts = self.projection.catalog().domain_counts(everywhere);
            if let Some(domain) = classifier.classify(query, counts.into_keys().collect()).await {
                let confidence = router::CONFIDENCE_MIN;
                routes.insert(0, RouteCandidate { domain, by: RoutedBy::Llm, confidence });
            }
        }
        routes
    }

    /// Asks both arms and merges what they say. `words` is the lexical answer, where it is there already.
    async fn find(
        &self,
        question: &Question<'_>,
        predicate: Predicate,
        words: Option<arms::Answer<LexicalAnswer>>,
        stages: &mut Stages,
        degraded: &mut BTreeSet<String>,
    ) -> Result<Found, Fault> {
        let arms = Box::pin(self.arms(question, &predicate, words, stages));
        let Arms { lexical, dense, missing } = arms.await;
        degraded.extend(missing);
        if lexical.is_none() && dense.is_none() {
            return Err(Fault::new(ErrorCode::Unavailable, "neither words nor vectors can be searched now")
                .hint("ask again; the status endpoint says which part is down"));
        }
        let fused = stages.time(Stage::Fuse, || {
            let catalog = self.projection.catalog();
            // A name counts wherever its tool is: no route may lose it.
            let everywhere = Predicate { domain: None, ..predicate.clone() };
            let near = lexical.as_ref().map_or(&[][..], |answer| &answer.near_names);
            let names = catalog.named_in(&question.request.query, near, &everywhere);
            let mut fused = fusion::fuse(lexical.as_ref(), dense.as_ref(), &names);
            if let Some(lexical) = &lexical {
                let coverage = Coverage::new(&question.text, &question.parts, lexical);
                fused.cover(|point_id| Some(coverage.of(catalog.at(point_id, &everywhere)?.analysis())));
            }
            fused
        });
        Ok(Found { predicate, lexical, dense, fused })
    }

    /// The domain of the best tool by words.
    fn domain_by_words(&self, words: Option<&LexicalAnswer>, everywhere: &Predicate) -> Option<Domain> {
        let best = words?.hits.first()?;
        self.projection.catalog().at(best.point_id, everywhere).map(|entry| entry.key.domain.clone())
    }

    fn verdict(&self, found: &Found, everywhere: &Predicate) -> (SearchStatus, Option<f32>) {
        let catalog = self.projection.catalog();
        let best = found.fused.ranked.iter().take(verdict::RESULTS_READ);
        let best: Vec<&Analysis> = best
            .filter_map(|tool| catalog.at(tool.point_id, everywhere))
            .map(|entry| entry.analysis())
            .collect();
        let named = found.fused.ranked.iter().any(Ranked::is_surely_meant);
        let density = self.densities.of(&everywhere.tenant);
        verdict::of(found.lexical.as_ref(), found.dense.as_ref(), &best, named, density)
    }

    /// What the caller asked to see of each tool. A tool that was removed meanwhile, or that changed so that the
    /// caller may not see it any more, is left out.
    fn results(
        &self,
        ranked: Vec<Ranked>,
        request: &SearchRequest,
        found: &Found,
    ) -> Vec<(SearchResult, Arc<Tool>)> {
        let catalog = self.projection.catalog();
        let everywhere = Predicate { domain: None, ..found.predicate.clone() };
        let result = |ranked: Ranked| {
            let entry = catalog.at(ranked.point_id, &everywhere)?;
            let with_description = request.detail != Detail::Name;
            let result = SearchResult {
                tool_id: entry.key.tool_id(),
                tool_name: entry.key.tool_name.clone(),
                domain: entry.key.domain.clone(),
                tool_type: entry.tool.tool_type,
                description: if with_description { entry.tool.description.clone() } else { String::new() },
                score: ranked.score,
                tool: (request.detail == Detail::Schema).then(|| Tool::clone(&entry.tool)),
                explain: request.explain.then(|| explained::result(&ranked, &entry.tool, found)),
            };
            Some((result, Arc::clone(&entry.tool)))
        };
        ranked.into_iter().filter_map(result).collect()
    }
}
