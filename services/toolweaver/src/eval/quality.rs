//! Asks every query of a set, twice: as an agent does, for quality and latency, and explained, for the arms and stages.
//!
//! Explaining costs time, so no latency of the first pass comes from the second. An explained reply has at most a
//! hundred results and tells each arm's rank of each of them: an arm's own first ten are seen as far as they are among
//! the fused first hundred, and the rest of them counts as wrong. `seen` says how much that is.

use std::{collections::BTreeMap, num::NonZeroUsize};

use toolweaver_contracts::{
    ArmScore, Detail, Explanation, Fault, SearchRequest, SearchResult, ToolId, limits::TOP_K_MAX,
};

use super::{
    latency::{Latencies, Spread, Stages},
    metrics::{DEPTH, Metrics, measure, share},
    run::{ArmSummary, KindSummary, QueryRun, Scores},
    set::{Query, Set},
    statistics::Paired,
    system::{Answer, System},
};
use crate::terminal::explained;

/// Results of a query that are kept to be read.
const SHOWN: usize = 5;

/// How an arm is read out of an explanation.
type ArmScoreOf = fn(&Explanation) -> Option<ArmScore>;

/// The arms, and where their ranks stand.
const ARMS: [(&str, ArmScoreOf); 2] =
    [("lexical", |explanation| explanation.lexical), ("dense", |explanation| explanation.dense)];

/// Everything that asking a set's queries has told.
#[derive(Debug)]
pub(super) struct Quality {
    pub(super) runs: Vec<QueryRun>,
    /// In the order of the queries.
    pub(super) explained: Vec<Explained>,
    pub(super) fused: Scores,
    pub(super) arms: Vec<ArmSummary>,
    pub(super) kinds: BTreeMap<String, KindSummary>,
    pub(super) latency: Latencies,
    pub(super) ranker: String,
    pub(super) degraded: BTreeMap<String, usize>,
}

/// What an explained reply leaves to be read.
#[derive(Debug)]
pub(super) struct Explained {
    /// The first results.
    pub(super) first: Vec<Shown>,
    /// Every right tool that was among the results, with its place from 1 and why.
    pub(super) wanted: Vec<(usize, Shown)>,
    arms: [Arm; 2],
}

/// One result, to be read.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) tool: ToolId,
    pub(super) score: f32,
    pub(super) why: String,
}

#[derive(Debug)]
struct Arm {
    metrics: Metrics,
    /// How many of its first ten are known.
    seen: usize,
    /// How many it has, up to ten.
    of: usize,
}

/// Asks all queries of a set.
pub(super) async fn ask(
    system: &System,
    concurrency: NonZeroUsize,
    set: &Set,
    seed: u64,
) -> Result<Quality, Fault> {
    let (mut round_trips, mut took) = (Vec::new(), Vec::new());
    let (mut ranker, mut degraded) = (String::new(), BTreeMap::new());
    let plain = set.queries.iter().map(|query| request(query, DEPTH, false)).collect();
    let mut runs = system
        .ask_all(concurrency, "asking", plain, |index, answer| {
            round_trips.push(answer.round_trip_ms);
            took.push(answer.reply.took_ms);
            answer.reply.ranker.clone_into(&mut ranker);
            for part in &answer.reply.degraded {
                *degraded.entry(part.clone()).or_default() += 1;
            }
            query_run(&set.queries[index], answer)
        })
        .await?;

    let mut stages = Stages::default();
    let explained = set.queries.iter().map(|query| request(query, TOP_K_MAX as usize, true)).collect();
    let explained = system
        .ask_all(concurrency, "explaining", explained, |index, answer| {
            if let Some(explanation) = &answer.reply.explain {
                stages.add(&explanation.stages_ms);
            }
            Explained::read(&set.queries[index], &answer.reply.results)
        })
        .await?;
    for (run, explained) in runs.iter_mut().zip(&explained) {
        run.arms = explained.arms.iter().map(|arm| arm.metrics).collect();
    }

    let latency =
        Latencies { round_trip: Spread::of(&round_trips), took: Spread::of(&took), stages: stages.summary() };
    Ok(Quality {
        fused: Scores::of(runs.iter().map(|run| run.fused), seed),
        arms: (0..ARMS.len()).map(|arm| arm_summary(arm, &runs, &explained, seed)).collect(),
        kinds: kinds(&runs, seed),
        latency,
        ranker,
        degraded,
        runs,
        explained,
    })
}

