//! Fusion: two arms and the names become one order.
//!
//! The arms' scores have no common unit, so each is divided by its own standard deviation over the candidates
//! (z-score normalisation, as in distribution-based score fusion), and the sum is weighted:
//!
//! ```text
//! score = W · (D − mean D) / std_dev D  +  (1 − W) · (L + coverage) / std_dev L  +  sentences  +  name
//! X     = 0.4 · X(whole request) + 0.6 · max X(sentence)     for D and L alike, of several sentences
//! W     = sigmoid(ln(0.7 / 0.3) − 1.5 · (known − 0.8))
//! ```
//! `coverage` comes from re-scoring the best ([`crate::rescoring`]), `sentences` is what a tool gains that
//! alone serves one of several sentences, `name` what it gains by being called by its name. `known` is the
//! share of the request's terms that some candidate holds: the fewer, the more the vectors count. Reciprocal
//! rank fusion measured well below this, because it throws the scores away.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
};

use toolweaver_contracts::{ArmScore, Contributions};
use uuid::Uuid;

use crate::{
    DenseAnswer, LexicalAnswer, NameMatch,
    parameters::{
        DENSE_SHARE, GOOD_COSINE, IDENTIFIER_BONUS, KNOWN_SLOPE, KNOWN_TYPICAL, LIFT, NEAR_NAME_BONUS,
        RESCORED_MAX, WHOLE_NAME_BONUS, WHOLE_SHARE,
    },
    query::name_mentions::Mention,
};

/// A tool with its score and the evidence for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Its point id.
    pub point_id: Uuid,
    /// Sum of the contributions, which orders it.
    pub score: f32,
    /// Summands of the score.
    pub contributions: Contributions,
    /// Rank and score in the lexical arm.
    pub lexical: Option<ArmScore>,
    /// Rank and score in the dense arm.
    pub dense: Option<ArmScore>,
    /// Match of its name with the request.
    pub name: NameMatch,
}

/// The fused order, and its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// Best first.
    pub ranked: Vec<Ranked>,
    /// Share of the dense arm, 0 to 1.
    pub dense_share: f32,
    /// Weight of one point of coverage.
    coverage_weight: f32,
}

