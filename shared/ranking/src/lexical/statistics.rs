//! Collection statistics of a search: enough to score one more tool as it scored its own, without its index.
//!
//! A cached answer is revalidated with them: would a tool that came later have stood in it? Adding one tool
//! changes idf and mean lengths too; here they stay those of the search.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tantivy::fieldnorm::FieldNormReader;
use toolweaver_contracts::Tool;

use super::{
    bm25f,
    candidates::{Candidates, MeanLengths},
    query_terms::QueryTerm,
    schema::FieldName,
};
use crate::{
    mix,
    parameters::FIELD_WEIGHTS,
    text::{Form, terms},
};

const FORMS: [Form; 2] = [Form::Stem, Form::Raw];

/// Term weights and mean lengths that a search scored its candidates with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectionStatistics {
    terms: Vec<WeightedTerm>,
    mean_lengths: MeanLengths,
    /// Number of texts that the request is: itself, and its sentences.
    texts: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WeightedTerm {
    text: String,
    form: Form,
    /// One bit a text; see [`QueryTerm::texts`].
    texts: u32,
    weight: f32,
}

/// Term frequencies and lengths of a tool's texts: all that the lexical score asks of it.
#[derive(Debug)]
pub struct TermFrequencies {
    /// By form and text.
    counts: HashMap<(Form, String), [u32; FieldName::ALL.len()]>,
    lengths: [[u32; FieldName::ALL.len()]; FORMS.len()],
}

impl CollectionStatistics {
    pub(super) fn new(terms: &[QueryTerm], documents: &[u64], candidates: &Candidates, texts: usize) -> Self {
        let weighted = terms.iter().zip(documents).map(|(term, documents)| WeightedTerm {
            text: term.text.clone(),
            form: term.form,
            texts: term.texts,
            weight: bm25f::weight(term, *documents, candidates.count()),
        });
        Self { terms: weighted.collect(), mean_lengths: *candidates.all_mean_lengths(), texts }
    }

    /// Returns the score of a tool; 0 for one that holds no term.
    pub fn score(&self, tool: &TermFrequencies) -> f32 {
        let mut sums = vec![0.0; self.texts];
        for term in &self.terms {
            let frequency = tool.frequency(&term.text, term.form, &self.mean_lengths);
            for (bit, sum) in sums.iter_mut().enumerate() {
                if term.texts & (1 << bit) != 0 {
                    *sum += term.weight * bm25f::saturated(frequency);
                }
            }
        }
        mix(&sums)
    }
}

impl TermFrequencies {
    /// Counts the terms of a tool.
    pub fn of(tool: &Tool) -> Self {
        let mut frequencies =
            Self { counts: HashMap::new(), lengths: <[[u32; FieldName::ALL.len()]; 2]>::default() };
        for (place, name) in FieldName::ALL.into_iter().enumerate() {
            let text = name.text(tool);
            for form in FORMS {
                let terms = terms(&text, form);
                // The index keeps lengths in one byte; what is compared with its scores must be as coarse.
                let length = u32::try_from(terms.len()).unwrap_or(u32::MAX);
                frequencies.lengths[form as usize][place] =
                    FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(length));
                for term in terms {
                    frequencies.counts.entry((form, term)).or_default()[place] += 1;
                }
            }
        }
        frequencies
    }

    fn frequency(&self, text: &str, form: Form, mean_lengths: &MeanLengths) -> f32 {
        let Some(counts) = self.counts.get(&(form, text.to_owned())) else { return 0.0 };
        let (lengths, mean_lengths) = (self.lengths[form as usize], mean_lengths[form as usize]);
        let fields = FIELD_WEIGHTS.into_iter().zip(*counts).zip(lengths.into_iter().zip(mean_lengths));
        fields
            .filter(|((_, count), _)| *count > 0)
            .map(|((weight, count), (length, mean_length))| bm25f::share(weight, count, length, mean_length))
            .sum()
    }
}
