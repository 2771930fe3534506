//! Weights of every family under BERT's names, so that one encoder fits all of them.

use candle_core::{DType, Device, Result, Shape as Dimensions, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

use super::family::{Family, Shape};

/// The relative attention bias: one row for each bucket, one column for each head.
pub(super) const DISTANCES: &str = "encoder.relative_attention_bias.weight";
const WORDS: &str = "embeddings.word_embeddings.weight";
const POSITIONS: &str = "embeddings.position_embeddings.weight";
const TOKEN_TYPES: &str = "embeddings.token_type_embeddings.weight";

/// Returns `weights`, which have the family's own names, under BERT's.
///
/// Positions begin with the first token's, and a family without token types has a table of zeros.
pub(super) fn as_bert<'a>(weights: &VarBuilder<'a>, shape: &Shape) -> VarBuilder<'a> {
    let (dtype, device) = (weights.dtype(), weights.device().clone());
    // Some exports put the family's name in front of all others.
    let inner = weights.pp(prefix(shape.family));
    let weights = if inner.contains_tensor(WORDS) { inner } else { weights.clone() };
    let backend = AsBert {
        weights,
        family: shape.family,
        positions_skipped: shape.positions_skipped,
        has_token_types: shape.token_types > 0,
    };
    VarBuilder::from_backend(Box::new(backend), dtype, device)
}

fn prefix(family: Family) -> &'static str {
    match family {
        Family::Bert => "bert",
        Family::DistilBert => "distilbert",
        Family::Mpnet => "mpnet",
        Family::Roberta => "roberta",
    }
}

/// Parts of BERT's names, and what they are in the family. Applied one after the other.
fn renames(family: Family) -> &'static [(&'static str, &'static str)] {
    match family {
        Family::Bert | Family::Roberta => &[],
        Family::DistilBert => &[
            ("encoder.layer", "transformer.layer"),
            ("attention.self.query", "attention.q_lin"),
            ("attention.self.key", "attention.k_lin"),
            ("attention.self.value", "attention.v_lin"),
            ("attention.output.dense", "attention.out_lin"),
            ("attention.output.LayerNorm", "sa_layer_norm"),
            ("intermediate.dense", "ffn.lin1"),
            ("output.dense", "ffn.lin2"),
            ("output.LayerNorm", "output_layer_norm"),
        ],
        Family::Mpnet => &[
            ("attention.self.query", "attention.attn.q"),
            ("attention.self.key", "attention.attn.k"),
            ("attention.self.value", "attention.attn.v"),
            ("attention.output.dense", "attention.attn.o"),
            ("attention.output.LayerNorm", "attention.LayerNorm"),
        ],
    }
}

struct AsBert<'a> {
    weights: VarBuilder<'a>,
    family: Family,
    positions_skipped: usize,
    has_token_types: bool,
}

impl AsBert<'_> {
    /// Returns the name in the file.
    fn name(&self, bert: &str) -> String {
        let name =
            renames(self.family).iter().fold(bert.to_owned(), |name, (from, to)| name.replace(from, to));
        // Files converted from the first releases of BERT.
        let old =
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        if self.weights.contains_tensor(&old) { old } else { name }
    }
}

impl SimpleBackend for AsBert<'_> {
    fn get(
        &self,
        shape: Dimensions,
        name: &str,
        hint: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        match name {
            TOKEN_TYPES if !self.has_token_types => Tensor::zeros(shape, dtype, device),
            POSITIONS => {
                let (positions, hidden) = shape.dims2()?;
                let table = (positions + self.positions_skipped, hidden);
                let table = self.weights.get_with_hints_dtype(table, name, hint, dtype)?;
                // A copy: what is skipped is not kept, and the table begins where its memory does.
                table.narrow(0, self.positions_skipped, positions)?.force_contiguous()
            }
            _ => self.weights.get_with_hints_dtype(shape, &self.name(name), hint, dtype),
        }
    }

    fn get_unchecked(&self, name: &str, dtype: DType, _: &Device) -> Result<Tensor> {
        self.weights.get_unchecked_dtype(&self.name(name), dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        (name == TOKEN_TYPES && !self.has_token_types) || self.weights.contains_tensor(&self.name(name))
    }
}