fn request(query: &Query, top_k: usize, explain: bool) -> SearchRequest {
    let mut request = SearchRequest::new(query.text.as_str());
    request.top_k = u32::try_from(top_k).ok();
    if explain {
        request.explain = true;
        // A hundred long descriptions could outgrow a message.
        request.detail = Detail::Name;
    }
    request
}

fn query_run(query: &Query, answer: Answer) -> QueryRun {
    let reply = answer.reply;
    let found: Vec<ToolId> = reply.results.into_iter().map(|result| result.tool_id).collect();
    QueryRun {
        id: query.id.clone(),
        kind: query.kind.clone(),
        fused: measure(&query.gains(&found), &query.relevances()),
        arms: Vec::new(),
        found,
        status: reply.status,
        confidence: reply.confidence,
        routed: reply.routed,
    }
}

impl Explained {
    fn read(query: &Query, results: &[SearchResult]) -> Self {
        let wanted = (1..)
            .zip(results)
            .filter(|(_, result)| query.relevant.iter().any(|(name, _)| name == result.tool_name.as_str()));
        Self {
            first: results.iter().take(SHOWN).map(Shown::of).collect(),
            wanted: wanted.map(|(place, result)| (place, Shown::of(result))).collect(),
            arms: ARMS.map(|(_, score_of)| Arm::read(query, results, score_of)),
        }
    }
}

impl Shown {
    fn of(result: &SearchResult) -> Self {
        Self { tool: result.tool_id.clone(), score: result.score, why: explained(result).unwrap_or_default() }
    }
}

impl Arm {
    /// The arm's first ten, as far as they are among these results, each at the arm's own place.
    fn read(query: &Query, results: &[SearchResult], score_of: ArmScoreOf) -> Self {
        let mut places: [Option<&ToolId>; DEPTH] = [None; DEPTH];
        let mut hits = 0;
        for result in results {
            let Some(score) = result.explain.as_ref().and_then(score_of) else { continue };
            hits += 1;
            let index = usize::try_from(score.rank).unwrap_or(usize::MAX).wrapping_sub(1);
            if let Some(place) = places.get_mut(index) {
                *place = Some(&result.tool_id);
            }
        }
        let found: Vec<&ToolId> = places.iter().flatten().copied().collect();
        let mut gains = query.gains(found.iter().copied()).into_iter();
        let by_place: Vec<u32> =
            places.iter().map(|place| place.and_then(|_| gains.next()).unwrap_or(0)).collect();
        Self {
            metrics: measure(&by_place, &query.relevances()),
            seen: found.len(),
            // An arm with fewer hits than that has shown all of them.
            of: hits.min(DEPTH).max(found.len()),
        }
    }
}

fn arm_summary(arm: usize, runs: &[QueryRun], explained: &[Explained], seed: u64) -> ArmSummary {
    let metrics = || explained.iter().map(|explained| explained.arms[arm].metrics);
    let fused: Vec<f64> = runs.iter().map(|run| run.fused.ndcg_10).collect();
    let alone: Vec<f64> = metrics().map(|metrics| metrics.ndcg_10).collect();
    let sum = |of: fn(&Arm) -> usize| explained.iter().map(|explained| of(&explained.arms[arm])).sum();
    ArmSummary {
        arm: ARMS[arm].0.to_owned(),
        scores: Scores::of(metrics(), seed),
        seen: share(sum(|arm| arm.seen), sum(|arm| arm.of)),
        fused_against: Paired::of(&alone, &fused, seed),
    }
}

/// By kind, where there is more than one.
fn kinds(runs: &[QueryRun], seed: u64) -> BTreeMap<String, KindSummary> {
    let mut by_kind: BTreeMap<String, Vec<Metrics>> = BTreeMap::new();
    for run in runs {
        by_kind.entry(run.kind.clone().unwrap_or_else(|| "-".to_owned())).or_default().push(run.fused);
    }
    if by_kind.len() < 2 {
        return BTreeMap::new();
    }
    let summary = |metrics: Vec<Metrics>| KindSummary {
        queries: metrics.len(),
        scores: Scores::of(metrics.into_iter(), seed),
    };
    by_kind.into_iter().map(|(kind, metrics)| (kind, summary(metrics))).collect()
}
