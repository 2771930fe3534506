//! Retrieval quality of a set: every query is asked as an agent does, and again explained, for the arms and
//! stages.
//!
//! Explaining costs time, so no latency of the first pass comes from the second. An explained reply has at
//! most a hundred results and tells each arm's rank of each of them: an arm's own first ten are seen as far
//! as they are among the fused first hundred, and the rest of them counts as wrong. `seen` says how much that
//! is.

use std::collections::BTreeMap;

use toolweaver_contracts::{
    ArmScore, Detail, Explanation, Fault, SearchRequest, SearchResult, ToolId, limits::TOP_K_MAX,
};

use crate::{
    latency::{Latencies, Quantiles, StageTimes},
    metrics::{DEPTH, Metrics, measure, share},
    run::{ArmSummary, KindSummary, QueryRun, Scores},
    set::{Query, Set},
    statistics::Paired,
    system::{Answer, Questioner, SearchSystem},
};

/// Results of a query that are kept for the failure analysis.
const SHOWN: usize = 5;

/// Reader of one arm's score from an explanation.
type ArmScoreOf = fn(&Explanation) -> Option<ArmScore>;

/// Arms by name, and the readers of their scores.
const ARMS: [(&str, ArmScoreOf); 2] =
    [("lexical", |explanation| explanation.lexical), ("dense", |explanation| explanation.dense)];

/// Measurements from asking a set's queries.
#[derive(Debug)]
pub(crate) struct Quality {
    pub(crate) runs: Vec<QueryRun>,
    /// Explained replies, in the order of the queries.
    pub(crate) explained: Vec<ExplainedQuery>,
    pub(crate) fused: Scores,
    pub(crate) arms: Vec<ArmSummary>,
    pub(crate) kinds: BTreeMap<String, KindSummary>,
    pub(crate) latency: Latencies,
    pub(crate) ranker: String,
    pub(crate) degraded: BTreeMap<String, usize>,
}

/// Contents of an explained reply that are kept.
#[derive(Debug)]
pub(crate) struct ExplainedQuery {
    /// First results.
    pub(crate) first: Vec<FoundTool>,
    /// Relevant tools among the results, each with its place from 1.
    pub(crate) wanted: Vec<(usize, FoundTool)>,
    arms: [Arm; 2],
}

/// One result, with the reason for its place.
#[derive(Debug)]
pub(crate) struct FoundTool {
    pub(crate) tool: ToolId,
    pub(crate) score: f32,
    pub(crate) why: String,
}

#[derive(Debug)]
struct Arm {
    metrics: Metrics,
    /// Known ones of its first ten.
    seen: usize,
    /// All it has, up to ten.
    of: usize,
}

/// Asks all queries of a set, twice.
pub(crate) async fn ask(
    questioner: &Questioner<'_, impl SearchSystem>,
    set: &Set,
    seed: u64,
) -> Result<Quality, Fault> {
    let (mut round_trips, mut took) = (Vec::new(), Vec::new());
    let (mut ranker, mut degraded) = (String::new(), BTreeMap::new());
    let plain = set.queries.iter().map(|query| request(query, DEPTH, false)).collect();
    let mut runs = questioner
        .ask_all("asking", plain, |index, answer| {
            round_trips.push(answer.round_trip_ms);
            took.push(answer.reply.took_ms);
            answer.reply.ranker.clone_into(&mut ranker);
            for part in &answer.reply.degraded {
                *degraded.entry(part.clone()).or_default() += 1;
            }
            query_run(&set.queries[index], answer)
        })
        .await?;

    let mut stages = StageTimes::default();
    let explained = set.queries.iter().map(|query| request(query, TOP_K_MAX as usize, true)).collect();
    let explained = questioner
        .ask_all("explaining", explained, |index, answer| {
            if let Some(explanation) = &answer.reply.explain {
                stages.add(&explanation.stages_ms);
            }
            ExplainedQuery::read(&set.queries[index], &answer.reply.results)
        })
        .await?;
    for (run, explained) in runs.iter_mut().zip(&explained) {
        run.arms = explained.arms.iter().map(|arm| arm.metrics).collect();
    }

    let latency = Latencies {
        round_trip: Quantiles::of(&round_trips),
        took: Quantiles::of(&took),
        stages: stages.summary(),
    };
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

impl ExplainedQuery {
    fn read(query: &Query, results: &[SearchResult]) -> Self {
        let wanted = (1..)
            .zip(results)
            .filter(|(_, result)| query.relevant.iter().any(|(name, _)| name == result.tool_name.as_str()));
        Self {
            first: results.iter().take(SHOWN).map(FoundTool::of).collect(),
            wanted: wanted.map(|(place, result)| (place, FoundTool::of(result))).collect(),
            arms: ARMS.map(|(_, score_of)| Arm::read(query, results, score_of)),
        }
    }
}

impl FoundTool {
    fn of(result: &SearchResult) -> Self {
        let why = result.explain.as_ref().map(reason).unwrap_or_default();
        Self { tool: result.tool_id.clone(), score: result.score, why }
    }
}

/// Returns the place of a result in each arm.
fn reason(explanation: &Explanation) -> String {
    let arm = |(name, score_of): &(&str, ArmScoreOf)| match score_of(explanation) {
        Some(score) => format!("{name} #{} ({:.3})", score.rank, score.score),
        None => format!("{name} -"),
    };
    let mut reasons: Vec<String> = ARMS.iter().map(arm).collect();
    if explanation.exact_name {
        reasons.push("its name is in the query".to_owned());
    }
    reasons.join(", ")
}

impl Arm {
    /// Reads the arm's first ten, as far as they are among these results, each at the arm's own place.
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

fn arm_summary(arm: usize, runs: &[QueryRun], explained: &[ExplainedQuery], seed: u64) -> ArmSummary {
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

/// Groups the scores by kind of query, where there is more than one.
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
