//! How good a tool must be to stand in an answer that was given before.
//!
//! An answer changes with the catalogue, but most changes cannot reach it: a new tool about something else does not come
//! among the best ten. So beside an answer is remembered what it takes to score one more tool as its own were scored,
//! with the statistics of then, and the lowest score among them. A change is harmless if its tool did not stand there and
//! would not now. What this does not see is how every change moves idf, means and spreads a little; after
//! [`DRIFT_MAX`] of the candidates have changed the answer is computed again.

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Domain, Predicate};
use uuid::Uuid;

use super::{
    coverage::{Analysis, Coverage},
    fusion::{self, DenseAnswer, DenseHit, Ranked},
    mix,
};
use crate::projection::{LexicalAnswer, LexicalHit, Profile, Scale};

/// Share of the candidates that may change before an answer is computed again.
const DRIFT_MAX: f32 = 0.05;
/// Share of the lowest score that a tool may lack and still count as reaching it.
const MARGIN: f32 = 0.1;

/// What a tool would have to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    /// Under which the answer was found.
    pub(crate) predicate: Predicate,
    /// Tools of the answer, those included that a budget cut, and the nearest tool, which the verdict asked.
    members: Vec<Uuid>,
    /// A domain whose tools come first, or would be searched alone if it held more that are good.
    preferred: Option<Domain>,
    /// The lowest score among them.
    lowest: f32,
    /// The cosine of the nearest tool: a nearer one would change the verdict.
    nearest: f32,
    /// What the arms counted, without their hits.
    lexical: LexicalAnswer,
    dense: DenseAnswer,
    /// What the words were scored with; apart from what is copied for each newcomer.
    scale: Scale,
    /// Changes so far that did not reach it.
    drift: u32,
}

/// A tool that is new, or new again.
pub(crate) struct Newcomer<'a> {
    pub(crate) point_id: Uuid,
    pub(crate) profile: &'a Profile,
    pub(crate) analysis: &'a Analysis,
    /// Cosine with the request and with each of its parts; none without a vector.
    pub(crate) cosines: Option<Vec<f32>>,
}

impl Bar {
    /// The bar of an answer, or none where it cannot be told: an arm is missing, several workers answered, or the answer
    /// has room for more.
    pub(crate) fn of(
        ranked: &[Ranked],
        top_k: usize,
        predicate: &Predicate,
        preferred: Option<Domain>,
        lexical: Option<&LexicalAnswer>,
        dense: Option<&DenseAnswer>,
    ) -> Option<Self> {
        let (lexical, dense) = lexical.zip(dense)?;
        let scale = lexical.scale.clone().filter(|_| ranked.len() >= top_k)?;
        let nearest = dense.hits.iter().max_by(|a, b| a.score.total_cmp(&b.score)).map(|hit| hit.point_id);
        Some(Self {
            predicate: predicate.clone(),
            members: ranked.iter().map(|tool| tool.point_id).chain(nearest).collect(),
            preferred,
            lowest: ranked.iter().map(|tool| tool.score).reduce(f32::min)?,
            nearest: dense.best(),
            lexical: LexicalAnswer {
                hits: Vec::new(),
                near_names: Vec::new(),
                scale: None,
                terms: lexical.terms.clone(),
                ..*lexical
            },
            dense: DenseAnswer { hits: Vec::new(), ..*dense },
            scale,
            drift: 0,
        })
    }

    /// Whether the answer hangs on this tool as it was.
    pub(crate) fn has(&self, point_id: Uuid) -> bool {
        self.members.contains(&point_id)
    }

    /// Whether any tool of this domain may change the answer.
    pub(crate) fn prefers(&self, domain: &Domain) -> bool {
        self.preferred.as_ref() == Some(domain)
    }

    /// Takes note of a change; says whether there were too many by now.
    pub(crate) fn drifts(&mut self) -> bool {
        self.drift += 1;
        self.drift as f32 > DRIFT_MAX * self.lexical.candidates as f32
    }

    /// Whether a tool that the request does not name may belong into the answer.
    pub(crate) fn is_reached_by(&self, tool: &Newcomer<'_>, coverage: &Coverage) -> bool {
        let score = self.score(tool, coverage);
        let nearer = tool.cosines.as_ref().is_some_and(|cosines| mix(cosines) > self.nearest);
        nearer || score >= self.lowest - MARGIN * self.lowest.abs()
    }

    /// What requests are compared with, weighed as they were.
    pub(crate) fn coverage(&self, text: &str, parts: &[String]) -> Coverage {
        Coverage::new(text, parts, &self.lexical)
    }

    /// The score that a search would give a tool which the request does not name.
    pub(crate) fn score(&self, tool: &Newcomer<'_>, coverage: &Coverage) -> f32 {
        let point_id = tool.point_id;
        let words = self.scale.score(tool.profile);
        let mut lexical = self.lexical.clone();
        lexical.hits.extend((words > 0.0).then(|| LexicalHit { point_id, score: words, parts: Vec::new() }));
        let mut dense = self.dense.clone();
        let cosine = tool.cosines.as_ref().map(|cosines| mix(cosines));
        dense.hits.extend(cosine.map(|score| DenseHit { point_id, score, parts: Vec::new() }));
        let mut fused = fusion::fuse(Some(&lexical), Some(&dense), &[]);
        fused.cover(|_| Some(coverage.of(tool.analysis)));
        fused.ranked.first().map_or(f32::NEG_INFINITY, |tool| tool.score)
    }
}
