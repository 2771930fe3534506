//! The encoder for CPUs: every family, over texts of different lengths laid end to end.
//!
//! Nothing is padded or masked: linear layers see one long list of tokens, attention looks at one text at a
//! time. Threads share a batch by texts, never within a layer, so that a single query costs no
//! synchronisation.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Result;
use candle_nn::VarBuilder;

use super::distances::Distances;
use super::family::Shape;
use super::gemm::{Panels, Rows};
use super::pooling::Pooling;
use super::simd;
use super::weights::{DISTANCES, as_bert};
use crate::{Tokens, plan};

/// Tokens that go through the layers together: enough to make use of weights once they are in the cache, few
/// enough for what lies between two layers to stay there too.
const BLOCK_TOKENS_MAX: usize = 256;
/// Less is not worth a thread.
const BLOCK_TOKENS_MIN: usize = 64;

pub(super) struct Ragged {
    words: Vec<f32>,
    positions: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    distances: Option<Distances>,
    pooling: Pooling,
    hidden: usize,
    heads: usize,
    threads: usize,
}

struct Layer {
    /// Queries, keys and values in one product; the queries already divided by the root of the head's size.
    query_key_value: Panels,
    attention_output: Panels,
    attention_norm: Norm,
    intermediate: Panels,
    output: Panels,
    output_norm: Norm,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Ragged {
    /// Makes the encoder; `weights` lie on the CPU, under the family's own names.
    pub(super) fn new(
        weights: &VarBuilder<'_>,
        shape: &Shape,
        pooling: Pooling,
        threads: usize,
    ) -> Result<Self> {
        let weights = as_bert(weights, shape);
        let hidden = shape.hidden;
        let embeddings = weights.pp("embeddings");
        let table = |name: &str, rows: usize| vector(&embeddings, &format!("{name}.weight"), &[rows, hidden]);
        // Only single texts are embedded: every token is of the first type.
        let token_type = table("token_type_embeddings", shape.token_types.max(1))?;
        let mut positions = table("position_embeddings", shape.positions)?;
        for position in positions.chunks_exact_mut(hidden) {
            add(position, &token_type[..hidden]);
        }
        let layers = (0..shape.layers)
            .map(|i| Layer::new(&weights.pp(format!("encoder.layer.{i}")), shape))
            .collect::<Result<_>>()?;
        let distances = match shape.distance_buckets {
            0 => None,
            buckets => {
                Some(Distances::new(&weights.get((buckets, shape.heads), DISTANCES)?, shape.positions)?)
            }
        };
        Ok(Self {
            words: table("word_embeddings", shape.vocabulary)?,
            positions,
            norm: Norm::new(&embeddings, shape)?,
            layers,
            distances,
            pooling,
            hidden,
            heads: shape.heads,
            threads,
        })
    }

    pub(super) fn encode(&self, batch: &[Tokens]) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = batch.iter().map(Tokens::len).collect();
        let share = lengths.iter().sum::<usize>().div_ceil(self.threads);
        let blocks = plan(&lengths, share.clamp(BLOCK_TOKENS_MIN, BLOCK_TOKENS_MAX));
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push((block.start, self.encode_block(&batch[block.clone()])));
            }
            done
        };
        let mut done = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..self.threads.min(blocks.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for helper in helpers {
                done.extend(helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|(start, _)| *start);
        done.into_iter().flat_map(|(_, vectors)| vectors).collect()
    }

    fn encode_block(&self, texts: &[Tokens]) -> Vec<Vec<f32>> {
        let hidden = self.hidden;
        let mut texts_at = Vec::with_capacity(texts.len());
        let mut x = Vec::new();
        let mut y = Vec::new();
        for text in texts {
            let start = x.len() / hidden;
            for (position, &id) in text.ids().iter().enumerate() {
                x.extend_from_slice(&self.words[id as usize * hidden..][..hidden]);
                y.extend_from_slice(&self.positions[position * hidden..][..hidden]);
            }
            texts_at.push(start..start + text.len());
        }
        self.norm.add(&mut x, &y);

        let mut attended = vec![0.0; x.len()];
        for layer in &self.layers {
            self.attend(&layer.query_key_value.apply(&x), &texts_at, &mut attended);
            layer.attention_norm.add(&mut x, &layer.attention_output.apply(&attended));
            let mut wide = layer.intermediate.apply(&x);
            simd::gelu(&mut wide);
            layer.output_norm.add(&mut x, &layer.output.apply(&wide));
        }
        texts_at
            .into_iter()
            .map(|text| self.pooling.of_tokens(&x[text.start * hidden..text.end * hidden], hidden))
            .collect()
    }

    /// Writes to `out` what each token sees of its own text.
    fn attend(&self, query_key_value: &[f32], texts_at: &[Range<usize>], out: &mut [f32]) {
        let (hidden, stride) = (self.hidden, 3 * self.hidden);
        let size = hidden / self.heads;
        let (mut keys, mut values, mut scores) = (Panels::default(), Panels::default(), Vec::new());
        for text in texts_at {
            let tokens = text.len();
            let rows = &query_key_value[text.start * stride..];
            scores.resize(tokens * tokens, 0.0);
            for (head_number, head) in (0..hidden).step_by(size).enumerate() {
                keys.fill(size, tokens, |i, token| rows[token * stride + hidden + head + i]);
                values.fill(tokens, size, |token, i| rows[token * stride + 2 * hidden + head + i]);
                keys.multiply(Rows { data: &rows[head..], stride, count: tokens }, &mut scores, tokens);
                if let Some(distances) = &self.distances {
                    for (position, scores) in scores.chunks_exact_mut(tokens).take(tokens).enumerate() {
                        add(scores, distances.seen_from(head_number, position, tokens));
                    }
                }
                simd::softmax(&mut scores[..tokens * tokens], tokens);
                let scores = Rows { data: &scores, stride: tokens, count: tokens };
                values.multiply(scores, &mut out[text.start * hidden + head..], hidden);
            }
        }
    }
}

