//! Catalog versions and caches: in Redis, in the process, in files.
//!
//! At the bottom are stores: an [`EntryStore`] keeps bytes under keys with a time to live, a [`CacheStore`]
//! also versions that only grow and scores of what is popular. On them stand
//!
//! - [`Versions`], which the invalidator raises and query workers read;
//! - the layers: [`SearchResults`], [`CatalogSnapshots`], [`ToolMetadata`] and [`Embeddings`]. Each looks
//!   into memory, then Redis, then files, and writes to all of them;
//! - [`Popularity`]: which tools and requests are asked for most.
//!
//! A cache that cannot answer is a miss, never an error: a circuit breaker keeps everybody but the
//! invalidator from waiting on a Redis that is down, and asks it again within seconds. What a key must tell
//! apart and when an answer may be stored is decided by who computes it; this crate never looks at NATS or at
//! the catalog itself.

mod cache;
mod catalog_snapshots;
mod config;
mod embeddings;
mod json_layer;
mod keys;
mod metrics;
mod popularity;
mod search_results;
mod store;
mod tiers;
mod tool_metadata;
mod versions;

pub use cache::{CacheSnapshot, CatalogCache, LayerSnapshot};
pub use catalog_snapshots::{CatalogSnapshots, SnapshotKey};
pub use config::{CacheConfig, RedisConfig, RedisUrl};
pub use embeddings::Embeddings;
pub use popularity::{Popular, Popularity, PopularityKind};
pub use search_results::{SearchKey, SearchResults};
pub use store::{CacheStore, EntryStore, Files, Local, Redis, Store, StoreError};
pub use tool_metadata::{ToolMetadata, drop_tools};
pub use versions::Versions;
