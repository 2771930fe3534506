//! The lexical arm: BM25 over identifier-aware fields of every tool, in memory.
//!
//! A document is found by its words and filtered by its labels; who it is stands in two fast fields, the halves of
//! its point id. What it says is looked up in the catalogue, so nothing is stored here.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Score, TantivyDocument, Term,
    collector::TopDocs,
    query::{BooleanQuery, BoostQuery, ConstScoreQuery, Occur, Query, TermQuery, TermSetQuery},
    schema::{FAST, Field, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions},
};
use toolweaver_contracts::{Predicate, Tool, ToolKey};
use uuid::Uuid;

use super::words;

/// How much a hit in each field counts. A name no more than the description: fields are scored apart, and short ones high.
const WEIGHTS: Weights = Weights { name: 1.0, description: 1.0, parameters: 0.5, tags: 0.3 };
/// How the stemmed and the written form of a word share its weight.
const STEM_SHARE: f32 = 0.7;

/// Names of our analysers. Not `raw`: that is what tantivy itself calls the one of labels, and ours would replace it.
const STEM_ANALYZER: &str = "words_stem";
const RAW_ANALYZER: &str = "words_raw";

/// Heap of the writer in bytes, before it flushes a segment by itself.
const WRITER_HEAP_BYTES: usize = 64 << 20;

/// The label of a tool that everyone may see. Labels of roles begin with `=`, so none can pass for it.
const EVERYONE: &str = "*";

struct Weights {
    name: f32,
    description: f32,
    parameters: f32,
    tags: f32,
}

/// One text in its two forms.
#[derive(Clone, Copy)]
struct Forms {
    stem: Field,
    raw: Field,
}

#[derive(Clone, Copy)]
struct Fields {
    point: Field,
    point_high: Field,
    point_low: Field,
    tenant: Field,
    domain: Field,
    tool_type: Field,
    tag: Field,
    role: Field,
    name: Forms,
    description: Forms,
    parameters: Forms,
    tags: Forms,
}

/// A tool that the lexical arm found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LexicalHit {
    /// Whose document it is.
    pub(crate) point_id: Uuid,
    /// Weighted BM25, unbounded.
    pub(crate) score: f32,
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
}

/// Makes an empty index.
pub(crate) fn open() -> tantivy::Result<(LexicalWriter, LexicalReader)> {
    let (schema, fields) = schema();
    let index = Index::create_in_ram(schema);
    index.tokenizers().register(STEM_ANALYZER, words::stemmed());
    index.tokenizers().register(RAW_ANALYZER, words::raw());
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let writer = index.writer_with_num_threads(1, WRITER_HEAP_BYTES)?;
    Ok((LexicalWriter { writer, reader: reader.clone(), fields }, LexicalReader { reader, fields }))
}

impl LexicalWriter {
    /// Adds a document; the tool must not have one, or have been deleted before.
    pub(crate) fn add(&self, key: &ToolKey, tool: &Tool) -> tantivy::Result<()> {
        self.writer.add_document(document(&self.fields, key, tool)).map(drop)
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
    /// The best `limit` documents under a predicate, best first.
    pub(crate) fn search(
        &self,
        query: &str,
        predicate: &Predicate,
        limit: usize,
    ) -> tantivy::Result<Vec<LexicalHit>> {
        let words = self.fields.words_query(query);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut clauses = self.fields.filters(predicate);
        clauses.push((Occur::Must, Box::new(BooleanQuery::union(words))));
        let searcher = self.reader.searcher();
        let top =
            searcher.search(&BooleanQuery::new(clauses), &TopDocs::with_limit(limit).order_by_score())?;
        let halves: Vec<_> = searcher
            .segment_readers()
            .iter()
            .map(|segment| {
                Ok((segment.fast_fields().u64("point_high")?, segment.fast_fields().u64("point_low")?))
            })
            .collect::<tantivy::Result<_>>()?;
        let hit = |(score, address): (Score, tantivy::DocAddress)| {
            let (high, low) = &halves[address.segment_ord as usize];
            let point_id = Uuid::from_u64_pair(high.first(address.doc_id)?, low.first(address.doc_id)?);
            Some(LexicalHit { point_id, score })
        };
        Ok(top.into_iter().filter_map(hit).collect())
    }
}

impl Fields {
    /// One clause a distinct query term, field and form.
    fn words_query(&self, query: &str) -> Vec<Box<dyn Query>> {
        let mut clauses: Vec<Box<dyn Query>> = Vec::new();
        let stems = words::query_terms(&mut words::stemmed(), query);
        let raws = words::query_terms(&mut words::raw(), query);
        for (forms, weight) in [
            (self.name, WEIGHTS.name),
            (self.description, WEIGHTS.description),
            (self.parameters, WEIGHTS.parameters),
            (self.tags, WEIGHTS.tags),
        ] {
            for (field, terms, share) in
                [(forms.stem, &stems, STEM_SHARE), (forms.raw, &raws, 1.0 - STEM_SHARE)]
            {
                clauses.extend(
                    terms.iter().map(|term| boosted(field, &term.text, weight * share * term.weight)),
                );
            }
        }
        clauses
    }