impl Layer {
    fn new(weights: &VarBuilder<'_>, shape: &Shape) -> Result<Self> {
        let (hidden, wide) = (shape.hidden, shape.wide);
        let dense = |name: &str, inputs: usize, outputs: usize| -> Result<(Vec<f32>, Vec<f32>)> {
            let weights = weights.pp(name);
            Ok((vector(&weights, "weight", &[outputs, inputs])?, vector(&weights, "bias", &[outputs])?))
        };
        let panels = |(weight, bias): (Vec<f32>, Vec<f32>)| Panels::of_linear(&weight, &bias);

        let (mut weight, mut bias) = dense("attention.self.query", hidden, hidden)?;
        #[expect(clippy::cast_precision_loss, reason = "a head is some dozen numbers wide")]
        let scale = 1.0 / ((hidden / shape.heads) as f32).sqrt();
        for x in weight.iter_mut().chain(&mut bias) {
            *x *= scale;
        }
        for name in ["attention.self.key", "attention.self.value"] {
            let (more_weight, more_bias) = dense(name, hidden, hidden)?;
            weight.extend(more_weight);
            bias.extend(more_bias);
        }
        Ok(Self {
            query_key_value: panels((weight, bias)),
            attention_output: panels(dense("attention.output.dense", hidden, hidden)?),
            attention_norm: Norm::new(&weights.pp("attention.output"), shape)?,
            intermediate: panels(dense("intermediate.dense", hidden, wide)?),
            output: panels(dense("output.dense", wide, hidden)?),
            output_norm: Norm::new(&weights.pp("output"), shape)?,
        })
    }
}

impl Norm {
    fn new(weights: &VarBuilder<'_>, shape: &Shape) -> Result<Self> {
        let weights = weights.pp("LayerNorm");
        let dimensions = [shape.hidden];
        #[expect(clippy::cast_possible_truncation, reason = "all computation is in f32")]
        let epsilon = shape.epsilon as f32;
        Ok(Self {
            weight: vector(&weights, "weight", &dimensions)?,
            bias: vector(&weights, "bias", &dimensions)?,
            epsilon,
        })
    }

    /// Adds `y` to `x` and normalises the sum.
    fn add(&self, x: &mut [f32], y: &[f32]) {
        simd::add_and_normalise(x, y, &self.weight, &self.bias, self.epsilon);
    }
}

fn vector(weights: &VarBuilder<'_>, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    weights.get(shape, name)?.flatten_all()?.to_vec1()
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
