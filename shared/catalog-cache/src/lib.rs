//! Catalogue versions and caches, in Redis or in the process.
//!
//! At the bottom is a [`Store`]: bytes under keys with a time to live, and versions that only grow. On it stand
//! [`Versions`], the [`SearchResults`] and the [`Embeddings`], the latter two with a local tier in front and
//! shielded from a store that is down: a cache that cannot answer is a miss, never an error. What goes into a key and when an answer
//! may be stored is decided by who computes it; this crate never looks at NATS or at the catalogue itself.

mod breaker;
mod cache;
mod config;
mod embeddings;
mod keys;
mod metrics;
mod search_results;
mod store;
mod tiers;
mod versions;

pub use cache::{CacheSnapshot, CatalogCache, LayerSnapshot};
pub use config::{CacheConfig, RedisConfig, RedisUrl};
pub use embeddings::Embeddings;
pub use search_results::{SearchKey, SearchResults};
pub use store::{CacheStore, Local, Redis, Store, StoreError};
pub use versions::{Scope, Versions};