impl Fused {
    /// Re-scores the best by how well request and tool cover each other; see [`crate::rescoring`].
    pub fn rescore(&mut self, coverage: impl Fn(Uuid) -> Option<f32>) {
        for tool in self.ranked.iter_mut().take(RESCORED_MAX) {
            let covered = self.coverage_weight * coverage(tool.point_id).unwrap_or_default();
            tool.contributions.coverage = covered;
            tool.score += covered;
        }
        self.ranked.sort_unstable_by(best_first);
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

    /// Tells whether the request holds its name.
    pub fn is_named(&self) -> bool {
        self.name.mention.is_some()
    }

    /// Tells whether the request is its name, or writes it as an identifier: then it is meant, whatever else
    /// is found.
    pub fn is_surely_meant(&self) -> bool {
        self.name.mention >= Some(Mention::Identifier) || self.name.likeness > 0.0
    }

    /// Tells whether it is likely what was asked for. Without a dense arm any word in common must do.
    pub fn is_good(&self, has_dense: bool) -> bool {
        self.is_named()
            || if has_dense {
                self.dense.is_some_and(|dense| dense.score >= GOOD_COSINE)
            } else {
                self.lexical.is_some()
            }
    }
}

/// Merges both arms and the named tools. An arm that is down is `None`.
pub fn fuse(
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
    let lifts = sentence_lifts(lexical, dense, dense_share);
    let mut ranked: Vec<_> = ranked.into_values().collect();
    for tool in &mut ranked {
        // An arm whose scores do not differ has no opinion.
        let by_lexical = tool.lexical.zip(lexical).filter(|(_, arm)| arm.std_dev > 0.0);
        let by_dense = tool.dense.zip(dense).filter(|(_, arm)| arm.std_dev > 0.0);
        tool.contributions = Contributions {
            lexical: by_lexical.map_or(0.0, |(of, arm)| (1.0 - dense_share) * of.score / arm.std_dev),
            dense: by_dense.map_or(0.0, |(of, arm)| dense_share * (of.score - arm.mean) / arm.std_dev),
            parts: lifts.get(&tool.point_id).copied().unwrap_or_default(),
            coverage: 0.0,
            name: name_bonus(tool.name),
        };
        let summands = tool.contributions;
        tool.score = summands.lexical + summands.dense + summands.parts + summands.name;
    }
    ranked.sort_unstable_by(best_first);
    let coverage_weight =
        lexical.filter(|arm| arm.std_dev > 0.0).map_or(0.0, |arm| (1.0 - dense_share) / arm.std_dev);
    Fused { ranked, dense_share, coverage_weight }
}

/// Returns what each tool gains by being good for a sentence that others are bad for.
///
/// A request for several tools must not be filled by those of its loudest sentence. With `P_r` a tool's score
/// for sentence *r*, `m_r` the best of all and `M` the best of these, it gains `0.6 · (max_r (P_r + (M − m_r)
/// / 2) − max_r P_r)`.
fn sentence_lifts(
    lexical: Option<&LexicalAnswer>,
    dense: Option<&DenseAnswer>,
    dense_share: f32,
) -> HashMap<Uuid, f32> {
    let mut scores: HashMap<Uuid, Vec<f32>> = HashMap::new();
    let mut add = |point_id: Uuid, sentences: &[f32], weight: f32, mean: f32| {
        let scores = scores.entry(point_id).or_insert_with(|| vec![0.0; sentences.len()]);
        for (score, sentence) in scores.iter_mut().zip(sentences) {
            *score += weight * (sentence - mean);
        }
    };
    if let Some(arm) = lexical.filter(|arm| arm.std_dev > 0.0) {
        for hit in arm.hits.iter().filter(|hit| !hit.sentences.is_empty()) {
            add(hit.point_id, &hit.sentences, (1.0 - dense_share) / arm.std_dev, 0.0);
        }
    }
    if let Some(arm) = dense.filter(|arm| arm.std_dev > 0.0) {
        for hit in arm.hits.iter().filter(|hit| !hit.sentences.is_empty()) {
            add(hit.point_id, &hit.sentences, dense_share / arm.std_dev, arm.mean);
        }
    }
    let sentences = scores.values().map(Vec::len).max().unwrap_or_default();
    let best: Vec<f32> = (0..sentences)
        .map(|at| {
            scores.values().filter_map(|scores| scores.get(at)).copied().fold(f32::NEG_INFINITY, f32::max)
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

/// Returns the share of the dense arm, 0 to 1, when this share of the request's terms is known.
fn dense_share(known: f32) -> f32 {
    let logit = (DENSE_SHARE / (1.0 - DENSE_SHARE)).ln() - KNOWN_SLOPE * (known - KNOWN_TYPICAL);
    1.0 / (1.0 + (-logit).exp())
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
pub fn truncate_keeping_named(mut ranked: Vec<Ranked>, top_k: usize) -> Vec<Ranked> {
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

/// Puts the good matches of a domain that has too few of them before everything else but what is surely
/// meant.
pub fn prefer_good_of(everywhere: &mut [Ranked], domain: &[Ranked], has_dense: bool) {
    let good: HashSet<Uuid> =
        domain.iter().filter(|tool| tool.is_good(has_dense)).map(|tool| tool.point_id).collect();
    // Stable: both halves keep their order.
    everywhere.sort_by_key(|tool| (!tool.is_surely_meant(), !good.contains(&tool.point_id)));
}

/// Adds tools that no arm found, behind all others.
pub fn append_unranked(ranked: &mut Vec<Ranked>, candidates: impl Iterator<Item = Uuid>) {
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

    use super::{dense_share, fuse, truncate_keeping_named};
    use crate::{DenseAnswer, DenseHit, LexicalAnswer, LexicalHit, NameMatch, query::name_mentions::Mention};

    fn lexical(scores: &[(u128, f32)]) -> LexicalAnswer {
        let hits = scores.iter().map(|(id, score)| LexicalHit {
            point_id: Uuid::from_u128(*id),
            score: *score,
            sentences: Vec::new(),
        });
        LexicalAnswer {
            hits: hits.collect(),
            mean: 0.0,
            std_dev: 1.0,
            candidates: 100,
            known: 1.0,
            terms: Vec::new(),
            near_names: Vec::new(),
            statistics: None,
        }
    }

    fn dense(scores: &[(u128, f32)]) -> DenseAnswer {
        let scores = scores.iter().map(|(id, score)| DenseHit {
            point_id: Uuid::from_u128(*id),
            score: *score,
            sentences: Vec::new(),
        });
        DenseAnswer { hits: scores.collect(), candidates: 100, mean: 0.1, std_dev: 0.1 }
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
    fn a_tool_that_alone_serves_a_sentence_is_lifted() {
        let hit = |id, sentences: [f32; 3]| LexicalHit {
            point_id: Uuid::from_u128(id),
            score: 0.4 * sentences.iter().sum::<f32>() + 0.6 * sentences.iter().copied().fold(0.0, f32::max),
            sentences: sentences.to_vec(),
        };
        // Three tools for the first sentence, one each for the others.
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
        assert!(lifted.ranked[0].contributions.parts.abs() < 1e-6, "the loudest sentence gains nothing");
        let gain =
            |id| lifted.ranked.iter().find(|tool| tool.point_id.as_u128() == id).unwrap().contributions.parts;
        assert!(gain(4) > 1.0 && gain(5) > 1.0 && gain(3) < 1e-6);
    }

    #[test]
    fn vectors_count_more_where_words_are_unknown() {
        assert!((dense_share(0.8) - 0.7).abs() < 1e-6);
        assert!(dense_share(0.0) > dense_share(0.5) && dense_share(0.5) > dense_share(1.0));
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
        fn truncation_loses_no_name(named in prop::collection::btree_set(0_u128..40, 0..10), top_k in 10_usize..20) {
            let words: Vec<(u128, f32)> = (0_u16..40).map(|i| (u128::from(i), 100.0 - f32::from(i))).collect();
            let mention = NameMatch { mention: Some(Mention::Words), likeness: 0.0 };
            let names: Vec<_> = named.iter().map(|id| (Uuid::from_u128(*id), mention)).collect();
            let kept = truncate_keeping_named(fuse(Some(&lexical(&words)), None, &names).ranked, top_k);
            prop_assert_eq!(kept.len(), top_k);
            for id in named {
                prop_assert!(order(&kept).contains(&id));
            }
            prop_assert!(kept.is_sorted_by(|a, b| a.score >= b.score));
        }
    }
}
