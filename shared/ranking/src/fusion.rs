//! Two arms and the names become one order.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{ArmScore, Contributions};
use toolweaver_vector_store::Scores;
use uuid::Uuid;

use super::{
    GOOD_COSINE, IDENTIFIER_BONUS, LIFT, LIFTED_PARTS_MIN, NEAR_NAME_BONUS, WHOLE_NAME_BONUS, WHOLE_SHARE,
    coverage::CANDIDATES, dense_share, mix,
};
use crate::projection::{LexicalAnswer, Mention, NameMatch};

/// A tool that the dense arm scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DenseHit {
    pub(crate) point_id: Uuid,
    /// Mixed cosine.
    pub(crate) score: f32,
    /// The cosine of each part of a request that is lifted by its parts, else none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<f32>,
}

/// What the dense arm found: exact scores of its own hits and of the lexical arm's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DenseAnswer {
    /// In no order.
    pub(crate) hits: Vec<DenseHit>,
    /// Tools that the predicate admits, as far as the sample tells.
    pub(crate) candidates: u64,
    /// Mean of the mixed cosines of all candidates.
    pub(crate) mean: f32,
    /// Their standard deviation.
    pub(crate) spread: f32,
}

/// A tool with everything that is known about its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranked {
    /// Which tool.
    pub(crate) point_id: Uuid,
    /// What orders it: the sum of the contributions.
    pub(crate) score: f32,
    /// The summands.
    pub(crate) contributions: Contributions,
    /// The lexical arm's view.
    pub(crate) lexical: Option<ArmScore>,
    /// The dense arm's view.
    pub(crate) dense: Option<ArmScore>,
    /// How the request names it.
    pub(crate) name: NameMatch,
}

/// The order, and what it was weighed with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fused {
    /// Best first.
    pub(crate) ranked: Vec<Ranked>,
    /// Share of the dense arm, 0 to 1.
    pub(crate) dense_share: f32,
    /// What one point of coverage counts.
    coverage_weight: f32,
}

impl Fused {
    /// Adds how well each of the best is covered; see [`super::coverage`].
    pub(crate) fn cover(&mut self, coverage: impl Fn(Uuid) -> Option<f32>) {
        for tool in self.ranked.iter_mut().take(CANDIDATES) {
            let covered = self.coverage_weight * coverage(tool.point_id).unwrap_or_default();
            tool.contributions.coverage = covered;
            tool.score += covered;
        }
        self.ranked.sort_unstable_by(best_first);
    }
}

impl DenseAnswer {
    /// Mixes the scores of a request and its parts; the spread is that of a sample of all candidates.
    pub(crate) fn of(scores: &Scores, candidates: u64) -> Self {
        let hit = |(point_id, row): (Uuid, &[f32])| {
            let parts =
                row.get(1..).filter(|parts| lifts(parts.len())).map_or_else(Vec::new, <[f32]>::to_vec);
            DenseHit { point_id, score: mix(row), parts }
        };
        let sample: Vec<f64> = scores.sample().map(|row| f64::from(mix(row))).collect();
        let count = sample.len().max(1) as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
        Self {
            hits: scores.iter().map(hit).collect(),
            candidates,
            mean: mean as f32,
            spread: variance.sqrt() as f32,
        }
    }

    /// Mixed cosine of the nearest tool; 0 where there is none.
    pub(crate) fn best(&self) -> f32 {
        self.hits.iter().map(|hit| hit.score).fold(0.0, f32::max)
    }
}

impl Ranked {
    fn unranked(point_id: Uuid) -> Self {
        Self {
            point_id,
            score: 0.0,
            contributions: Contributions::default(),
            lexical: None,
            dense: None,
            name: NameMatch::default(),
        }
    }

    /// Whether the request holds its name.
    pub(crate) fn is_named(&self) -> bool {
        self.name.mention.is_some()
    }

    /// Whether the request is its name, or writes it as an identifier: then it is meant, whatever else is found.
    pub(crate) fn is_surely_meant(&self) -> bool {
        self.name.mention >= Some(Mention::Identifier) || self.name.likeness > 0.0
    }

