//! Candidates: the documents that a predicate admits, and the only ones that anything is counted over.

use std::collections::{BTreeSet, HashMap};

use tantivy::{
    BitSet, DocId, DocSet as _, Searcher, SegmentReader, TERMINATED, Term,
    query::{BooleanQuery, ConstScoreQuery, EnableScoring, Occur, Query, TermQuery, TermSetQuery},
    schema::{Field, IndexRecordOption},
};
use toolweaver_contracts::{Predicate, ToolKey};

use super::schema::{EVERYONE, FieldName, Fields, role_label};
use crate::text::Form;

/// Mean length of each text, by form and then in the order of [`FieldName::ALL`], in terms.
pub(super) type MeanLengths = [[f32; FieldName::ALL.len()]; 2];

/// The documents of a snapshot that a predicate admits.
pub(super) struct Candidates {
    segments: Vec<BitSet>,
    count: u64,
    mean_lengths: MeanLengths,
}

impl Candidates {
    /// Finds the candidates under a predicate: the filter clauses mean what [`Predicate::admits`] says.
    pub(super) fn under(
        searcher: &Searcher,
        fields: &Fields,
        predicate: &Predicate,
    ) -> tantivy::Result<Self> {
        let weight = filter(fields, predicate).weight(EnableScoring::disabled_from_searcher(searcher))?;
        let mut candidates = Self { segments: Vec::new(), count: 0, mean_lengths: MeanLengths::default() };
        let mut lengths = [[0_u64; FieldName::ALL.len()]; 2];
        for segment in searcher.segment_readers() {
            let mut admitted = BitSet::with_max_value(segment.max_doc());
            let mut documents = weight.scorer(segment, 1.0)?;
            while documents.doc() != TERMINATED {
                if segment.alive_bitset().is_none_or(|alive| alive.is_alive(documents.doc())) {
                    admitted.insert(documents.doc());
                    candidates.count += 1;
                }
                documents.advance();
            }
            for form in [Form::Stem, Form::Raw] {
                for (place, field) in fields.texts(form).into_iter().enumerate() {
                    let norms = segment.get_fieldnorms_reader(field)?;
                    let of_segment =
                        ids(&admitted, segment.max_doc()).map(|doc| u64::from(norms.fieldnorm(doc)));
                    lengths[form as usize][place] += of_segment.sum::<u64>();
                }
            }
            candidates.segments.push(admitted);
        }
        let count = candidates.count.max(1) as f64;
        candidates.mean_lengths = lengths.map(|of_form| of_form.map(|total| (total as f64 / count) as f32));
        Ok(candidates)
    }

    /// Returns their number.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn admits(&self, segment: usize, doc: DocId) -> bool {
        self.segments[segment].contains(doc)
    }

    /// Returns the mean length of each text in one form, in terms, in the order of [`FieldName::ALL`].
    pub(super) fn mean_lengths(&self, form: Form) -> [f32; FieldName::ALL.len()] {
        self.mean_lengths[form as usize]
    }

    /// Returns all mean lengths.
    pub(super) fn all_mean_lengths(&self) -> &MeanLengths {
        &self.mean_lengths
    }

    /// Returns the memory that it takes, about.
    pub(super) fn bytes(&self) -> u32 {
        let bits: u32 = self.segments.iter().map(BitSet::max_value).sum();
        bits / 8 + 512
    }

    /// Counts these labels of each candidate of a segment; candidates with none are left out.
    pub(super) fn shared(
        &self,
        ord: usize,
        segment: &SegmentReader,
        field: Field,
        labels: &BTreeSet<String>,
    ) -> tantivy::Result<HashMap<DocId, usize>> {
        let index = segment.inverted_index(field)?;
        let mut shared = HashMap::new();
        for label in labels {
            let term = Term::from_field_text(field, label);
            let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                if self.admits(ord, postings.doc()) {
                    *shared.entry(postings.doc()).or_insert(0) += 1;
                }
                postings.advance();
            }
        }
        Ok(shared)
    }
}

fn ids(set: &BitSet, max_doc: DocId) -> impl Iterator<Item = DocId> {
    (0..max_doc).filter(|doc| set.contains(*doc))
}

fn filter(fields: &Fields, predicate: &Predicate) -> BooleanQuery {
    let label = |field, text: &str| Term::from_field_text(field, text);
    let mut must = vec![vec![label(fields.tenant, predicate.tenant.as_str())]];
    must.extend(predicate.domain.iter().map(|domain| vec![label(fields.domain, domain.as_str())]));
    if !predicate.tool_types.is_empty() {
        must.push(predicate.tool_types.iter().map(|kind| label(fields.tool_type, kind.as_str())).collect());
    }
    if !predicate.tags.is_empty() {
        must.push(predicate.tags.iter().map(|tag| label(fields.tag, tag)).collect());
    }
    let roles = predicate.roles.iter().map(|role| role_label(role)).chain([EVERYONE.to_owned()]);
    must.push(roles.map(|role| label(fields.role, &role)).collect());

    let mut clauses: Vec<_> = must.into_iter().map(|terms| (Occur::Must, any_of(terms))).collect();
    if !predicate.exclude.is_empty() {
        let excluded = predicate.exclude.iter().map(|id| {
            let (domain, tool_name) = (id.domain.clone(), id.tool_name.clone());
            let key = ToolKey { tenant: predicate.tenant.clone(), domain, tool_name };
            Term::from_field_bytes(fields.point, key.point_id().as_bytes())
        });
        clauses.push((Occur::MustNot, any_of(excluded.collect())));
    }
    BooleanQuery::new(clauses)
}

fn any_of(mut terms: Vec<Term>) -> Box<dyn Query> {
    let query: Box<dyn Query> = match (terms.pop(), terms.is_empty()) {
        (Some(term), true) => Box::new(TermQuery::new(term, IndexRecordOption::Basic)),
        (last, _) => Box::new(TermSetQuery::new(terms.into_iter().chain(last))),
    };
    Box::new(ConstScoreQuery::new(query, 0.0))
}
