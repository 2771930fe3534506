//! Schema of the lexical index: the fields of a tool and their analysers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tantivy::{
    DocAddress, Index, Searcher, TantivyDocument,
    columnar::Column,
    schema::{
        FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, SchemaBuilder, TextFieldIndexing,
        TextOptions,
    },
};
use toolweaver_contracts::{Tool, ToolKey};
use uuid::Uuid;

use crate::{
    query::name_mentions::normalised,
    text::{Form, terms::Words, trigrams::trigrams},
};

/// Names of our analysers. Not `raw`: that is what tantivy itself calls the one of labels, and ours would
/// replace it.
const STEM_ANALYZER: &str = "words_stem";
const RAW_ANALYZER: &str = "words_raw";

/// The label of a tool that everyone may see. Labels of roles begin with `=`, so none can pass for it.
pub(super) const EVERYONE: &str = "*";

/// Name of a text field of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldName {
    /// The tool's name.
    Name,
    /// The first sentence of its description.
    FirstSentence,
    /// The rest of its description.
    Description,
    /// The names of its parameters, nested ones too.
    ParameterNames,
    /// Their descriptions and the values they may have.
    ParameterDescriptions,
    /// Its tags.
    Tags,
    /// Requests that it serves.
    Examples,
}

impl FieldName {
    /// All, in the order of [`Fields::texts`].
    pub const ALL: [Self; 7] = [
        Self::Name,
        Self::FirstSentence,
        Self::Description,
        Self::ParameterNames,
        Self::ParameterDescriptions,
        Self::Tags,
        Self::Examples,
    ];

    /// Returns its name in explanations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::FirstSentence => "first_sentence",
            Self::Description => "description",
            Self::ParameterNames => "parameter_names",
            Self::ParameterDescriptions => "parameter_descriptions",
            Self::Tags => "tags",
            Self::Examples => "examples",
        }
    }

    /// Returns the text of a tool in this field.
    pub fn text(self, tool: &Tool) -> String {
        match self {
            Self::Name => tool.tool_name.as_str().to_owned(),
            Self::FirstSentence => first_sentence(&tool.description).0.to_owned(),
            Self::Description => first_sentence(&tool.description).1.to_owned(),
            Self::ParameterNames => parameters(&tool.parameters)
                .into_iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            Self::ParameterDescriptions => parameters(&tool.parameters)
                .into_iter()
                .flat_map(|(_, schema)| described(schema))
                .collect::<Vec<_>>()
                .join("\n"),
            Self::Tags => tool.tags.join(" "),
            Self::Examples => tool.examples.join("\n"),
        }
    }
}

/// Handles of every field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) point: Field,
    point_high: Field,
    point_low: Field,
    pub(super) tenant: Field,
    pub(super) domain: Field,
    pub(super) tool_type: Field,
    pub(super) tag: Field,
    pub(super) role: Field,
    /// Trigrams of the normalised name.
    pub(super) name_trigrams: Field,
    /// The two forms of each text, in the order of [`FieldName::ALL`].
    texts: [Forms; FieldName::ALL.len()],
}

#[derive(Debug, Clone, Copy)]
struct Forms {
    stem: Field,
    raw: Field,
}

impl Fields {
    /// Returns the field of each text in one form, in the order of [`FieldName::ALL`].
    pub(super) fn texts(&self, form: Form) -> [Field; FieldName::ALL.len()] {
        self.texts.map(|forms| match form {
            Form::Stem => forms.stem,
            Form::Raw => forms.raw,
        })
    }
}

pub(super) fn register_analyzers(index: &Index) {
    index.tokenizers().register(STEM_ANALYZER, Words(Form::Stem));
    index.tokenizers().register(RAW_ANALYZER, Words(Form::Raw));
}

pub(super) fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let texts = FieldName::ALL.map(|name| Forms {
        stem: text(&mut builder, &format!("{}_stem", name.as_str()), STEM_ANALYZER),
        raw: text(&mut builder, &format!("{}_raw", name.as_str()), RAW_ANALYZER),
    });
    let fields = Fields {
        texts,
        point: builder.add_bytes_field("point", INDEXED),
        point_high: builder.add_u64_field("point_high", FAST),
        point_low: builder.add_u64_field("point_low", FAST),
        tenant: builder.add_text_field("tenant", STRING),
        domain: builder.add_text_field("domain", STRING),
        tool_type: builder.add_text_field("tool_type", STRING),
        tag: builder.add_text_field("tag", STRING),
        role: builder.add_text_field("role", STRING),
        name_trigrams: builder.add_text_field("name_trigrams", STRING),
    };
    (builder.build(), fields)
}

fn text(builder: &mut SchemaBuilder, name: &str, analyzer: &str) -> Field {
    let indexing =
        TextFieldIndexing::default().set_tokenizer(analyzer).set_index_option(IndexRecordOption::WithFreqs);
    builder.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
}

pub(super) fn document(fields: &Fields, key: &ToolKey, tool: &Tool) -> TantivyDocument {
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
    for trigram in trigrams(&normalised(tool.tool_name.as_str())) {
        document.add_text(fields.name_trigrams, trigram);
    }
    for (name, forms) in FieldName::ALL.into_iter().zip(fields.texts) {
        let text = name.text(tool);
        if !text.is_empty() {
            document.add_text(forms.stem, &text);
            document.add_text(forms.raw, &text);
        }
    }
    document
}

pub(super) fn role_label(role: &str) -> String {
    format!("={role}")
}

/// Returns name and schema of each parameter, those inside others too.
fn parameters(schema: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut found = Vec::new();
    let mut open = vec![schema];
    while let Some(schema) = open.pop() {
        let inner = schema.get("properties").and_then(Value::as_object);
        found.extend(inner.into_iter().flatten());
        open.extend(inner.into_iter().flatten().filter_map(|(_, inner)| inner.as_object()));
        open.extend(schema.get("items").and_then(Value::as_object));
    }
    found
}

/// Returns the description of a parameter, and the values that it may have.
fn described(schema: &Value) -> impl Iterator<Item = &str> {
    let values = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    schema.get("description").into_iter().chain(values).filter_map(Value::as_str)
}

/// Splits a description into its first sentence and the rest.
fn first_sentence(description: &str) -> (&str, &str) {
    let text = description.trim();
    let ends =
        text.char_indices().zip(text.chars().skip(1).map(Some).chain([None])).find(|((at, c), next)| {
            // A dot after a single letter is an abbreviation: e.g. this one.
            let is_abbreviation =
                *c == '.' && text[..*at].chars().rev().take(2).any(|c| c == '.' || c.is_whitespace());
            match c {
                '\n' | '。' | '！' | '？' => true,
                '.' | '!' | '?' => next.is_none_or(char::is_whitespace) && !is_abbreviation,
                _ => false,
            }
        });
    ends.map_or((text, ""), |((at, c), _)| text.split_at(at + c.len_utf8()))
}

/// Point ids of all documents of a snapshot.
pub(super) struct PointIds(Vec<(Column<u64>, Column<u64>)>);

impl PointIds {
    pub(super) fn open(searcher: &Searcher) -> tantivy::Result<Self> {
        let halves = searcher.segment_readers().iter().map(|segment| {
            Ok((segment.fast_fields().u64("point_high")?, segment.fast_fields().u64("point_low")?))
        });
        halves.collect::<tantivy::Result<_>>().map(Self)
    }

    pub(super) fn of(&self, at: DocAddress) -> Option<Uuid> {
        let (high, low) = &self.0[at.segment_ord as usize];
        Some(Uuid::from_u64_pair(high.first(at.doc_id)?, low.first(at.doc_id)?))
    }
}
