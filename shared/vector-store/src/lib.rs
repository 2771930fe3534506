//! Tools as vectors with payload: written once, searched under a predicate, the newer revision always wins.
//!
//! Here live the contract ([`VectorStore`]), its two implementations ([`Qdrant`] for production, [`Memory`]
//! for the embedded default) and their errors. Both keep the same promises, held by one conformance suite:
//!
//! - A lower or equal revision never changes a point. Equal is a no-op, so a redelivered write is harmless.
//! - A removal leaves a tombstone: no search finds the point, and its revision still guards against a
//!   late, older registration.
//! - The predicate is applied before ranking, and means exactly what `Predicate::admits` says.
//! - Scores are cosines; stored vectors need not be unit vectors. Every tool found has one for every vector
//!   asked for.
//! - The sample of a search is of the same tools in every store.
//!
//! Here does **not** live: embedding, lexical search, fusion, and when to retry (ask
//! [`StoreError::is_transient`]).

mod config;
mod cosine;
mod error;
mod memory;
mod qdrant;
mod scores;
mod store;

pub use config::QdrantConfig;
pub use error::{ClientError, StoreError};
pub use memory::Memory;
pub use qdrant::{Ensured, Qdrant};
pub use scores::{SAMPLE_MAX, Scores};
pub use store::{Point, Tombstone, VectorStore};
