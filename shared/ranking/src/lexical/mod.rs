//! The lexical arm: BM25F over identifier-aware fields of every tool, in memory.
//!
//! tantivy keeps the postings; the scoring is ours, because frequencies must be summed over the fields before
//! they saturate, which no sum of per-field scores can do. Everything is counted over the tools that the
//! caller may see: neither a score nor a term's frequency tells of any other. A document is filtered by its
//! labels; who it is stands in two fast fields, the halves of its point id. What it says is looked up in the
//! catalogue, so nothing is stored here.

mod bm25f;
mod candidates;
mod corrections;
pub(crate) mod idf;
pub(crate) mod query_terms;
mod schema;
mod statistics;

use std::sync::Arc;

use moka::sync::Cache;
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, Term};
use toolweaver_contracts::{Predicate, Tool, ToolKey};
use uuid::Uuid;

use self::{
    candidates::Candidates,
    schema::{Fields, PointIds},
};
pub use self::{
    schema::FieldName,
    statistics::{CollectionStatistics, TermFrequencies},
};
use crate::{
    LexicalAnswer, LexicalHit, Query,
    parameters::{NAME_LIKE_BYTES_MAX, NEAR_NAMES_MAX, SHARED_TRIGRAMS_PERCENT_MIN},
    query::name_mentions::normalised,
    text::trigrams::trigrams,
};

/// Heap of the writer in bytes, before it flushes a segment by itself.
const WRITER_HEAP_BYTES: usize = 64 << 20;
/// Capacity of the cache of candidate sets, in bytes.
const CANDIDATES_BYTES_MAX: u64 = 64 << 20;

/// Writer of the lexical index; it has one owner.
pub struct LexicalWriter {
    writer: IndexWriter,
    reader: IndexReader,
    fields: Fields,
}

/// Reader of the lexical index; every search takes its own snapshot.
#[derive(Clone)]
pub struct LexicalReader {
    reader: IndexReader,
    fields: Fields,
    /// Candidate sets by the snapshot's number and the predicate.
    candidates: Cache<(u64, Predicate), Arc<Candidates>>,
}

/// Makes an empty index in memory.
pub fn open() -> tantivy::Result<(LexicalWriter, LexicalReader)> {
    let (schema, fields) = schema::schema();
    let index = Index::create_in_ram(schema);
    schema::register_analyzers(&index);
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
    pub fn add(&self, key: &ToolKey, tool: &Tool) -> tantivy::Result<()> {
        self.writer.add_document(schema::document(&self.fields, key, tool)).map(drop)
    }

    /// Deletes a tool's document.
    pub fn delete(&self, point_id: Uuid) {
        self.writer.delete_term(Term::from_field_bytes(self.fields.point, point_id.as_bytes()));
    }

    /// Makes all changes so far visible to the searches that begin after it.
    pub fn commit(&mut self) -> tantivy::Result<()> {
        self.writer.commit()?;
        self.reader.reload()
    }
}

impl LexicalReader {
    /// Returns the best `limit` tools under a predicate. Blocks for as long as it computes.
    pub fn search(
        &self,
        query: &Query,
        predicate: &Predicate,
        limit: usize,
    ) -> tantivy::Result<LexicalAnswer> {
        let searcher = self.reader.searcher();
        let candidates = self.candidates(&searcher, predicate)?;
        let mut terms = query_terms::terms(query);
        corrections::add(&searcher, &self.fields, &candidates, &mut terms)?;
        let scored = bm25f::score(&searcher, &self.fields, &candidates, &terms, limit)?;
        let near = near_names(&searcher, &self.fields, &candidates, query.text())?;
        let point_ids = PointIds::open(&searcher)?;
        let hits = scored.best.iter().map(|hit| {
            let (score, sentences) = (hit.score, hit.sentences.clone());
            point_ids.of(hit.at).map(|point_id| LexicalHit { point_id, score, sentences })
        });
        Ok(LexicalAnswer {
            hits: hits.flatten().collect(),
            mean: scored.mean,
            std_dev: scored.std_dev,
            candidates: candidates.count(),
            known: query_terms::known_share(&terms, &scored.documents),
            terms: query_terms::searched(&terms, &scored.documents),
            near_names: near.into_iter().filter_map(|at| point_ids.of(at)).collect(),
            statistics: Some(scored.statistics),
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

/// Returns the documents whose names share enough trigrams with the query to be worth a closer look.
fn near_names(
    searcher: &Searcher,
    fields: &Fields,
    candidates: &Candidates,
    query: &str,
) -> tantivy::Result<Vec<DocAddress>> {
    let name = normalised(query);
    if name.len() > NAME_LIKE_BYTES_MAX {
        return Ok(Vec::new());
    }
    let trigrams = trigrams(&name);
    let least = (trigrams.len() * SHARED_TRIGRAMS_PERCENT_MIN).div_ceil(100).max(1);
    let mut near = Vec::new();
    for (ord, segment) in (0..).zip(searcher.segment_readers()) {
        let shared = candidates.shared(ord as usize, segment, fields.name_trigrams, &trigrams)?;
        let enough = shared.into_iter().filter(|(_, count)| *count >= least);
        near.extend(enough.map(|(doc, count)| (count, DocAddress::new(ord, doc))));
    }
    near.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    near.truncate(NEAR_NAMES_MAX);
    Ok(near.into_iter().map(|(_, at)| at).collect())
}

#[cfg(test)]
mod tests;
