//! BERT-family sentence-transformers models on candle.
//!
//! What is read: `folder` takes a model folder together, `family` understands `config.json` (BERT,
//! DistilBERT, MPNet, RoBERTa and XLM-RoBERTa), `sentence` the files of sentence-transformers (pooling,
//! length, prefixes), and `weights` gives all weights BERT's names.
//!
//! What computes: `device` chooses where. There are two encoders: `padded` is candle's own BERT, for GPUs,
//! and beside it `mpnet`, which candle does not have; `ragged` is for CPUs, where it takes about half the
//! time of candle's (`gemm` and `simd` are its arithmetic). `pooling` makes a text's tokens one vector,
//! always of length 1, whether the folder asks for that or not: all that is compared are directions.

mod device;
mod distances;
mod error;
mod family;
mod file;
mod folder;
mod gemm;
mod mpnet;
mod padded;
mod pooling;
mod ragged;
mod sentence;
mod simd;
mod weights;

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use tokenizers::Tokenizer;

pub use self::error::LoadError;
use self::{family::Shape, folder::Folder, padded::Padded, pooling::Pooling, ragged::Ragged};
use crate::{DeviceChoice, DeviceKind, Fingerprint, Model, ModelError, Prefixes, Role, Tokens};

/// A model folder's weights, ready to compute.
pub struct Candle {
    shared: Arc<Shared>,
    encoder: Encoder,
}

/// The state that is the same on every device.
struct Shared {
    fingerprint: Fingerprint,
    shape: Shape,
    pooling: Pooling,
    prefixes: Prefixes,
    lower_case: bool,
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
    /// `prefixes` go before those that the folder names.
    pub fn load(
        dir: &Path,
        device: DeviceChoice,
        threads: Option<NonZeroUsize>,
        prefixes: &Prefixes,
    ) -> Result<Self, LoadError> {
        let threads =
            threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        let folder = Folder::read(dir, prefixes)?;
        // Three slow things at once.
        let (fingerprint, tokenizer, encoder) = std::thread::scope(|scope| {
            let fingerprint = scope.spawn(|| folder.fingerprint());
            let tokenizer = scope.spawn(|| folder.tokenizer());
            let encoder = Encoder::new(&folder, device, threads);
            let fingerprint = fingerprint.join().expect("hashing cannot panic");
            (fingerprint, tokenizer.join().expect("the tokenizer reports its errors"), encoder)
        });
        let shared = Shared {
            fingerprint,
            shape: folder.shape,
            pooling: folder.pooling,
            prefixes: folder.prefixes,
            lower_case: folder.lower_case,
            tokenizer: tokenizer?,
            threads,
        };
        Ok(Self { shared: Arc::new(shared), encoder: encoder? })
    }
}

impl Encoder {
    fn new(folder: &Folder, choice: DeviceChoice, threads: usize) -> Result<Self, LoadError> {
        let device = device::choose(choice)?;
        let (shape, pooling) = (&folder.shape, folder.pooling);
        let on_gpu = device.is_cuda().then(|| Padded::new(&folder.weights, shape, pooling, &device));
        let failed = match on_gpu {
            Some(Ok(padded)) => return Ok(Self::Cuda(padded)),
            Some(Err(error)) => Some(error),
            None => None,
        };
        let ragged = VarBuilder::from_slice_safetensors(&folder.weights, DType::F32, &Device::Cpu)
            .and_then(|weights| Ragged::new(&weights, shape, pooling, threads))
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

impl Model for Candle {
    fn fingerprint(&self) -> &Fingerprint {
        &self.shared.fingerprint
    }

    fn dimensions(&self) -> NonZeroUsize {
        self.shared.shape.dimensions()
    }

    fn device(&self) -> DeviceKind {
        match self.encoder {
            Encoder::Cpu(_) => DeviceKind::Cpu,
            Encoder::Cuda(_) => DeviceKind::Cuda,
        }
    }

    fn tokenize(&self, role: Role, text: &str) -> Result<Tokens, ModelError> {
        let mut text = Cow::Borrowed(text);
        let prefix = self.shared.prefixes.of(role);
        if !prefix.is_empty() {
            text = format!("{prefix}{text}").into();
        }
        if self.shared.lower_case {
            text = text.to_lowercase().into();
        }
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
            .and_then(|weights| {
                Ragged::new(&weights, &self.shared.shape, self.shared.pooling, self.shared.threads)
            })
            .map_err(|source| ModelError::MoveToCpu(source.into()))?;
        Ok(Some(Arc::new(Self { shared: Arc::clone(&self.shared), encoder: Encoder::Cpu(ragged) })))
    }
}

#[cfg(test)]
mod tests {
    use toolweaver_testkit::parts;

    use super::*;

    /// Returns the real model, and the tiny ones of every family.
    fn folders() -> Vec<Folder> {
        let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/families");
        let tiny = std::fs::read_dir(families).unwrap().map(|entry| entry.unwrap().path());
        let mut dirs: Vec<_> = tiny.collect();
        assert_eq!(dirs.len(), 4);
        dirs.push(parts::model_dir());
        dirs.iter().map(|dir| Folder::read(dir, &Prefixes::default()).unwrap()).collect()
    }

    #[test]
    fn both_encoders_agree() {
        for folder in folders() {
            let tokenizer = folder.tokenizer().unwrap();
            // Of all lengths, so that one of them is padded most and one not at all.
            let batch: Vec<Tokens> = (0..6)
                .map(|i| "open a pull request, ".repeat(i * i))
                .map(|text| Tokens::new(tokenizer.encode_fast(text, true).unwrap().get_ids().to_vec()))
                .collect();
            let (shape, pooling) = (&folder.shape, folder.pooling);
            let padded = Padded::new(&folder.weights, shape, pooling, &Device::Cpu).unwrap();
            let ragged = Ragged::new(&padded.weights_on_cpu().unwrap(), shape, pooling, 2).unwrap();
            for (ours, candles) in ragged.encode(&batch).iter().zip(padded.encode(&batch).unwrap()) {
                let cosine: f32 = ours.iter().zip(&candles).map(|(x, y)| x * y).sum();
                assert!(cosine > 0.999_99, "{:?}: {cosine}", shape.family);
            }
        }
    }
}
