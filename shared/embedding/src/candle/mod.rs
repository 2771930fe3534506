//! BERT-family sentence-transformers models on candle.
//!
//! `folder` reads and checks a model folder, `device` chooses where to compute. There are two encoders: `padded`
//! is candle's own model, for GPUs; `ragged` is for CPUs, where it takes less than half the time of candle's
//! (`matrix` and `lanes` are its arithmetic). Pooling is the mean over a text's tokens, and vectors have length 1.

mod device;
mod folder;
mod lanes;
mod matrix;
mod padded;
mod ragged;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use candle_transformers::models::bert;
use tokenizers::Tokenizer;

pub use self::folder::LoadError;
use self::{folder::Folder, padded::Padded, ragged::Ragged};
use crate::{DeviceChoice, DeviceKind, Fingerprint, Model, ModelError, Tokens};

/// A model folder's weights, ready to compute.
pub struct Candle {
    shared: Arc<Shared>,
    encoder: Encoder,
}

/// What is the same on every device.
struct Shared {
    fingerprint: Fingerprint,
    config: bert::Config,
    tokenizer: Tokenizer,
    /// Threads that compute on the CPU.
    threads: usize,
}

enum Encoder {
    Cpu(Ragged),
    Cuda(Padded),
}

impl Candle {
    /// Loads the folder `dir`. `threads` are those that compute on the CPU; by default one for each core.
    pub fn load(dir: &Path, device: DeviceChoice, threads: Option<NonZeroUsize>) -> Result<Self, LoadError> {
        let device = device::choose(device)?;
        let Folder { fingerprint, config, tokenizer, tensors, weights_file } = Folder::read(dir)?;
        let threads =
            threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let encoder = if device.is_cuda() {
            Padded::new(tensors, &config, &device).map(Encoder::Cuda)
        } else {
            Ragged::new(tensors, &config, threads).map(Encoder::Cpu)
        };
        let encoder = encoder.map_err(|source| LoadError::corrupt(&weights_file, source))?;
        Ok(Self { shared: Arc::new(Shared { fingerprint, config, tokenizer, threads }), encoder })
    }
}

impl Model for Candle {
    fn fingerprint(&self) -> &Fingerprint {
        &self.shared.fingerprint
    }

    fn dimensions(&self) -> usize {
        self.shared.config.hidden_size
    }

    fn device(&self) -> DeviceKind {
        match self.encoder {
            Encoder::Cpu(_) => DeviceKind::Cpu,
            Encoder::Cuda(_) => DeviceKind::Cuda,
        }
    }

    fn tokenize(&self, text: &str) -> Result<Tokens, ModelError> {
        let encoding = self.shared.tokenizer.encode_fast(text, true).map_err(ModelError::Tokenize)?;
        Ok(Tokens::new(encoding.get_ids().to_vec()))
    }

    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        match &self.encoder {
            Encoder::Cpu(ragged) => Ok(ragged.encode(batch)),
            Encoder::Cuda(padded) => padded.encode(batch).map_err(|error| {
                if device::is_out_of_memory(&error) {
                    ModelError::OutOfMemory {
                        device: self.device(),
                        texts: batch.len(),
                        tokens_longest: batch.iter().map(Tokens::len).max().unwrap_or(0),
                    }
                } else {
                    ModelError::Compute(error.into())
                }
            }),
        }
    }

    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        let Encoder::Cuda(padded) = &self.encoder else { return Ok(None) };
        let ragged = padded
            .weights_on_cpu()
            .and_then(|weights| Ragged::new(weights, &self.shared.config, self.shared.threads))
            .map_err(|source| ModelError::MoveToCpu(source.into()))?;
        Ok(Some(Arc::new(Self { shared: Arc::clone(&self.shared), encoder: Encoder::Cpu(ragged) })))
    }
}