    /// Whether it is likely what was asked for. Without a dense arm any word in common must do.
    pub(crate) fn is_good(&self, has_dense: bool) -> bool {
        self.is_named()
            || if has_dense {
                self.dense.is_some_and(|dense| dense.score >= GOOD_COSINE)
            } else {
                self.lexical.is_some()
            }
    }
}

/// Merges both arms and the named tools. An arm that is down is `None`.
pub(crate) fn fuse(
    lexical: Option<&LexicalAnswer>,
    dense: Option<&DenseAnswer>,
    names: &[(Uuid, NameMatch)],
) -> Fused {
    let mut ranked: HashMap<Uuid, Ranked> = HashMap::new();
    if let Some(lexical) = lexical {
        for (rank, hit) in (1..).zip(&lexical.hits) {
            at(&mut ranked, hit.point_id).lexical = Some(ArmScore { rank, score: hit.score });
        }
    }
    if let Some(dense) = dense {
        let mut nearest: Vec<_> = dense.hits.iter().collect();
        nearest
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.point_id.cmp(&b.point_id)));
        for (rank, hit) in (1..).zip(nearest) {
            at(&mut ranked, hit.point_id).dense = Some(ArmScore { rank, score: hit.score });
        }
    }
    for (point_id, name) in names {
        at(&mut ranked, *point_id).name = *name;
    }

    let dense_share = match (lexical, dense) {
        (_, None) => 0.0,
        (None, Some(_)) => 1.0,
        (Some(lexical), Some(_)) => dense_share(lexical.known),
    };
    let lifts = lifts_by_parts(lexical, dense, dense_share);
    let mut ranked: Vec<_> = ranked.into_values().collect();
    for tool in &mut ranked {
        // An arm without any spread has no opinion.
        let by_words = tool.lexical.zip(lexical).filter(|(_, arm)| arm.spread > 0.0);
        let by_meaning = tool.dense.zip(dense).filter(|(_, arm)| arm.spread > 0.0);
        tool.contributions = Contributions {
            lexical: by_words.map_or(0.0, |(of, arm)| (1.0 - dense_share) * of.score / arm.spread),
            dense: by_meaning.map_or(0.0, |(of, arm)| dense_share * (of.score - arm.mean) / arm.spread),
            parts: lifts.get(&tool.point_id).copied().unwrap_or_default(),
            coverage: 0.0,
            name: name_bonus(tool.name),
        };
        let summands = tool.contributions;
        tool.score = summands.lexical + summands.dense + summands.parts + summands.name;
    }
    ranked.sort_unstable_by(best_first);
    let coverage_weight =
        lexical.filter(|arm| arm.spread > 0.0).map_or(0.0, |arm| (1.0 - dense_share) / arm.spread);
    Fused { ranked, dense_share, coverage_weight }
}

/// Whether a request of so many parts is lifted by them.
pub(crate) const fn lifts(parts: usize) -> bool {
    parts >= LIFTED_PARTS_MIN
}

