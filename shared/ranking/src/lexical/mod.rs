//! The lexical arm: BM25F over identifier-aware fields of every tool, in memory.
//!
//! tantivy keeps the postings; the scoring is ours, because frequencies must be summed over the fields before they
//! saturate, which no sum of per-field scores can do. Everything is counted over the tools that the caller may see:
//! neither a score nor a term's frequency tells of any other. A document is filtered by its labels; who it is stands in
//! two fast fields, the halves of its point id. What it says is looked up in the catalogue, so nothing is stored here.

mod bm25f;
mod candidates;
mod corrections;
mod fields;
mod query;
mod scale;

use std::sync::Arc;

use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};
use toolweaver_contracts::{Predicate, SearchedTerm, Tool, ToolKey};
use uuid::Uuid;

use self::{
    candidates::Candidates,
    fields::{Fields, PointIds},
};
pub(crate) use self::{
    fields::FieldName,
    query::content_stems,
    scale::{Profile, Scale},
};
use super::{grams, names};

/// Heap of the writer in bytes, before it flushes a segment by itself.
const WRITER_HEAP_BYTES: usize = 64 << 20;
/// Memory for what predicates admit, in bytes.
const CANDIDATES_BYTES_MAX: u64 = 64 << 20;
/// Share of a name's trigrams that another one must have to be looked at, in percent.
const SHARED_GRAMS_PERCENT_MIN: usize = 40;
/// Names that are looked at for one query.
const NEAR_NAMES_MAX: usize = 64;

/// A tool that the lexical arm found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LexicalHit {
    /// Whose document it is.
    pub(crate) point_id: Uuid,
    /// BM25F, unbounded; see [`bm25f`].
    pub(crate) score: f32,
    /// The score of each part of a request that is lifted by its parts, else none; see [`crate::ranker::fusion`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<f32>,
}

/// What the lexical arm found, and what it takes to compare its scores with others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LexicalAnswer {
    /// The best, best first.
    pub(crate) hits: Vec<LexicalHit>,
    /// Mean score of all candidates.
    pub(crate) mean: f32,
    /// Standard deviation of the scores of all candidates; one that has no term in common scores 0.
    pub(crate) spread: f32,
    /// Tools that the predicate admits.
    pub(crate) candidates: u64,
    /// Share of the query's distinct terms that some candidate holds, 0 to 1.
    pub(crate) known: f32,
    /// What was looked for.
    pub(crate) terms: Vec<SearchedTerm>,
    /// Tools whose names look like the query.
    pub(crate) near_names: Vec<Uuid>,
    /// What the hits were scored with; none where several workers did it, each with its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scale: Option<Scale>,
}

/// The writing side; one owner, the projection's applier.
pub(crate) struct LexicalWriter {
    writer: IndexWriter,
    reader: IndexReader,
    fields: Fields,
}

/// The reading side; every search takes its own snapshot.
#[derive(Clone)]
pub(crate) struct LexicalReader {
    reader: IndexReader,
    fields: Fields,
    /// By the snapshot's number and the predicate.
    candidates: Cache<(u64, Predicate), Arc<Candidates>>,
}

/// Makes an empty index.
pub(crate) fn open() -> tantivy::Result<(LexicalWriter, LexicalReader)> {
    let (schema, fields) = fields::schema();
    let index = Index::create_in_ram(schema);
    fields::register_analyzers(&index);
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let writer = index.writer_with_num_threads(1, WRITER_HEAP_BYTES)?;
    let candidates = Cache::builder()
        .max_capacity(CANDIDATES_BYTES_MAX)
        .weigher(|_, candidates: &Arc<Candidates>| candidates.bytes())
        .build();
    let writing = LexicalWriter { writer, reader: reader.clone(), fields };
    Ok((writing, LexicalReader { reader, fields, candidates }))
}

impl LexicalWriter {
    /// Adds a document; the tool must not have one, or have been deleted before.
    pub(crate) fn add(&self, key: &ToolKey, tool: &Tool) -> tantivy::Result<()> {
        self.writer.add_document(fields::document(&self.fields, key, tool)).map(drop)
    }

    /// Deletes a tool's document.
    pub(crate) fn delete(&self, point_id: Uuid) {
        self.writer.delete_term(Term::from_field_bytes(self.fields.point, point_id.as_bytes()));
    }

    /// Makes all changes so far visible to the searches that begin after it.
    pub(crate) fn commit(&mut self) -> tantivy::Result<()> {
        self.writer.commit()?;
        self.reader.reload()
    }
}

impl LexicalReader {
    /// The best `limit` documents under a predicate. `parts` are the pieces of a compound `query`; see
    /// [`crate::ranker::parts`].
    pub(crate) fn search(
        &self,
        query: &str,
        parts: &[String],
        predicate: &Predicate,
        limit: usize,
    ) -> tantivy::Result<LexicalAnswer> {
        let searcher = self.reader.searcher();
        let candidates = self.candidates(&searcher, predicate)?;
        let mut terms = query::terms(query, parts);
        corrections::add(&searcher, &self.fields, &candidates, &mut terms)?;
        let scored = bm25f::score(&searcher, &self.fields, &candidates, &terms, limit)?;
        let near = near_names(&searcher, &self.fields, &candidates, query)?;
        let point_ids = PointIds::open(&searcher)?;
        let hits = scored.best.iter().map(|hit| {
            let (score, parts) = (hit.score, hit.parts.clone());
            point_ids.of(hit.at).map(|point_id| LexicalHit { point_id, score, parts })
        });
        Ok(LexicalAnswer {
            hits: hits.flatten().collect(),
            mean: scored.mean,
            spread: scored.spread,
            candidates: candidates.count(),
            known: query::known_share(&terms, &scored.documents),
            terms: query::searched(&terms, &scored.documents),
            near_names: near.into_iter().filter_map(|at| point_ids.of(at)).collect(),
            scale: Some(scored.scale),
        })
    }

    fn candidates(&self, searcher: &Searcher, predicate: &Predicate) -> tantivy::Result<Arc<Candidates>> {
        let key = (searcher.generation().generation_id(), predicate.clone());
        if let Some(known) = self.candidates.get(&key) {
            return Ok(known);
        }
        let candidates = Arc::new(Candidates::under(searcher, &self.fields, predicate)?);
        self.candidates.insert(key, Arc::clone(&candidates));
        Ok(candidates)
    }
}

/// Documents whose names share enough trigrams with the query to be worth a closer look.
fn near_names(
    searcher: &Searcher,
    fields: &Fields,
    candidates: &Candidates,
    query: &str,
) -> tantivy::Result<Vec<DocAddress>> {
    let name = names::normalised(query);
    if name.len() > grams::NAME_LIKE_BYTES_MAX {
        return Ok(Vec::new());
    }
    let grams = grams::grams(&name);
    let least = (grams.len() * SHARED_GRAMS_PERCENT_MIN).div_ceil(100).max(1);
    let mut near = Vec::new();
    for (ord, segment) in (0..).zip(searcher.segment_readers()) {
        let shared = candidates.shared(ord as usize, segment, fields.name_grams, &grams)?;
        let enough = shared.into_iter().filter(|(_, count)| *count >= least);
        near.extend(enough.map(|(doc, count)| (count, DocAddress::new(ord, doc))));
    }
    near.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    near.truncate(NEAR_NAMES_MAX);
    Ok(near.into_iter().map(|(_, at)| at).collect())
}

#[cfg(test)]
mod tests;
