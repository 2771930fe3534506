//! MPNet on padded batches: BERT, with what the distance of two tokens adds to attention. candle has no such
//! model.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::softmax_last_dim;
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear};

use super::distances::Distances;
use super::family::Shape;
use super::weights::DISTANCES;

pub(super) struct Mpnet {
    words: Embedding,
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
    /// Heads, tokens that see, tokens that are seen.
    distances: Tensor,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: usize,
}

impl Mpnet {
    /// Makes the model; `weights` have BERT's names.
    pub(super) fn new(weights: &VarBuilder<'_>, shape: &Shape) -> Result<Self> {
        let embeddings = weights.pp("embeddings");
        let positions = embeddings.get((shape.positions, shape.hidden), "position_embeddings.weight")?;
        let table = weights.get((shape.distance_buckets, shape.heads), DISTANCES)?.to_device(&Device::Cpu)?;
        Ok(Self {
            words: embedding(shape.vocabulary, shape.hidden, embeddings.pp("word_embeddings"))?,
            norm: layer_norm(shape.hidden, shape.epsilon, embeddings.pp("LayerNorm"))?,
            layers: (0..shape.layers)
                .map(|i| Layer::new(&weights.pp(format!("encoder.layer.{i}")), shape))
                .collect::<Result<_>>()?,
            distances: Distances::new(&table, shape.positions)?.tensor(&positions)?,
            positions,
        })
    }

    /// Computes the last hidden states; `ids` and `mask` are texts by tokens; `mask` is 0 where there is only
    /// padding, and 1 elsewhere.
    pub(super) fn forward(&self, ids: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let tokens = ids.dim(1)?;
        let positions = self.positions.narrow(0, 0, tokens)?;
        let mut x = self.norm.forward(&self.words.forward(ids)?.broadcast_add(&positions)?)?;
        // What each head adds to the scores of each text.
        let distances = self.distances.narrow(1, 0, tokens)?.narrow(2, 0, tokens)?;
        let padding = mask.affine(1e9, -1e9)?.unsqueeze(1)?.unsqueeze(1)?;
        let added = distances.broadcast_add(&padding)?;
        for layer in &self.layers {
            x = layer.forward(&x, &added)?;
        }
        Ok(x)
    }
}

impl Layer {
    fn new(weights: &VarBuilder<'_>, shape: &Shape) -> Result<Self> {
        let (hidden, wide) = (shape.hidden, shape.wide);
        let norm = |name: &str| layer_norm(hidden, shape.epsilon, weights.pp(name));
        Ok(Self {
            query: linear(hidden, hidden, weights.pp("attention.self.query"))?,
            key: linear(hidden, hidden, weights.pp("attention.self.key"))?,
            value: linear(hidden, hidden, weights.pp("attention.self.value"))?,
            attention_output: linear(hidden, hidden, weights.pp("attention.output.dense"))?,
            attention_norm: norm("attention.output.LayerNorm")?,
            intermediate: linear(hidden, wide, weights.pp("intermediate.dense"))?,
            output: linear(wide, hidden, weights.pp("output.dense"))?,
            output_norm: norm("output.LayerNorm")?,
            heads: shape.heads,
        })
    }

    fn forward(&self, x: &Tensor, added: &Tensor) -> Result<Tensor> {
        let (texts, tokens, hidden) = x.dims3()?;
        let size = hidden / self.heads;
        let by_heads = |linear: &Linear| {
            linear.forward(x)?.reshape((texts, tokens, self.heads, size))?.transpose(1, 2)?.contiguous()
        };
        #[expect(clippy::cast_precision_loss, reason = "a head is some dozen numbers wide")]
        let query = (by_heads(&self.query)? / (size as f64).sqrt())?;
        let scores = query.matmul(&by_heads(&self.key)?.t()?)?.broadcast_add(added)?;
        let seen = softmax_last_dim(&scores)?.matmul(&by_heads(&self.value)?)?;
        let seen = seen.transpose(1, 2)?.reshape((texts, tokens, hidden))?;
        let x = self.attention_norm.forward(&(self.attention_output.forward(&seen)? + x)?)?;
        let wide = self.intermediate.forward(&x)?.gelu_erf()?;
        self.output_norm.forward(&(self.output.forward(&wide)? + x)?)
    }
}
