//! Tools as vectors with payload: written once, searched under a predicate, the newer revision always wins.
//!
//! Here live the contract ([`VectorStore`]), its two implementations ([`Qdrant`] for production, [`Memory`] for the
//! embedded default) and their errors. Both keep the same promises, held by one conformance suite:
//!
//! - A lower or equal revision never changes a point. Equal is a no-op, so a redelivered write is harmless.
//! - A removal leaves a tombstone: the point is gone from search, count and scroll, and its revision still guards
//!   against a late, older registration.
//! - The predicate is applied before ranking, and means exactly what `Predicate::admits` says.
//! - Scores are cosines; stored vectors need not be unit vectors.
//!
//! Here does **not** live: embedding, lexical search, fusion, and when to retry (ask [`StoreError::is_transient`]).

mod config;
mod error;
mod memory;
mod qdrant;
mod store;

pub use config::QdrantConfig;
pub use error::StoreError;
pub use memory::Memory;
pub use qdrant::{Ensured, Qdrant};
pub use store::{Hit, Page, Point, Record, Tombstone, VectorStore};
