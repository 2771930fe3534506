//! The search pipeline: understand, route, retrieve, fuse, decide, pack.

use std::{collections::BTreeSet, sync::Arc};

use toolweaver_contracts::{
    Detail, Domain, ErrorCode, Fault, Predicate, RouteCandidate, Routed, RoutedBy, SearchRequest,
    SearchResult, SearchStatus, Strategy, Tenant, Tool,
};
use toolweaver_prompt_format as prompt_format;
use toolweaver_ranking::{
    DenseAnswer, LexicalAnswer, Query,
    fusion::{self, Fused, Ranked},
    parameters::{CANDIDATES_MIN, GOOD_MATCHES_MIN, RELEVANCE_RESULTS},
    relevance,
    rescoring::{Rescorer, StemSets},
    routing,
    staleness::RevalidationThreshold,
};
use toolweaver_resilience::Deadline;

use super::{
    SearchTimeouts,
    answer::Answer,
    arms::{ArmAnswer, Arms, QueryVectors, Retrieved},
    density::Densities,
    explain,
    routing::{Router, is_sure},
    shards::{Shards, fanout, protocol},
    stages::{self, Stage, Stages},
};
use crate::{
    metrics,
    projection::{Entry, Projection},
};

/// A request that was understood, and its deadline: what every stage of its search works with.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub(crate) request: SearchRequest,
    pub(crate) query: Query,
    /// Tools that the caller may see and asks for, in all domains.
    pub(crate) everywhere: Predicate,
    pub(crate) deadline: Deadline,
}

/// Computes answers. One is shared by all requests.
pub(crate) struct Pipeline {
    projection: Projection,
    arms: Arms,
    /// Router of searches without a hint; without one they are all global.
    router: Option<Router>,
    densities: Densities,
    /// Owners of the domains that are not indexed here; `None` where all are.
    shards: Option<Shards>,
    timeouts: SearchTimeouts,
}

/// Duration of each stage of a search, and the dependencies that it went on without.
#[derive(Default)]
struct Progress {
    stages: Stages,
    degraded: BTreeSet<String>,
}

/// A query's vectors, and the lexical answer under the predicate that is searched first.
struct Understood {
    vectors: QueryVectors,
    first: Predicate,
    lexical: ArmAnswer<LexicalAnswer>,
}

/// Fused answers of the arms under one predicate.
pub(super) struct Found {
    pub(super) predicate: Predicate,
    pub(super) lexical: Option<LexicalAnswer>,
    pub(super) dense: Option<DenseAnswer>,
    pub(super) fused: Fused,
}

impl Search {
    /// Understands a request.
    pub(crate) fn new(tenant: Tenant, request: SearchRequest, deadline: Deadline) -> Self {
        let (query, everywhere) = (Query::new(&request.query), request.predicate(tenant));
        Self { request, query, everywhere, deadline }
    }
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

impl Pipeline {
    /// Makes a pipeline over the indexes of this worker, and of the other shards where there are any.
    pub(crate) fn new(
        projection: Projection,
        arms: Arms,
        router: Option<Router>,
        shards: Option<Shards>,
        timeouts: SearchTimeouts,
    ) -> Self {
        Self { projection, arms, router, densities: Densities::default(), shards, timeouts }
    }

    /// Returns the catalog that is searched.
    pub(crate) fn projection(&self) -> &Projection {
        &self.projection
    }

    /// Returns the arms of this worker.
    pub(crate) fn arms(&self) -> &Arms {
        &self.arms
    }

    /// Returns the neighbour densities of the tenants' catalogs.
    pub(crate) fn densities(&self) -> &Densities {
        &self.densities
    }

    /// Returns the directory of shards, where the catalog is divided.
    pub(crate) fn shards(&self) -> Option<&Shards> {
        self.shards.as_ref()
    }

    /// Returns the timeouts of a search.
    pub(crate) fn timeouts(&self) -> SearchTimeouts {
        self.timeouts
    }

