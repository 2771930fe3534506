//! BERT-family sentence-transformers models on candle.
//!
//! `folder` reads and checks a model folder, `device` chooses where to compute. There are two encoders: `padded`
//! is candle's own model, for GPUs; `ragged` is for CPUs, where it takes about half the time of candle's
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

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
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
        let threads =
            threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let folder = Folder::read(dir)?;
        // Three slow things at once.
        let (fingerprint, tokenizer, encoder) = std::thread::scope(|scope| {
            let fingerprint = scope.spawn(|| folder.fingerprint());
            let tokenizer = scope.spawn(|| folder.tokenizer());
            let encoder = Encoder::new(&folder, device, threads);
            let fingerprint = fingerprint.join().expect("hashing cannot panic");
            (fingerprint, tokenizer.join().expect("the tokenizer reports its errors"), encoder)
        });
        let shared = Shared { fingerprint, config: folder.config, tokenizer: tokenizer?, threads };
        Ok(Self { shared: Arc::new(shared), encoder: encoder? })
    }
}

impl Encoder {
    fn new(folder: &Folder, choice: DeviceChoice, threads: usize) -> Result<Self, LoadError> {
        let device = device::choose(choice)?;
        let on_gpu = device.is_cuda().then(|| Padded::new(&folder.weights, &folder.config, &device));
        let failed = match on_gpu {
            Some(Ok(padded)) => return Ok(Self::Cuda(padded)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        let ragged = VarBuilder::from_slice_safetensors(&folder.weights, DType::F32, &Device::Cpu)
            .and_then(|weights| Ragged::new(&weights, &folder.config, threads))
            .map_err(|source| LoadError::corrupt(&folder.weights_file, source))?;
        // The weights are sound, so it was the GPU: another process may have filled its memory.
        match failed {
            Some(source) if choice == DeviceChoice::Cuda => {
                return Err(LoadError::Device { device: DeviceKind::Cuda, source: source.into() });
            }
            Some(error) => {
                tracing::warn!(%error, "the model cannot be set up on the GPU: embedding on the cpu");
            }
            None => {}
        }
        Ok(Self::Cpu(ragged))
    }
}

/// The encoder's weights: some exports put `bert.` in front of their names.
fn encoder_of<'a>(weights: &VarBuilder<'a>) -> VarBuilder<'a> {
    let inner = weights.pp("bert");
    if inner.contains_tensor("embeddings.word_embeddings.weight") { inner } else { weights.clone() }
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
            .and_then(|weights| Ragged::new(&weights, &self.shared.config, self.shared.threads))
            .map_err(|source| ModelError::MoveToCpu(source.into()))?;
        Ok(Some(Arc::new(Self { shared: Arc::clone(&self.shared), encoder: Encoder::Cpu(ragged) })))
    }
}

#[cfg(test)]
mod tests {
    use toolweaver_testkit::parts;

    use super::*;

    #[test]
    fn both_encoders_agree() {
        let folder = Folder::read(&parts::model_dir()).unwrap();
        let tokenizer = folder.tokenizer().unwrap();
        // Of all lengths, so that one of them is padded most and one not at all.
        let batch: Vec<Tokens> = (0..6)
            .map(|i| "open a pull request, ".repeat(i * i))
            .map(|text| Tokens::new(tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec()))
            .collect();
        let padded = Padded::new(&folder.weights, &folder.config, &Device::Cpu).unwrap();
        let ragged = Ragged::new(&padded.weights_on_cpu().unwrap(), &folder.config, 2).unwrap();
        for (ours, candles) in ragged.encode(&batch).iter().zip(padded.encode(&batch).unwrap()) {
            let cosine: f32 = ours.iter().zip(&candles).map(|(x, y)| x * y).sum();
            assert!(cosine > 0.999_99, "{cosine}");
        }
    }
}