    /// The predicate as clauses that decide without scoring. It means what [`Predicate::admits`] says.
    fn filters(&self, predicate: &Predicate) -> Vec<(Occur, Box<dyn Query>)> {
        let label = |field, text: &str| Term::from_field_text(field, text);
        let mut must = vec![vec![label(self.tenant, predicate.tenant.as_str())]];
        must.extend(predicate.domain.iter().map(|domain| vec![label(self.domain, domain.as_str())]));
        if !predicate.tool_types.is_empty() {
            must.push(predicate.tool_types.iter().map(|kind| label(self.tool_type, kind.as_str())).collect());
        }
        if !predicate.tags.is_empty() {
            must.push(predicate.tags.iter().map(|tag| label(self.tag, tag)).collect());
        }
        let roles = predicate.roles.iter().map(|role| role_label(role)).chain([EVERYONE.to_owned()]);
        must.push(roles.map(|role| label(self.role, &role)).collect());

        let mut clauses: Vec<_> = must.into_iter().map(|terms| (Occur::Must, any_of(terms))).collect();
        if !predicate.exclude.is_empty() {
            let excluded = predicate.exclude.iter().map(|id| {
                let key = ToolKey {
                    tenant: predicate.tenant.clone(),
                    domain: id.domain.clone(),
                    tool_name: id.tool_name.clone(),
                };
                Term::from_field_bytes(self.point, key.point_id().as_bytes())
            });
            clauses.push((Occur::MustNot, any_of(excluded.collect())));
        }
        clauses
    }
}

fn role_label(role: &str) -> String {
    format!("={role}")
}

fn boosted(field: Field, term: &str, weight: f32) -> Box<dyn Query> {
    let query = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
    Box::new(BoostQuery::new(Box::new(query), weight))
}

fn any_of(mut terms: Vec<Term>) -> Box<dyn Query> {
    let query: Box<dyn Query> = match (terms.pop(), terms.is_empty()) {
        (Some(term), true) => Box::new(TermQuery::new(term, IndexRecordOption::Basic)),
        (last, _) => Box::new(TermSetQuery::new(terms.into_iter().chain(last))),
    };
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let mut forms = |name: &str| {
        let text = |builder: &mut tantivy::schema::SchemaBuilder, form: &str| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(form)
                .set_index_option(IndexRecordOption::WithFreqs);
            builder.add_text_field(
                &format!("{name}_{form}"),
                TextOptions::default().set_indexing_options(indexing),
            )
        };
        Forms { stem: text(&mut builder, STEM_ANALYZER), raw: text(&mut builder, RAW_ANALYZER) }
    };
    let (name, description, parameters, tags) =
        (forms("name"), forms("description"), forms("parameters"), forms("tags"));
    let fields = Fields {
        name,
        description,
        parameters,
        tags,
        point: builder.add_bytes_field("point", tantivy::schema::INDEXED),
        point_high: builder.add_u64_field("point_high", FAST),
        point_low: builder.add_u64_field("point_low", FAST),
        tenant: builder.add_text_field("tenant", STRING),
        domain: builder.add_text_field("domain", STRING),
        tool_type: builder.add_text_field("tool_type", STRING),
        tag: builder.add_text_field("tag", STRING),
        role: builder.add_text_field("role", STRING),
    };
    (builder.build(), fields)
}

fn document(fields: &Fields, key: &ToolKey, tool: &Tool) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    let point_id = key.point_id();
    let (high, low) = point_id.as_u64_pair();
    document.add_bytes(fields.point, point_id.as_bytes());
    document.add_u64(fields.point_high, high);
    document.add_u64(fields.point_low, low);
    document.add_text(fields.tenant, key.tenant.as_str());
    document.add_text(fields.domain, key.domain.as_str());
    document.add_text(fields.tool_type, tool.tool_type.as_str());
    for tag in tool.tags.iter().collect::<BTreeSet<_>>() {
        document.add_text(fields.tag, tag);
    }
    if tool.allowed_roles.is_empty() {
        document.add_text(fields.role, EVERYONE);
    }
    for role in tool.allowed_roles.iter().collect::<BTreeSet<_>>() {
        document.add_text(fields.role, role_label(role));
    }
    let parameters = parameter_words(&tool.parameters);
    for (forms, text) in [
        (fields.name, tool.tool_name.as_str()),
        (fields.description, tool.description.as_str()),
        (fields.parameters, parameters.as_str()),
        (fields.tags, tool.tags.join(" ").as_str()),
    ] {
        document.add_text(forms.stem, text);
        document.add_text(forms.raw, text);
    }
    document
}

/// Names and descriptions of the top-level parameters.
fn parameter_words(parameters: &Map<String, Value>) -> String {
    let Some(Value::Object(properties)) = parameters.get("properties") else {
        return String::new();
    };
    let mut words = String::new();
    for (name, property) in properties {
        words.push_str(name);
        words.push(' ');
        words.push_str(property.get("description").and_then(Value::as_str).unwrap_or_default());
        words.push(' ');
    }
    words
}

#[cfg(test)]
mod tests;
