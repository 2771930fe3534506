//! Scoring one more tool as a search scored its own, without that search's index.
//!
//! Whoever remembers an answer asks with this whether a tool that came later would have stood in it. Adding one tool
//! changes idf and mean lengths too; here they stay those of the search.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tantivy::fieldnorm::FieldNormReader;
use toolweaver_contracts::Tool;

use super::{
    bm25f,
    candidates::{Candidates, MeanLengths},
    fields::FieldName,
    query::QueryTerm,
};
use crate::{
    projection::words::{self, Form},
    ranker::{FIELD_WEIGHTS, mix},
};

const FORMS: [Form; 2] = [Form::Stem, Form::Raw];

/// What a search scored its candidates with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    terms: Vec<WeighedTerm>,
    mean_lengths: MeanLengths,
    /// How many texts the request is: itself, and its parts.
    texts: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct WeighedTerm {
    text: String,
    form: Form,
    /// One bit a text; see [`QueryTerm::texts`].
    texts: u32,
    weight: f32,
}

/// How often a tool says what, and how long its texts are: all that the lexical score asks of it.
#[derive(Debug)]
pub(crate) struct Profile {
    /// By form and text.
    counts: HashMap<(Form, String), [u32; FieldName::ALL.len()]>,
    lengths: [[u32; FieldName::ALL.len()]; FORMS.len()],
}

impl Scale {
    pub(super) fn new(terms: &[QueryTerm], documents: &[u64], candidates: &Candidates, texts: usize) -> Self {
        let weighed = terms.iter().zip(documents).map(|(term, documents)| WeighedTerm {
            text: term.text.clone(),
            form: term.form,
            texts: term.texts,
            weight: bm25f::weight(term, *documents, candidates.count()),
        });
        Self { terms: weighed.collect(), mean_lengths: *candidates.all_mean_lengths(), texts }
    }

    /// The score of a tool; 0 for one that holds no term.
    pub(crate) fn score(&self, tool: &Profile) -> f32 {
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

impl Profile {
    pub(crate) fn of(tool: &Tool) -> Self {
        let mut profile =
            Self { counts: HashMap::new(), lengths: <[[u32; FieldName::ALL.len()]; 2]>::default() };
        for (place, name) in FieldName::ALL.into_iter().enumerate() {
            let text = name.text(tool);
            for form in FORMS {
                let terms = words::terms(&text, form);
                // The index keeps lengths in one byte; what is compared with its scores must be as coarse.
                let length = u32::try_from(terms.len()).unwrap_or(u32::MAX);
                profile.lengths[form as usize][place] =
                    FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(length));
                for term in terms {
                    profile.counts.entry((form, term)).or_default()[place] += 1;
                }
            }
        }
        profile
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
