//! Text to vectors: a sentence-transformers model behind one thread.
//!
//! - [`Model`] turns texts into tokens and tokens into unit vectors. Two implementations: [`Candle`] (BERT,
//!   DistilBERT, MPNet, RoBERTa or XLM-RoBERTa weights, CPU or CUDA) and [`Hashing`] (no weights; for tests
//!   and first steps).
//! - [`Embedder`] is the handle to the thread that owns the work: it batches, survives a full GPU and counts.
//! - [`template`] says which words of a tool are embedded, [`Role`] whether a text asks or is to be found,
//!   which some models tell apart by a prefix, and [`Fingerprint`] what else decides a vector.
//!
//! What does not live here: where vectors are stored or cached, where a model folder is looked for by
//! default or fetched from (the command line does both), and any ranking.

pub mod metrics;
pub mod template;

mod candle;
mod config;
mod embedder;
mod fingerprint;
mod hashing;
mod model;
mod plan;
mod role;
mod stats;

pub use candle::{Candle, LoadError};
pub use config::{DeviceChoice, ModelConfig, ModelKind, load, load_blocking};
pub use embedder::{EmbedError, Embedder, Limits};
pub use fingerprint::Fingerprint;
pub use hashing::Hashing;
pub use model::{DeviceKind, Model, ModelError, Tokens};
pub use plan::plan;
pub use role::{Prefixes, Role};
pub use stats::Stats;