    /// Computes an answer, and the threshold that a later change must reach to matter.
    pub(crate) async fn run(
        &self,
        search: &Search,
    ) -> Result<(Answer, Option<RevalidationThreshold>), Fault> {
        let mut progress = Progress::default();
        let few = self.few_candidates(&search.everywhere);
        let hint = search.request.domain.as_ref().filter(|_| few.is_none());

        let understood = self.understand(search, hint, &mut progress).await;
        let weighing = async {
            match hint {
                Some(domain) => routing::hinted(domain),
                None if few.is_some() => Vec::new(),
                None => self.route(search, &understood).await,
            }
        };
        let candidates = progress.stages.took(Stage::Route, stages::timed(weighing).await);
        let (mut found, mut routed) =
            Box::pin(self.find_routed(search, understood, candidates.first(), &mut progress)).await?;
        let (status, confidence) =
            progress.stages.time(Stage::Fuse, || self.decide(&found, &search.everywhere));

        let top_k = match &few {
            Some(all) => {
                routed.strategy = Strategy::All;
                let point_ids = all.iter().map(|entry| entry.key.point_id());
                fusion::append_unranked(&mut found.fused.ranked, point_ids);
                search.request.top_k.map_or(all.len(), |top_k| top_k as usize)
            }
            None => search.request.top_k(),
        };
        let ranked = fusion::truncate_keeping_named(std::mem::take(&mut found.fused.ranked), top_k);
        let is_plain = few.is_none() && !search.request.explain && !search.query.is_compound();
        let threshold = is_plain.then(|| threshold(&ranked, top_k, &found, &routed)).flatten();
        let packed = progress.stages.time(Stage::Load, || {
            let results = self.results(ranked, &search.request, &found);
            prompt_format::pack(results, search.request.shape, search.request.budget_tokens)
        });
        metrics::search_computed(&routed, progress.stages.took_by_name());
        let explain =
            search.request.explain.then(|| explain::search(search, &found, candidates, &progress.stages));
        let answer = Answer {
            status,
            confidence,
            results: packed.results,
            shaped: packed.shaped,
            budget: packed.budget,
            degraded: progress.degraded.into_iter().collect(),
            routed,
            explain,
        };
        Ok((answer, threshold))
    }

    /// Returns all candidates, if there are so few that the caller is best served with all of them.
    pub(crate) fn few_candidates(&self, predicate: &Predicate) -> Option<Vec<Arc<Entry>>> {
        let catalog = self.projection.catalog();
        let some: Vec<_> = catalog.admitted(predicate).take(CANDIDATES_MIN).cloned().collect();
        (some.len() < CANDIDATES_MIN).then_some(some)
    }

    /// Embeds the query, and searches the lexical index where the search will begin.
    async fn understand(
        &self,
        search: &Search,
        hint: Option<&Domain>,
        progress: &mut Progress,
    ) -> Understood {
        let first = match hint {
            Some(domain) => search.everywhere.clone().in_domain(domain.clone()),
            None => search.everywhere.clone(),
        };
        let (vectors, lexical) = tokio::join!(
            Box::pin(stages::timed(self.arms.embed(&search.query, search.deadline))),
            stages::timed(self.arms.lexical(&search.query, &first, search.deadline)),
        );
        let vectors = progress.stages.took(Stage::Embed, vectors);
        let lexical = progress.stages.took(Stage::Lexical, lexical);
        progress.degraded.extend(vectors.as_ref().err().map(|dependency| (*dependency).to_owned()));
        Understood { vectors, first, lexical }
    }

    async fn route(&self, search: &Search, understood: &Understood) -> Vec<RouteCandidate> {
        let Some(router) = &self.router else { return Vec::new() };
        let vector = understood.vectors.iter().flatten().next().map(Vec::as_slice);
        let lexical = understood.lexical.as_ref().ok();
        router.candidates(&search.query, vector, &search.everywhere, lexical).await
    }

    /// Searches the routed domain, where the route is sure, and the whole tenant, where there is none or the
    /// domain has too few good matches.
    async fn find_routed(
        &self,
        search: &Search,
        understood: Understood,
        route: Option<&RouteCandidate>,
        progress: &mut Progress,
    ) -> Result<(Found, Routed), Fault> {
        let Understood { vectors, first, lexical } = understood;
        // Of one search below at most: a routed domain and the whole tenant are never the same.
        let mut lexical = Some(lexical);
        let mut routed = Routed {
            domain: None,
            by: RoutedBy::None,
            confidence: None,
            fell_back: false,
            strategy: Strategy::Hybrid,
        };
        let mut in_domain = None;
        if let Some(route) = route.filter(|route| is_sure(route)) {
            let predicate = search.everywhere.clone().in_domain(route.domain.clone());
            let lexical = lexical.take_if(|_| predicate == first);
            let found = self.find(search, &vectors, predicate, lexical, progress).await?;
            routed.fell_back = found.good_matches() < GOOD_MATCHES_MIN;
            routed.domain = Some(route.domain.clone());
            routed.by = route.by;
            routed.confidence = (route.by != RoutedBy::Hint).then_some(route.confidence);
            if !routed.fell_back {
                routed.strategy = found.strategy();
                return Ok((found, routed));
            }
            in_domain = Some(found);
        }
        let lexical = lexical.take_if(|_| search.everywhere == first);
        let mut found = self.find(search, &vectors, search.everywhere.clone(), lexical, progress).await?;
        if let Some(in_domain) = in_domain.filter(|_| routed.by == RoutedBy::Hint) {
            let preferred = &in_domain.fused.ranked;
            fusion::prefer_good_of(&mut found.fused.ranked, preferred, in_domain.dense.is_some());
        }
        routed.strategy = found.strategy();
        Ok((found, routed))
    }

