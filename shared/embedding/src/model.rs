//! The interface between the batching thread and the models that compute vectors.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::{Fingerprint, Role};

/// Turns texts into vectors of length 1. Shared by reference: two embedders may use one copy of the weights.
pub trait Model: Send + Sync {
    /// Returns the fingerprint of everything that decides this model's vectors. Vectors of two fingerprints
    /// must never be compared.
    fn fingerprint(&self) -> &Fingerprint;

    /// Returns the dimensions of its vectors.
    fn dimensions(&self) -> NonZeroUsize;

    /// Returns the device on which [`Model::encode`] computes.
    fn device(&self) -> DeviceKind;

    /// Cuts one text into tokens, the prefix of its role before it: at most as many as the model reads; the
    /// rest of the text is ignored.
    fn tokenize(&self, role: Role, text: &str) -> Result<Tokens, ModelError>;

    /// Computes one vector for each element of `batch`, in its order. Memory grows with the padded token
    /// count, `batch.len()` times the longest element.
    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError>;

    /// Returns the same model on the CPU, for when its device has no memory left. `None` if this is the CPU
    /// already.
    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError>;
}

/// One text as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
}

impl Tokens {
    /// Makes tokens of vocabulary numbers.
    pub fn new(ids: Vec<u32>) -> Self {
        Self { ids }
    }

    /// Returns the vocabulary numbers, special tokens included.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Returns the number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The kind of device that computes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

/// The reason why a text has no vector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The tokenizer refused a text.
    #[error("cannot tokenize a text")]
    Tokenize(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The device has no memory left for a batch; a smaller one may fit.
    #[error("out of memory on the {device} with {texts} texts of up to {tokens_longest} tokens")]
    OutOfMemory {
        /// The device.
        device: DeviceKind,
        /// Texts in the batch.
        texts: usize,
        /// Tokens of its longest text.
        tokens_longest: usize,
    },
    /// The computation failed otherwise.
    #[error("cannot compute vectors")]
    Compute(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same model could not be set up on the CPU.
    #[error("cannot move the model to the cpu")]
    MoveToCpu(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ModelError {
    /// Returns whether a smaller batch may succeed.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory { .. })
    }

    /// Returns whether the same texts may succeed later.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Tokenize(_))
    }
}
