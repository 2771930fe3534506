//! BM25F: the lexical score.
//!
//! For a term *t* in a document *d* the frequencies of all fields are weighted, divided by how long each
//! field is, and summed up before they saturate (Robertson, Zaragoza, Taylor: Simple BM25 Extension to
//! Multiple Weighted Fields, CIKM 2004):
//!
//! ```text
//! tf(t,d)  = Σ_f w_f · tf_f(t,d) / (1 − b + b · len_f(d) / mean_len_f)
//! c(t,d)   = w_t · idf(t) · tf(t,d) / (k1 + tf(t,d))        idf(t) = ln(1 + (N − n_t + ½) / (n_t + ½))
//! bm25f(d) = 0.7 · Σ c over stems + 0.3 · Σ c over words as written
//! ```
//! `N`, `n_t` and the mean lengths are counted over the candidates of this search. A request of several
//! sentences scores `WHOLE_SHARE` of its whole plus the rest of its best sentence.

use std::sync::Arc;

use tantivy::{
    DocAddress, DocId, DocSet as _, InvertedIndexReader, Searcher, SegmentReader, TERMINATED, Term,
    fieldnorm::FieldNormReader,
    postings::Postings as _,
    schema::{Field, IndexRecordOption},
};

use super::{
    candidates::Candidates, idf::idf, query_terms::QueryTerm, schema::Fields,
    statistics::CollectionStatistics,
};
use crate::{
    mix,
    parameters::{B, FIELD_WEIGHTS, K1, STEM_SHARE},
    query::lifts,
    text::Form,
};

/// Result of scoring.
pub(super) struct Scored {
    /// The best, best first.
    pub(super) best: Vec<ScoredDocument>,
    /// Mean score of all candidates.
    pub(super) mean: f32,
    /// Their standard deviation.
    pub(super) std_dev: f32,
    /// Candidates that hold each term.
    pub(super) documents: Vec<u64>,
    /// Statistics that they were scored with.
    pub(super) statistics: CollectionStatistics,
}

/// A document that holds a term.
pub(super) struct ScoredDocument {
    pub(super) at: DocAddress,
    pub(super) score: f32,
    /// Score of each sentence, where [`lifts`] says that they are needed one by one.
    pub(super) sentences: Vec<f32>,
}

/// Scores every candidate that holds a term.
pub(super) fn score(
    searcher: &Searcher,
    fields: &Fields,
    candidates: &Candidates,
    terms: &[QueryTerm],
    limit: usize,
) -> tantivy::Result<Scored> {
    let segments = searcher.segment_readers();
    let mut frequencies = Vec::with_capacity(segments.len());
    for (ord, segment) in segments.iter().enumerate() {
        let readers = [Form::Stem, Form::Raw].map(|form| Readers::open(segment, fields, candidates, form));
        let [stem, raw] = readers;
        let (stem, raw) = (stem?, raw?);
        let mut scratch = Frequencies::new(segment.max_doc());
        let of_segment = terms.iter().map(|term| {
            let readers = if term.form == Form::Stem { &stem } else { &raw };
            scratch.of(ord, readers, candidates, term)
        });
        let of_segment = of_segment.collect::<tantivy::Result<Vec<_>>>()?;
        frequencies.push(of_segment);
    }
    let documents: Vec<u64> = (0..terms.len())
        .map(|term| frequencies.iter().map(|segment| segment[term].len() as u64).sum())
        .collect();

    let texts = terms.iter().fold(1, |texts, term| texts | term.texts);
    let width = (u32::BITS - texts.leading_zeros()) as usize;
    let mut scored = Vec::new();
    let mut all_sums = Vec::with_capacity(segments.len());
    for (ord, (segment, frequencies)) in (0..).zip(segments.iter().zip(&frequencies)) {
        let mut sums = Sums::new(segment.max_doc(), width);
        for ((term, found), documents) in terms.iter().zip(frequencies).zip(&documents) {
            let weight = weight(term, *documents, candidates.count());
            for (doc, frequency) in found {
                sums.add(*doc, term.texts, weight * saturated(*frequency));
            }
        }
        scored.extend(sums.mixed().map(|(doc, score)| (score, DocAddress::new(ord, doc))));
        all_sums.push(sums);
    }
    let (mean, std_dev) = moments(scored.iter().map(|(score, _)| *score), candidates.count());
    let best = best(scored, limit).into_iter().map(|(score, at)| {
        let sums = &all_sums[at.segment_ord as usize];
        let sentences = if lifts(width - 1) { sums.sentences(at.doc_id) } else { &[] };
        ScoredDocument { at, score, sentences: sentences.to_vec() }
    });
    let best = best.collect();
    let statistics = CollectionStatistics::new(terms, &documents, candidates, width);
    Ok(Scored { best, mean, std_dev, documents, statistics })
}

/// Returns the saturated frequency of all fields together.
pub(super) fn saturated(frequency: f32) -> f32 {
    frequency / (K1 + frequency)
}

/// Returns what finding a term so often in a field adds to its frequency.
pub(super) fn share(weight: f32, count: u32, length: u32, mean_length: f32) -> f32 {
    weight * count as f32 / (1.0 - B + B * length as f32 / mean_length.max(f32::MIN_POSITIVE))
}