/// What each tool gains by being good for a part that others are bad for.
///
/// A request for several tools must not be filled by those of its loudest part. With `P_r` a tool's score for part *r*,
/// `m_r` the best of all and `M` the best of these, it gains `0.6 · (max_r (P_r + (M − m_r) / 2) − max_r P_r)`.
fn lifts_by_parts(
    lexical: Option<&LexicalAnswer>,
    dense: Option<&DenseAnswer>,
    dense_share: f32,
) -> HashMap<Uuid, f32> {
    let mut scores: HashMap<Uuid, Vec<f32>> = HashMap::new();
    let mut add = |point_id: Uuid, parts: &[f32], weight: f32, mean: f32| {
        let scores = scores.entry(point_id).or_insert_with(|| vec![0.0; parts.len()]);
        for (score, part) in scores.iter_mut().zip(parts) {
            *score += weight * (part - mean);
        }
    };
    if let Some(arm) = lexical.filter(|arm| arm.spread > 0.0) {
        for hit in arm.hits.iter().filter(|hit| !hit.parts.is_empty()) {
            add(hit.point_id, &hit.parts, (1.0 - dense_share) / arm.spread, 0.0);
        }
    }
    if let Some(arm) = dense.filter(|arm| arm.spread > 0.0) {
        for hit in arm.hits.iter().filter(|hit| !hit.parts.is_empty()) {
            add(hit.point_id, &hit.parts, dense_share / arm.spread, arm.mean);
        }
    }
    let parts = scores.values().map(Vec::len).max().unwrap_or_default();
    let best: Vec<f32> = (0..parts)
        .map(|part| {
            scores.values().filter_map(|scores| scores.get(part)).copied().fold(f32::NEG_INFINITY, f32::max)
        })
        .collect();
    let loudest = best.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let lift = |scores: &[f32]| {
        let quiet = scores.iter().zip(&best).map(|(score, best)| score + LIFT * (loudest - best));
        let lifted = quiet.fold(f32::NEG_INFINITY, f32::max);
        (1.0 - WHOLE_SHARE) * (lifted - scores.iter().copied().fold(f32::NEG_INFINITY, f32::max))
    };
    scores.iter().map(|(point_id, scores)| (*point_id, lift(scores))).collect()
}

fn name_bonus(name: NameMatch) -> f32 {
    let by_mention = match name.mention {
        Some(Mention::Whole) => WHOLE_NAME_BONUS,
        Some(Mention::Identifier) => IDENTIFIER_BONUS,
        Some(Mention::Words) | None => 0.0,
    };
    by_mention.max(NEAR_NAME_BONUS * name.likeness)
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
    let mut lost: Vec<_> = tail.into_iter().filter(Ranked::is_named).collect();
    lost.sort_by_key(|tool| std::cmp::Reverse(tool.name.mention));
    let mut lost = lost.into_iter();
    for place in (0..top_k).rev() {
        if !ranked[place].is_named() {
            let Some(named) = lost.next() else { break };
            ranked[place] = named;
        }
    }
    ranked.sort_by(best_first);
    ranked
}

/// Puts the good matches of a domain that has too few of them before everything else but what is surely meant.
pub(crate) fn prefer_good_of(everywhere: &mut [Ranked], domain: &[Ranked], has_dense: bool) {
    let good: HashSet<Uuid> =
        domain.iter().filter(|tool| tool.is_good(has_dense)).map(|tool| tool.point_id).collect();
    // Stable: both halves keep their order.
    everywhere.sort_by_key(|tool| (!tool.is_surely_meant(), !good.contains(&tool.point_id)));
}

/// Adds tools that no arm found, behind all others.
pub(crate) fn append_unranked(ranked: &mut Vec<Ranked>, candidates: impl Iterator<Item = Uuid>) {
    let known: HashSet<Uuid> = ranked.iter().map(|tool| tool.point_id).collect();
    let last = ranked.last().map_or(0.0, |tool| tool.score);
    let unranked = candidates.filter(|point_id| !known.contains(point_id));
    ranked.extend(unranked.map(|point_id| Ranked { score: last.min(0.0), ..Ranked::unranked(point_id) }));
}

