//! Staleness of a cached answer: the score that a changed tool must reach to stand in it.
//!
//! An answer changes with the catalog, but most changes cannot reach it: a new tool about something else does
//! not come among the best ten. So beside an answer is kept what it takes to score one more tool as its own
//! were scored, with the statistics of then, and the lowest score among them. A change is harmless if its
//! tool did not stand there and would not now. What this does not see is how every change moves idf, means
//! and standard deviations a little; after [`DRIFT_MAX`] of the candidates have changed the answer is
//! computed again.

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Domain, Predicate};
use uuid::Uuid;

use crate::{
    DenseAnswer, DenseHit, LexicalAnswer, LexicalHit, Query,
    fusion::{self, Ranked},
    lexical::{CollectionStatistics, TermFrequencies},
    mix,
    parameters::{DRIFT_MAX, ENTRY_MARGIN},
    rescoring::{Rescorer, StemSets},
};

/// Threshold that a changed tool must reach to enter a cached answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RevalidationThreshold {
    /// Predicate under which the answer was found.
    predicate: Predicate,
    /// Tools of the answer, those included that a budget cut, and the nearest tool, which the relevance
    /// decision asked.
    members: Vec<Uuid>,
    /// A domain whose tools come first, or would be searched alone if it held more that are good.
    preferred: Option<Domain>,
    /// The lowest score among them.
    lowest: f32,
    /// The cosine of the nearest tool: a nearer one would change the relevance decision.
    nearest: f32,
    /// Moments of the arms, without their hits.
    lexical: LexicalAnswer,
    dense: DenseAnswer,
    /// Statistics of the lexical arm; apart from what is copied for each changed tool.
    statistics: CollectionStatistics,
    /// Number of changes so far that did not enter.
    drift: u32,
}

/// A tool that was registered after the answer was computed.
pub struct ChangedTool<'a> {
    /// Its point id.
    pub point_id: Uuid,
    /// Its terms, for the lexical score.
    pub frequencies: &'a TermFrequencies,
    /// Its stems, for re-scoring.
    pub stems: &'a StemSets,
    /// Cosine with the request and with each of its sentences; none without a vector.
    pub cosines: Option<Vec<f32>>,
}

impl RevalidationThreshold {
    /// Returns the threshold of an answer, or none where it cannot be told: an arm is missing, several shards
    /// answered, or the answer has room for more.
    pub fn of(
        ranked: &[Ranked],
        top_k: usize,
        predicate: &Predicate,
        preferred: Option<Domain>,
        lexical: Option<&LexicalAnswer>,
        dense: Option<&DenseAnswer>,
    ) -> Option<Self> {
        let (lexical, dense) = lexical.zip(dense)?;
        let statistics = lexical.statistics.clone().filter(|_| ranked.len() >= top_k)?;
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
                statistics: None,
                terms: lexical.terms.clone(),
                ..*lexical
            },
            dense: DenseAnswer { hits: Vec::new(), ..*dense },
            statistics,
            drift: 0,
        })
    }

    /// Returns the predicate under which the answer was found.
    pub fn predicate(&self) -> &Predicate {
        &self.predicate
    }

    /// Tells whether the answer depends on this tool as it was.
    pub fn has(&self, point_id: Uuid) -> bool {
        self.members.contains(&point_id)
    }

    /// Tells whether any tool of this domain may change the answer.
    pub fn prefers(&self, domain: &Domain) -> bool {
        self.preferred.as_ref() == Some(domain)
    }

    /// Counts a change; tells whether there were too many by now.
    pub fn exceeds_drift(&mut self) -> bool {
        self.drift += 1;
        self.drift as f32 > DRIFT_MAX * self.lexical.candidates as f32
    }

    /// Tells whether a tool that the request does not name may belong into the answer.
    pub fn may_enter(&self, tool: &ChangedTool<'_>, rescorer: &Rescorer) -> bool {
        let score = self.score(tool, rescorer);
        let nearer = tool.cosines.as_ref().is_some_and(|cosines| mix(cosines) > self.nearest);
        nearer || score >= self.lowest - ENTRY_MARGIN * self.lowest.abs()
    }

    /// Returns the re-scorer of the request, with the weights of then.
    pub fn rescorer(&self, query: &Query) -> Rescorer {
        Rescorer::new(query, &self.lexical)
    }

    /// Returns the score that a search would give a tool which the request does not name.
    pub fn score(&self, tool: &ChangedTool<'_>, rescorer: &Rescorer) -> f32 {
        let point_id = tool.point_id;
        let words = self.statistics.score(tool.frequencies);
        let mut lexical = self.lexical.clone();
        lexical.hits.extend((words > 0.0).then(|| LexicalHit {
            point_id,
            score: words,
            sentences: Vec::new(),
        }));
        let mut dense = self.dense.clone();
        let cosine = tool.cosines.as_ref().map(|cosines| mix(cosines));
        dense.hits.extend(cosine.map(|score| DenseHit { point_id, score, sentences: Vec::new() }));
        let mut fused = fusion::fuse(Some(&lexical), Some(&dense), &[]);
        fused.rescore(|_| Some(rescorer.coverage(tool.stems)));
        fused.ranked.first().map_or(f32::NEG_INFINITY, |tool| tool.score)
    }
}