/// Returns what a term that saturates adds to a score.
pub(super) fn weight(term: &QueryTerm, documents: u64, candidates: u64) -> f32 {
    let share = match term.form {
        Form::Stem => STEM_SHARE,
        Form::Raw => 1.0 - STEM_SHARE,
    };
    term.weight * share * idf(documents, candidates)
}

/// Returns mean and standard deviation of `scores` and as many zeros as make them `count`.
fn moments(scores: impl Iterator<Item = f32>, count: u64) -> (f32, f32) {
    let (sum, squares) = scores.fold((0.0_f64, 0.0_f64), |(sum, squares), score| {
        let score = f64::from(score);
        (sum + score, squares + score * score)
    });
    let count = count.max(1) as f64;
    let mean = sum / count;
    (mean as f32, (squares / count - mean * mean).max(0.0).sqrt() as f32)
}

fn best(mut scored: Vec<(f32, DocAddress)>, limit: usize) -> Vec<(f32, DocAddress)> {
    let best_first = |a: &(f32, DocAddress), b: &(f32, DocAddress)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if scored.len() > limit && limit > 0 {
        scored.select_nth_unstable_by(limit - 1, best_first);
    }
    scored.truncate(limit);
    scored.sort_unstable_by(best_first);
    scored
}

/// Accumulator of the frequency of one term after the other in one segment.
struct Frequencies {
    /// By document; all zero between two terms.
    sums: Vec<f32>,
    touched: Vec<DocId>,
}

impl Frequencies {
    fn new(max_doc: DocId) -> Self {
        Self { sums: vec![0.0; max_doc as usize], touched: Vec::new() }
    }

    /// Returns `tf(t,d)` of every candidate that holds the term.
    fn of(
        &mut self,
        ord: usize,
        readers: &Readers,
        candidates: &Candidates,
        term: &QueryTerm,
    ) -> tantivy::Result<Vec<(DocId, f32)>> {
        for (field, reader) in &readers.0 {
            let text = Term::from_field_text(*field, &term.text);
            let Some(mut postings) = reader.index.read_postings(&text, IndexRecordOption::WithFreqs)? else {
                continue;
            };
            while postings.doc() != TERMINATED {
                let doc = postings.doc();
                if candidates.admits(ord, doc) {
                    let length = reader.lengths.fieldnorm(doc);
                    let sum = &mut self.sums[doc as usize];
                    if *sum == 0.0 {
                        self.touched.push(doc);
                    }
                    *sum += share(reader.weight, postings.term_freq(), length, reader.mean_length);
                }
                postings.advance();
            }
        }
        let sums = &mut self.sums;
        Ok(self.touched.drain(..).map(|doc| (doc, std::mem::take(&mut sums[doc as usize]))).collect())
    }
}

/// Readers of the texts of one segment in one form. Opened once a search, not once a term.
struct Readers(Vec<(Field, FieldReader)>);

struct FieldReader {
    index: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
    mean_length: f32,
    weight: f32,
}

impl Readers {
    fn open(
        segment: &SegmentReader,
        fields: &Fields,
        candidates: &Candidates,
        form: Form,
    ) -> tantivy::Result<Self> {
        let (mean_lengths, fields) = (candidates.mean_lengths(form), fields.texts(form));
        let readers = fields.into_iter().zip(mean_lengths).zip(FIELD_WEIGHTS);
        let readers = readers.map(|((field, mean_length), weight)| {
            let (index, lengths) = (segment.inverted_index(field)?, segment.get_fieldnorms_reader(field)?);
            Ok((field, FieldReader { index, lengths, mean_length, weight }))
        });
        readers.collect::<tantivy::Result<_>>().map(Self)
    }
}

/// One sum a text for each document of a segment.
struct Sums {
    width: usize,
    /// Start of the sums of a document, plus one; 0 for none. The zeroed pages that nobody touches cost
    /// nothing.
    rows: Vec<u32>,
    docs: Vec<DocId>,
    cells: Vec<f32>,
}

impl Sums {
    fn new(max_doc: DocId, width: usize) -> Self {
        Self { width, rows: vec![0; max_doc as usize], docs: Vec::new(), cells: Vec::new() }
    }

    fn add(&mut self, doc: DocId, texts: u32, score: f32) {
        let row = &mut self.rows[doc as usize];
        if *row == 0 {
            self.docs.push(doc);
            self.cells.resize(self.cells.len() + self.width, 0.0);
            *row = u32::try_from(self.docs.len()).expect("a segment has less than 2^32 documents");
        }
        let begin = (*row as usize - 1) * self.width;
        for (bit, sum) in self.cells[begin..begin + self.width].iter_mut().enumerate() {
            if texts & (1 << bit) != 0 {
                *sum += score;
            }
        }
    }

    /// Returns the sums of a document's sentences; the whole comes before them.
    fn sentences(&self, doc: DocId) -> &[f32] {
        match self.rows[doc as usize] as usize {
            0 => &[],
            row => &self.cells[(row - 1) * self.width + 1..row * self.width],
        }
    }

    fn mixed(&self) -> impl Iterator<Item = (DocId, f32)> {
        self.docs.iter().zip(self.cells.chunks_exact(self.width)).map(|(doc, sums)| (*doc, mix(sums)))
    }
}
