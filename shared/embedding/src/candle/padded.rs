//! The encoder for devices that want one rectangular batch: candle's own BERT, texts padded to the longest.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};

use super::encoder_of;
use crate::Tokens;

pub(super) struct Padded {
    /// What `model` is made of, kept to make it again on another device.
    weights: HashMap<String, Tensor>,
    model: BertModel,
    padding: u32,
}

impl Padded {
    /// `weights` are the contents of a safetensors file.
    pub(super) fn new(weights: &[u8], config: &Config, device: &Device) -> Result<Self> {
        let weights = candle_core::safetensors::load_buffer(weights, device)?;
        let model = BertModel::load(
            encoder_of(&VarBuilder::from_tensors(weights.clone(), DType::F32, device)),
            config,
        )?;
        Ok(Self { weights, model, padding: u32::try_from(config.pad_token_id).unwrap_or(0) })
    }

    /// The weights, copied back from the device.
    pub(super) fn weights_on_cpu(&self) -> Result<VarBuilder<'static>> {
        let copy = |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.to_device(&Device::Cpu)?));
        let weights = self.weights.iter().map(copy).collect::<Result<_>>()?;
        Ok(VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu))
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
