//! Answers of the two arms: the types between retrieval and fusion.

use serde::{Deserialize, Serialize};
use toolweaver_contracts::SearchedTerm;
use uuid::Uuid;

use crate::{lexical::CollectionStatistics, mix, query::lifts};

/// A tool that the lexical arm found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LexicalHit {
    /// Its point id.
    pub point_id: Uuid,
    /// BM25F, unbounded; see [`crate::lexical`].
    pub score: f32,
    /// Score of each sentence of a compound request, else none; see [`crate::fusion`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<f32>,
}

/// Hits of the lexical arm, and the moments that make its scores comparable with others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LexicalAnswer {
    /// The best, best first.
    pub hits: Vec<LexicalHit>,
    /// Mean score of all candidates.
    pub mean: f32,
    /// Standard deviation of the scores of all candidates; one that has no term in common scores 0.
    pub std_dev: f32,
    /// Number of tools that the predicate admits.
    pub candidates: u64,
    /// Share of the query's distinct terms that some candidate holds, 0 to 1.
    pub known: f32,
    /// Terms that were looked for.
    pub terms: Vec<SearchedTerm>,
    /// Tools whose names look like the query.
    pub near_names: Vec<Uuid>,
    /// Statistics that the hits were scored with; none where several shards did it, each with its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<CollectionStatistics>,
}

/// A tool that the dense arm scored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DenseHit {
    /// Its point id.
    pub point_id: Uuid,
    /// Cosine with the whole request and its sentences, mixed; see [`mix`].
    pub score: f32,
    /// Cosine of each sentence of a compound request, else none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<f32>,
}

/// Hits of the dense arm, with exact scores of its own and of the lexical arm's, and their moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DenseAnswer {
    /// In no order.
    pub hits: Vec<DenseHit>,
    /// Number of tools that the predicate admits, as far as the sample tells.
    pub candidates: u64,
    /// Mean of the mixed cosines of all candidates.
    pub mean: f32,
    /// Their standard deviation.
    pub std_dev: f32,
}

impl DenseAnswer {
    /// Mixes cosines: of each tool one row, with the whole request first and then its sentences. `sample` has
    /// such rows of some candidates, whose mean and standard deviation stand for all.
    pub fn new<'a>(
        rows: impl IntoIterator<Item = (Uuid, &'a [f32])>,
        sample: impl IntoIterator<Item = &'a [f32]>,
        candidates: u64,
    ) -> Self {
        let hit = |(point_id, row): (Uuid, &[f32])| {
            let sentences = row.get(1..).filter(|sentences| lifts(sentences.len()));
            DenseHit {
                point_id,
                score: mix(row),
                sentences: sentences.map_or_else(Vec::new, <[f32]>::to_vec),
            }
        };
        let sample: Vec<f64> = sample.into_iter().map(|row| f64::from(mix(row))).collect();
        let count = sample.len().max(1) as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let variance = sample.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
        Self {
            hits: rows.into_iter().map(hit).collect(),
            candidates,
            mean: mean as f32,
            std_dev: variance.sqrt() as f32,
        }
    }

    /// Returns the mixed cosine of the nearest tool; 0 where there is none.
    pub fn best(&self) -> f32 {
        self.hits.iter().map(|hit| hit.score).fold(0.0, f32::max)
    }
}