    /// Asks both arms under one predicate and fuses their answers. `lexical` is that of this worker, where it
    /// is there already.
    async fn find(
        &self,
        search: &Search,
        vectors: &QueryVectors,
        predicate: Predicate,
        lexical: Option<ArmAnswer<LexicalAnswer>>,
        progress: &mut Progress,
    ) -> Result<Found, Fault> {
        let retrieved =
            Box::pin(self.retrieve(search, vectors, &predicate, lexical, &mut progress.stages)).await;
        let Retrieved { lexical, dense, missing } = retrieved;
        progress.degraded.extend(missing);
        if lexical.is_none() && dense.is_none() {
            return Err(Fault::new(
                ErrorCode::Unavailable,
                "neither the lexical index nor the vectors can be searched now",
            )
            .hint("ask again; the status endpoint says which dependency is down"));
        }
        let fused = progress.stages.time(Stage::Fuse, || {
            let catalog = self.projection.catalog();
            // A name counts wherever its tool is: no route may lose it.
            let everywhere = Predicate { domain: None, ..predicate.clone() };
            let near = lexical.as_ref().map_or(&[][..], |answer| &answer.near_names);
            let names = catalog.named_in(search.query.written(), near, &everywhere);
            let mut fused = fusion::fuse(lexical.as_ref(), dense.as_ref(), &names);
            if let Some(lexical) = &lexical {
                let rescorer = Rescorer::new(&search.query, lexical);
                fused.rescore(|point_id| Some(rescorer.coverage(catalog.at(point_id, &everywhere)?.stems())));
            }
            fused
        });
        Ok(Found { predicate, lexical, dense, fused })
    }

    /// Asks both arms under a predicate, here and at the owners of other domains.
    async fn retrieve(
        &self,
        search: &Search,
        vectors: &QueryVectors,
        predicate: &Predicate,
        lexical: Option<ArmAnswer<LexicalAnswer>>,
        stages: &mut Stages,
    ) -> Retrieved {
        let Some(shards) = &self.shards else {
            return self.retrieve_locally(search, vectors, predicate, lexical, stages).await;
        };
        let domains = match &predicate.domain {
            Some(domain) => vec![domain.clone()],
            None => self.projection.catalog().domains(&predicate.tenant),
        };
        let division = shards.divide(domains);
        let deadline = search.deadline.earlier(self.timeouts.arm);
        let asked = vectors.iter().flatten().cloned();
        let request = protocol::request(shards.scoring(), &search.query, asked, predicate, deadline);
        let is_local = division.local;
        let local = async {
            if is_local {
                Some(self.retrieve_locally(search, vectors, predicate, lexical, stages).await)
            } else {
                None
            }
        };
        fanout::fan_out(shards, division, request, local).await
    }

    /// Asks both arms over the indexes of this worker.
    async fn retrieve_locally(
        &self,
        search: &Search,
        vectors: &QueryVectors,
        predicate: &Predicate,
        lexical: Option<ArmAnswer<LexicalAnswer>>,
        stages: &mut Stages,
    ) -> Retrieved {
        let lexical = if let Some(lexical) = lexical {
            lexical
        } else {
            let lexical = self.arms.lexical(&search.query, predicate, search.deadline);
            stages.took(Stage::Lexical, stages::timed(lexical).await)
        };
        let dense = self.arms.dense(vectors, predicate, lexical.as_ref().ok(), search.deadline);
        let dense = stages.took(Stage::Dense, stages::timed(dense).await);
        let missing = [lexical.as_ref().err(), dense.as_ref().err()].into_iter().flatten();
        let missing = missing.map(|dependency| (*dependency).to_owned()).collect();
        Retrieved { lexical: lexical.ok(), dense: dense.ok(), missing }
    }

    /// Decides whether anything fits.
    fn decide(&self, found: &Found, everywhere: &Predicate) -> (SearchStatus, Option<f32>) {
        let catalog = self.projection.catalog();
        let best = found.fused.ranked.iter().take(RELEVANCE_RESULTS);
        let best: Vec<&StemSets> = best
            .filter_map(|tool| catalog.at(tool.point_id, everywhere))
            .map(|entry| entry.stems())
            .collect();
        let named = found.fused.ranked.iter().any(Ranked::is_surely_meant);
        let density = self.densities.of(&everywhere.tenant);
        relevance::decide(found.lexical.as_ref(), found.dense.as_ref(), &best, named, density)
    }

    /// Returns what the caller asked to see of each tool. A tool that was removed meanwhile, or that changed
    /// so that the caller may not see it any more, is left out.
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
                explain: request.explain.then(|| explain::result(&ranked, &entry.tool, found)),
            };
            Some((result, Arc::clone(&entry.tool)))
        };
        ranked.into_iter().filter_map(result).collect()
    }
}

/// Returns the threshold of an answer; see [`RevalidationThreshold::of`].
fn threshold(
    ranked: &[Ranked],
    top_k: usize,
    found: &Found,
    routed: &Routed,
) -> Option<RevalidationThreshold> {
    let preferred = routed.domain.clone().filter(|_| routed.fell_back);
    let (lexical, dense) = (found.lexical.as_ref(), found.dense.as_ref());
    RevalidationThreshold::of(ranked, top_k, &found.predicate, preferred, lexical, dense)
}
