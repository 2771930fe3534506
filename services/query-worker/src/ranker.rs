//! The ranking configuration: every number that decides an order, under one name.
//!
//! The fused score of a tool is `w·cos + (1 − w)·bm25 / bm25_max`, with `bm25_max` the best lexical score of this
//! query. Naive reciprocal rank fusion was measured well below this, because it throws the scores away.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use toolweaver_contracts::ArmScore;
use uuid::Uuid;

use crate::projection::{LexicalHit, Mention};

/// Name of this configuration, in every reply and every cache key. A change of any number below changes it.
pub(crate) const NAME: &str = "weighted-2";

/// Share of the dense arm, 0 to 1.
const DENSE_SHARE: f32 = 0.8;
/// How many lexical hits take part.
pub(crate) const LEXICAL_HITS: usize = 400;
/// How many dense hits take part.
pub(crate) const DENSE_HITS: usize = 400;
/// Added for a tool whose name is the whole query; more than any fused score, so it comes first.
const WHOLE_NAME_BONUS: f32 = 2.0;
/// Added for a tool that the query names as an identifier.
const IDENTIFIER_BONUS: f32 = 0.5;
/// Cosine from which a tool counts as a good match of its domain.
const GOOD_COSINE: f32 = 0.3;
/// Good matches that a hinted domain must have; with fewer the whole tenant is searched.
pub(crate) const GOOD_MATCHES_MIN: usize = 3;
/// With fewer candidates than this all are returned.
pub(crate) const CANDIDATES_MIN: usize = 20;
/// Best cosine under which, with no word and no name found either, nothing seems to fit.
const RELEVANT_COSINE_MIN: f32 = 0.25;

/// A tool that the dense arm found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    /// Which tool.
    pub(crate) point_id: Uuid,
    /// Cosine between query and tool, -1 to 1.
    pub(crate) score: f32,
}

/// A tool with everything that is known about its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranked {
    /// Which tool.
    pub(crate) point_id: Uuid,
    /// What orders it.
    pub(crate) score: f32,
    /// The lexical arm's view.
    pub(crate) lexical: Option<ArmScore>,
    /// The dense arm's view.
    pub(crate) dense: Option<ArmScore>,
    /// How the query names it.
    pub(crate) mention: Option<Mention>,
}

impl Ranked {
    fn unranked(point_id: Uuid) -> Self {
        Self { point_id, score: 0.0, lexical: None, dense: None, mention: None }
    }

    /// Whether it is likely what was asked for. Without a dense arm any word in common must do.
    pub(crate) fn is_good(&self, has_dense: bool) -> bool {
        self.mention.is_some()
            || if has_dense {
                self.dense.is_some_and(|dense| dense.score >= GOOD_COSINE)
            } else {
                self.lexical.is_some()
            }
    }
}

/// Merges both arms and the named tools, best first. An arm that is down is `None`.
pub(crate) fn fuse(
    lexical: &[LexicalHit],
    dense: Option<&[Hit]>,
    mentions: &[(Uuid, Mention)],
) -> Vec<Ranked> {
    let mut ranked: HashMap<Uuid, Ranked> = HashMap::new();
    for (rank, hit) in (1..).zip(lexical) {
        at(&mut ranked, hit.point_id).lexical = Some(ArmScore { rank, score: hit.score });
    }
    for (rank, hit) in (1..).zip(dense.unwrap_or_default()) {
        at(&mut ranked, hit.point_id).dense = Some(ArmScore { rank, score: hit.score });
    }
    for (point_id, mention) in mentions {
        let tool = at(&mut ranked, *point_id);
        tool.mention = tool.mention.max(Some(*mention));
    }

    let best_lexical = lexical.first().map_or(1.0, |hit| hit.score.max(f32::MIN_POSITIVE));
    // A tool that the dense arm did not return is at most as near as the last one that it did.
    let unseen_cosine = dense.and_then(<[Hit]>::last).map_or(0.0, |hit| hit.score);
    let dense_share = if dense.is_some() { DENSE_SHARE } else { 0.0 };
    let mut ranked: Vec<_> = ranked.into_values().collect();
    for tool in &mut ranked {
        let cosine = tool.dense.map_or(unseen_cosine, |dense| dense.score);
        let words = tool.lexical.map_or(0.0, |lexical| lexical.score / best_lexical);
        let bonus = match tool.mention {
            Some(Mention::Whole) => WHOLE_NAME_BONUS,
            Some(Mention::Identifier) => IDENTIFIER_BONUS,
            Some(Mention::Words) | None => 0.0,
        };
        tool.score = dense_share * cosine + (1.0 - dense_share) * words + bonus;
    }
    ranked.sort_by(best_first);
    ranked
}

fn at(ranked: &mut HashMap<Uuid, Ranked>, point_id: Uuid) -> &mut Ranked {
    ranked.entry(point_id).or_insert_with(|| Ranked::unranked(point_id))
}

/// Keeps the best `top_k`, but never drops a named tool for one that is only similar.
pub(crate) fn cut(mut ranked: Vec<Ranked>, top_k: usize) -> Vec<Ranked> {
    if ranked.len() <= top_k {
        return ranked;
    }
    let tail = ranked.split_off(top_k);
    let mut lost: Vec<_> = tail.into_iter().filter(|tool| tool.mention.is_some()).collect();
    lost.sort_by_key(|tool| std::cmp::Reverse(tool.mention));
    for place in (0..top_k).rev() {
        if lost.is_empty() {
            break;
        }
        if ranked[place].mention.is_none() {
            ranked[place] = lost.remove(0);
        }
    }
    ranked.sort_by(best_first);
    ranked
}

/// The good matches of a domain that has too few of them, then everything else.
pub(crate) fn first_good_of(domain: &[Ranked], has_dense: bool, everywhere: Vec<Ranked>) -> Vec<Ranked> {
    let good: HashSet<Uuid> =
        domain.iter().filter(|tool| tool.is_good(has_dense)).map(|tool| tool.point_id).collect();
    let (mut first, rest): (Vec<_>, Vec<_>) =
        everywhere.into_iter().partition(|tool| good.contains(&tool.point_id));
    first.extend(rest);
    first
}

/// Adds tools that no arm found, behind all others.
pub(crate) fn append_unranked(ranked: &mut Vec<Ranked>, candidates: impl Iterator<Item = Uuid>) {
    let known: HashSet<Uuid> = ranked.iter().map(|tool| tool.point_id).collect();
    let unranked = candidates.filter(|point_id| !known.contains(point_id));
    ranked.extend(unranked.map(Ranked::unranked));
}

/// Whether anything in the answer seems to fit. A preliminary rule on absolute scores, not calibrated.
pub(crate) fn is_relevant(ranked: &[Ranked]) -> bool {
    ranked.iter().any(|tool| {
        tool.mention.is_some()
            || tool.lexical.is_some()
            || tool.dense.is_some_and(|dense| dense.score >= RELEVANT_COSINE_MIN)
    })
}

fn best_first(a: &Ranked, b: &Ranked) -> Ordering {
    // The id makes the order of equals the same in every worker.
    b.score.total_cmp(&a.score).then_with(|| a.point_id.cmp(&b.point_id))
}
