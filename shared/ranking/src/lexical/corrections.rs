//! Spelling correction: a word that no candidate holds stands for the nearest ones that some do.

use std::collections::HashMap;

use tantivy::{
    DocSet as _, Searcher, TERMINATED, Term,
    query::FuzzyTermQuery,
    schema::{Field, IndexRecordOption},
};

use super::{candidates::Candidates, query_terms::QueryTerm, schema::Fields};
use crate::{
    parameters::{
        CORRECTED_MAX, CORRECTION_WEIGHT, CORRECTIONS_MAX, ONE_MISTAKE_CHARS_MIN, TWO_MISTAKES_CHARS_MIN,
    },
    text::{Form, stems::stem, terms::is_unspaced},
};

/// Adds the corrections of unknown words, in both forms, to the terms.
pub(super) fn add(
    searcher: &Searcher,
    fields: &Fields,
    candidates: &Candidates,
    terms: &mut Vec<QueryTerm>,
) -> tantivy::Result<()> {
    let [name, sentence, description, ..] = fields.texts(Form::Raw);
    let raw = [name, sentence, description];
    let mut unknown = Vec::new();
    for term in terms.iter().filter(|term| may_be_mistyped(term)) {
        if count_to(1, searcher, candidates, &raw, &term.text)? == 0 {
            unknown.push(term.clone());
        }
    }
    unknown.truncate(CORRECTED_MAX);
    for word in unknown {
        for correction in nearest(searcher, candidates, &raw, &word.text)? {
            let (texts, weight) = (word.texts, CORRECTION_WEIGHT);
            let stem = stem(&correction);
            for (text, form) in [(stem, Form::Stem), (correction, Form::Raw)] {
                match terms.iter_mut().find(|term| term.form == form && term.text == text) {
                    Some(term) => term.texts |= texts,
                    None => terms.push(QueryTerm { text, form, weight, texts }),
                }
            }
        }
    }
    Ok(())
}

/// Tells whether it is a word of letters only: numbers and keys have no nearest word.
fn may_be_mistyped(term: &QueryTerm) -> bool {
    term.form == Form::Raw
        && term.weight >= 1.0
        && term.text.chars().count() >= ONE_MISTAKE_CHARS_MIN
        && term.text.chars().all(|c| c.is_alphabetic() && !is_unspaced(c))
}

/// Returns the indexed words with the fewest mistakes between them and this one, the most frequent first.
fn nearest(
    searcher: &Searcher,
    candidates: &Candidates,
    fields: &[Field],
    word: &str,
) -> tantivy::Result<Vec<String>> {
    let mistakes_max = if word.chars().count() >= TWO_MISTAKES_CHARS_MIN { 2 } else { 1 };
    for mistakes in 1..=mistakes_max {
        let mut near: HashMap<String, u64> = HashMap::new();
        for field in fields {
            let query = FuzzyTermQuery::new(Term::from_field_text(*field, word), mistakes, true);
            for segment in searcher.segment_readers() {
                let index = segment.inverted_index(*field)?;
                let mut stream = index.terms().search(query.automaton()?).into_stream()?;
                while stream.advance() {
                    near.entry(String::from_utf8_lossy(stream.key()).into_owned()).or_insert(0);
                }
            }
        }
        for (word, count) in &mut near {
            *count = count_to(u64::MAX, searcher, candidates, fields, word)?;
        }
        let mut near: Vec<(u64, String)> =
            near.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| (count, word)).collect();
        if !near.is_empty() {
            near.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            near.truncate(CORRECTIONS_MAX);
            return Ok(near.into_iter().map(|(_, word)| word).collect());
        }
    }
    Ok(Vec::new())
}

/// Counts the candidates that hold a word, once a field, and no further than `enough`.
fn count_to(
    enough: u64,
    searcher: &Searcher,
    candidates: &Candidates,
    fields: &[Field],
    word: &str,
) -> tantivy::Result<u64> {
    let mut count = 0;
    for field in fields {
        let term = Term::from_field_text(*field, word);
        for (ord, segment) in searcher.segment_readers().iter().enumerate() {
            let index = segment.inverted_index(*field)?;
            let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            while postings.doc() != TERMINATED {
                count += u64::from(candidates.admits(ord, postings.doc()));
                if count >= enough {
                    return Ok(count);
                }
                postings.advance();
            }
        }
    }
    Ok(count)
}
