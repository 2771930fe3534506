//! The families of models: what `config.json` says of each, in words that fit all of them.
//!
//! All are BERT with small differences. DistilBERT has no token types. RoBERTa counts positions from behind
//! the one of its padding. MPNet does both, and adds to attention what the distance of two tokens is worth
//! (`distances`). Their weights differ in name only (`weights`).

use std::num::NonZeroUsize;
use std::path::Path;

use candle_transformers::models::bert;
use serde::Deserialize;

use super::LoadError;
use super::file::parse;

/// A family, by its `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Family {
    Bert,
    DistilBert,
    Mpnet,
    /// XLM-RoBERTa differs from RoBERTa in its vocabulary alone.
    #[serde(alias = "xlm-roberta")]
    Roberta,
}

const FAMILIES: &str = "\"bert\", \"distilbert\", \"mpnet\", \"roberta\" or \"xlm-roberta\"";

/// The sizes of a model, and its differences from BERT.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) family: Family,
    pub(super) vocabulary: usize,
    /// Numbers of a token between two layers, which are also those of a vector.
    pub(super) hidden: usize,
    /// Numbers of a token inside a layer's second half.
    pub(super) wide: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Tokens of the longest text that can be read.
    pub(super) positions: usize,
    /// Rows of the table of positions that stand before the first token's.
    pub(super) positions_skipped: usize,
    /// Rows of the table of token types; zero without one.
    pub(super) token_types: usize,
    /// Kinds of distance between two tokens that attention tells apart; zero if it does not.
    pub(super) distance_buckets: usize,
    /// The token that shorter texts of a batch are filled up with.
    pub(super) padding: u32,
    pub(super) epsilon: f64,
}

/// `config.json`; DistilBERT has names of its own.
#[derive(Deserialize)]
struct Config {
    model_type: Family,
    vocab_size: usize,
    #[serde(alias = "dim")]
    hidden_size: usize,
    #[serde(alias = "hidden_dim")]
    intermediate_size: usize,
    #[serde(alias = "n_layers")]
    num_hidden_layers: usize,
    #[serde(alias = "n_heads")]
    num_attention_heads: usize,
    #[serde(alias = "activation")]
    hidden_act: String,
    max_position_embeddings: usize,
    position_embedding_type: Option<String>,
    type_vocab_size: Option<usize>,
    relative_attention_num_buckets: Option<usize>,
    pad_token_id: Option<u32>,
    layer_norm_eps: Option<f64>,
}

impl Shape {
    /// Reads the contents of `config.json`.
    pub(super) fn parse(file: &Path, json: &[u8]) -> Result<Self, LoadError> {
        #[derive(Deserialize)]
        struct Kind {
            model_type: String,
        }
        let unsupported = |found, supported| LoadError::unsupported(file, found, supported);
        // First the type: another family's configuration would only be reported as a field that is missing.
        let Kind { model_type } = parse(file, json)?;
        if serde_json::from_value::<Family>(model_type.as_str().into()).is_err() {
            return Err(unsupported(format!("model_type {model_type:?}"), FAMILIES));
        }
        let config: Config = parse(file, json)?;
        if config.hidden_act != "gelu" {
            return Err(unsupported(format!("the activation {:?}", config.hidden_act), "\"gelu\""));
        }
        if let Some(kind) = config.position_embedding_type.as_ref().filter(|kind| *kind != "absolute") {
            return Err(unsupported(format!("position_embedding_type {kind:?}"), "\"absolute\""));
        }
        Self::new(&config).map_err(|reason| LoadError::corrupt(file, reason))
    }

    fn new(config: &Config) -> Result<Self, &'static str> {
        let family = config.model_type;
        let padding = config.pad_token_id.unwrap_or(match family {
            Family::Bert | Family::DistilBert => 0,
            Family::Mpnet | Family::Roberta => 1,
        });
        let positions_skipped = match family {
            Family::Bert | Family::DistilBert => 0,
            // Its padding is numbered 1 whatever the configuration says.
            Family::Mpnet => 2,
            Family::Roberta => padding as usize + 1,
        };
        let positions = config
            .max_position_embeddings
            .checked_sub(positions_skipped)
            .filter(|positions| *positions > 0)
            .ok_or("max_position_embeddings leaves no position for a token")?;
        if config.hidden_size == 0 {
            return Err("hidden_size is 0");
        }
        if config.num_attention_heads == 0 || !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return Err("hidden_size is not a multiple of num_attention_heads");
        }
        let distance_buckets =
            if family == Family::Mpnet { config.relative_attention_num_buckets.unwrap_or(32) } else { 0 };
        if family == Family::Mpnet && distance_buckets < 4 {
            return Err("relative_attention_num_buckets is less than 4");
        }
        Ok(Self {
            family,
            vocabulary: config.vocab_size,
            hidden: config.hidden_size,
            wide: config.intermediate_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            positions,
            positions_skipped,
            token_types: match family {
                Family::Bert | Family::Roberta => config.type_vocab_size.unwrap_or(2),
                Family::DistilBert | Family::Mpnet => 0,
            },
            distance_buckets,
            padding,
            epsilon: config.layer_norm_eps.unwrap_or(1e-12),
        })
    }

    /// Returns the dimensions of a vector.
    pub(super) fn dimensions(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.hidden).expect("a configuration without any is refused")
    }

    /// Returns the configuration of candle's BERT, of weights under BERT's names (see `weights`).
    pub(super) fn as_bert(&self) -> bert::Config {
        bert::Config {
            vocab_size: self.vocabulary,
            hidden_size: self.hidden,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            intermediate_size: self.wide,
            max_position_embeddings: self.positions,
            type_vocab_size: self.token_types.max(1),
            layer_norm_eps: self.epsilon,
            ..bert::Config::default()
        }
    }
}