fn best_first(a: &Ranked, b: &Ranked) -> Ordering {
    // The id makes the order of equals the same in every worker.
    b.score.total_cmp(&a.score).then_with(|| a.point_id.cmp(&b.point_id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{DenseAnswer, DenseHit, cut, fuse};
    use crate::projection::{LexicalAnswer, LexicalHit, Mention, NameMatch};

    fn lexical(scores: &[(u128, f32)]) -> LexicalAnswer {
        let hits = scores.iter().map(|(id, score)| LexicalHit {
            point_id: Uuid::from_u128(*id),
            score: *score,
            parts: Vec::new(),
        });
        LexicalAnswer {
            hits: hits.collect(),
            mean: 0.0,
            spread: 1.0,
            candidates: 100,
            known: 1.0,
            terms: Vec::new(),
            near_names: Vec::new(),
            scale: None,
        }
    }

    fn dense(scores: &[(u128, f32)]) -> DenseAnswer {
        let scores = scores.iter().map(|(id, score)| DenseHit {
            point_id: Uuid::from_u128(*id),
            score: *score,
            parts: Vec::new(),
        });
        DenseAnswer { hits: scores.collect(), candidates: 100, mean: 0.1, spread: 0.1 }
    }

    fn order(ranked: &[super::Ranked]) -> Vec<u128> {
        ranked.iter().map(|tool| tool.point_id.as_u128()).collect()
    }

    #[test]
    fn both_arms_count_and_either_is_enough() {
        let (words, meaning) = (lexical(&[(1, 3.0), (2, 2.9)]), dense(&[(2, 0.5), (1, 0.2), (3, 0.3)]));
        let both = fuse(Some(&words), Some(&meaning), &[]);
        assert_eq!(order(&both.ranked), [2, 1, 3]);
        let sum = both.ranked[0].contributions;
        assert!((sum.lexical + sum.dense + sum.name - both.ranked[0].score).abs() < 1e-6);
        assert_eq!(order(&fuse(Some(&words), None, &[]).ranked), [1, 2]);
        assert_eq!(order(&fuse(None, Some(&meaning), &[]).ranked), [2, 3, 1]);
        assert_eq!(both.ranked[0].dense.map(|arm| arm.rank), Some(1));
    }

    #[test]
    fn a_tool_that_alone_serves_a_part_is_lifted() {
        let hit = |id, parts: [f32; 3]| LexicalHit {
            point_id: Uuid::from_u128(id),
            score: 0.4 * parts.iter().sum::<f32>() + 0.6 * parts.iter().copied().fold(0.0, f32::max),
            parts: parts.to_vec(),
        };
        // Three tools for the first part, one each for the others.
        let mut words = lexical(&[]);
        words.hits = vec![
            hit(1, [9.0, 0.0, 0.0]),
            hit(2, [8.0, 0.0, 0.0]),
            hit(3, [7.0, 0.0, 0.0]),
            hit(4, [0.0, 5.0, 0.0]),
            hit(5, [0.0, 0.0, 5.0]),
        ];
        let lifted = fuse(Some(&words), None, &[]);
        assert_eq!(order(&lifted.ranked)[0], 1);
        assert!(lifted.ranked[0].contributions.parts.abs() < 1e-6, "the loudest part gains nothing");
        let gain =
            |id| lifted.ranked.iter().find(|tool| tool.point_id.as_u128() == id).unwrap().contributions.parts;
        assert!(gain(4) > 1.0 && gain(5) > 1.0 && gain(3) < 1e-6);
    }

    #[test]
    fn a_name_beats_every_other_reason() {
        let whole = NameMatch { mention: Some(Mention::Whole), likeness: 1.0 };
        let near = NameMatch { mention: None, likeness: 0.9 };
        let names = [(Uuid::from_u128(9), whole), (Uuid::from_u128(8), near)];
        let fused = fuse(Some(&lexical(&[(1, 8.0)])), Some(&dense(&[(1, 0.9)])), &names);
        assert_eq!(order(&fused.ranked), [9, 8, 1]);
    }

    proptest! {
        #[test]
        fn the_cut_loses_no_name(named in prop::collection::btree_set(0_u128..40, 0..10), top_k in 10_usize..20) {
            let words: Vec<(u128, f32)> = (0_u16..40).map(|i| (u128::from(i), 100.0 - f32::from(i))).collect();
            let mention = NameMatch { mention: Some(Mention::Words), likeness: 0.0 };
            let names: Vec<_> = named.iter().map(|id| (Uuid::from_u128(*id), mention)).collect();
            let kept = cut(fuse(Some(&lexical(&words)), None, &names).ranked, top_k);
            prop_assert_eq!(kept.len(), top_k);
            for id in named {
                prop_assert!(order(&kept).contains(&id));
            }
            prop_assert!(kept.is_sorted_by(|a, b| a.score >= b.score));
        }
    }
}
