//! The encoder for devices that want one rectangular batch: candle's own BERT, texts padded to the longest.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::BertModel;

use super::family::{Family, Shape};
use super::mpnet::Mpnet;
use super::pooling::Pooling;
use super::weights::as_bert;
use crate::Tokens;

pub(super) struct Padded {
    /// The tensors that `model` is made of, kept to make it again on another device.
    weights: HashMap<String, Tensor>,
    model: Transformer,
    pooling: Pooling,
    padding: u32,
    device: Device,
}

enum Transformer {
    Bert(BertModel),
    Mpnet(Mpnet),
}

impl Padded {
    /// Makes the encoder; `weights` are the contents of a safetensors file.
    pub(super) fn new(weights: &[u8], shape: &Shape, pooling: Pooling, device: &Device) -> Result<Self> {
        let weights = candle_core::safetensors::load_buffer(weights, device)?;
        let named = as_bert(&VarBuilder::from_tensors(weights.clone(), DType::F32, device), shape);
        let model = match shape.family {
            Family::Bert | Family::DistilBert | Family::Roberta => {
                Transformer::Bert(BertModel::load(named, &shape.as_bert())?)
            }
            Family::Mpnet => Transformer::Mpnet(Mpnet::new(&named, shape)?),
        };
        Ok(Self { weights, model, pooling, padding: shape.padding, device: device.clone() })
    }

    /// Returns the weights, copied back from the device.
    pub(super) fn weights_on_cpu(&self) -> Result<VarBuilder<'static>> {
        let copy = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.to_device(&Device::Cpu)?));
        let weights = self.weights.iter().map(copy).collect::<Result<_>>()?;
        Ok(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu))
    }

    pub(super) fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>> {
        let longest = batch.iter().map(Tokens::len).max().unwrap_or(0);
        let shape = (batch.len(), longest);
        let mut ids = Vec::with_capacity(batch.len() * longest);
        let mut mask = Vec::with_capacity(batch.len() * longest);
        for tokens in batch {
            let padding = longest - tokens.len();
            ids.extend(tokens.ids().iter().copied().chain(std::iter::repeat_n(self.padding, padding)));
            mask.extend(std::iter::repeat_n(1_f32, tokens.len()).chain(std::iter::repeat_n(0.0, padding)));
        }
        let ids = Tensor::from_vec(ids, shape, &self.device)?;
        let mask = Tensor::from_vec(mask, shape, &self.device)?;
        let hidden = match &self.model {
            Transformer::Bert(model) => model.forward(&ids, &ids.zeros_like()?, Some(&mask))?,
            Transformer::Mpnet(model) => model.forward(&ids, &mask)?,
        };
        self.pooling.of_padded(&hidden, &mask)
    }
}
