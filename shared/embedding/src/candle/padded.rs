//! The encoder for devices that want one rectangular batch: candle's own BERT, texts padded to the longest.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use crate::Tokens;

pub(super) struct Padded {
    /// What `model` is made of, kept to make it again on another device.
    weights: HashMap<String, Tensor>,
    model: BertModel,
    padding: u32,
}

impl Padded {
    pub(super) fn new(tensors: HashMap<String, Tensor>, config: &Config, device: &Device) -> Result<Self> {
        let weights = on(tensors, device)?;
        let builder = VarBuilder::from_tensors(weights.clone(), DType::F32, device);
        let model = BertModel::load(builder, config)?;
        Ok(Self { weights, model, padding: u32::try_from(config.pad_token_id).unwrap_or(0) })
    }

    /// The weights, copied back to the CPU.
    pub(super) fn weights_on_cpu(&self) -> Result<HashMap<String, Tensor>> {
        on(self.weights.clone(), &Device::Cpu)
    }

    pub(super) fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>> {
        let device = &self.model.device;
        let longest = batch.iter().map(Tokens::len).max().unwrap_or(0);
        let shape = (batch.len(), longest);
        let mut ids = Vec::with_capacity(batch.len() * longest);
        let mut mask = Vec::with_capacity(batch.len() * longest);
        for tokens in batch {
            let padding = longest - tokens.len();
            ids.extend(tokens.ids().iter().copied().chain(std::iter::repeat_n(self.padding, padding)));
            mask.extend(std::iter::repeat_n(1_f32, tokens.len()).chain(std::iter::repeat_n(0.0, padding)));
        }
        let ids = Tensor::from_vec(ids, shape, device)?;
        let mask = Tensor::from_vec(mask, shape, device)?;

        let hidden = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let sums = hidden.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)?;
        // The mean's divisor drops out of a vector of length 1.
        let lengths = sums.sqr()?.sum_keepdim(1)?.sqrt()?;
        sums.broadcast_div(&lengths)?.to_vec2()
    }
}

fn on(tensors: HashMap<String, Tensor>, device: &Device) -> Result<HashMap<String, Tensor>> {
    tensors.into_iter().map(|(name, tensor)| Ok((name, tensor.to_device(device)?))).collect()
}
