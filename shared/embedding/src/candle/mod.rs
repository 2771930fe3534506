//! BERT-family sentence-transformers models on candle.
//!
//! `folder` reads and checks a model folder, `device` chooses where to compute, `padded` is the encoder for
//! GPUs. Pooling is the mean over a text's tokens, and vectors have length 1.

mod device;
mod folder;
mod padded;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use tokenizers::Tokenizer;

pub use self::folder::LoadError;
use self::{folder::Folder, padded::Padded};
use crate::{DeviceChoice, DeviceKind, Fingerprint, Model, ModelError, Tokens};

/// A model folder's weights, ready to compute.
pub struct Candle {
    fingerprint: Fingerprint,
    dimensions: usize,
    tokenizer: Arc<Tokenizer>,
    encoder: Padded,
}

impl Candle {
    /// Loads the folder `dir`. `threads` are those that compute on the CPU; by default one for each core.
    pub fn load(dir: &Path, device: DeviceChoice, threads: Option<NonZeroUsize>) -> Result<Self, LoadError> {
        let device = device::choose(device)?;
        let folder = Folder::read(dir)?;
        let encoder = Padded::new(folder.tensors, &folder.config, &device)
            .map_err(|source| LoadError::corrupt(&folder.weights_file, source))?;
        let _ = threads;
        Ok(Self {
            fingerprint: folder.fingerprint,
            dimensions: folder.config.hidden_size,
            tokenizer: Arc::new(folder.tokenizer),
            encoder,
        })
    }
}

impl Model for Candle {
    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn device(&self) -> DeviceKind {
        device::kind(self.encoder.device())
    }

    fn tokenize(&self, text: &str) -> Result<Tokens, ModelError> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(ModelError::Tokenize)?;
        Ok(Tokens::new(encoding.get_ids().to_vec()))
    }

    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.encoder.encode(batch).map_err(|error| {
            if device::is_out_of_memory(&error) {
                ModelError::OutOfMemory {
                    device: self.device(),
                    texts: batch.len(),
                    tokens_longest: batch.iter().map(Tokens::len).max().unwrap_or(0),
                }
            } else {
                ModelError::Compute(error.into())
            }
        })
    }

    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        Ok(None)
    }
}
