//! Stores of entries, versions and scores: the traits, and the store that the configuration asks for.

mod files;
mod local;
mod pinned;
mod redis;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

pub use files::Files;
pub use local::Local;
pub use redis::Redis;

use crate::config::CacheConfig;

/// Name of the shared store in logs and metrics.
pub(crate) const DEPENDENCY: &str = "redis";

/// Interval at which a caller that waits for the store polls its connection.
const CONNECTED_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Store of entries: bytes under keys, with a time to live.
///
/// Three implementations, one conformance suite (`tests/cache/conformance.rs`). Keys are given without the
/// prefix of the installation.
pub trait EntryStore: Send + Sync {
    /// Reads the bytes of this key, if they are there and not expired.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Stores bytes under this key for `ttl`, in place of what was there.
    fn set(
        &self,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the entries of these keys; a key without one is no error.
    fn delete(&self, keys: &[String]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Store of entries, and besides them of versions forever and of scores for long.
///
/// Two implementations, in the same suite.
pub trait CacheStore: EntryStore {
    /// Raises the version of this key to `version` unless it is higher already, atomically. Returns the
    /// version that holds afterwards.
    fn raise_version(&self, key: &str, version: u64) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Reads the version of this key; none when it was never raised (or the store was emptied since).
    fn version(&self, key: &str) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Adds to the scores of members of this key, atomically, and then keeps the `members_max` highest.
    /// Members without a score have 0.
    fn add_scores(
        &self,
        key: &str,
        scores: &[(String, f64)],
        members_max: usize,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads the members with the highest scores of this key, at most `count`, the highest first.
    fn top_scores(
        &self,
        key: &str,
        count: usize,
    ) -> impl Future<Output = Result<Vec<(String, f64)>, StoreError>> + Send;
}

/// Error of a store; each variant names the operation.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The configuration is not usable.
    #[error("cannot use the Redis configuration")]
    Configure(#[source] fred::error::Error),
    /// Reading bytes failed.
    #[error("cannot read from the cache store")]
    Get(#[source] fred::error::Error),
    /// Writing bytes failed.
    #[error("cannot write to the cache store")]
    Set(#[source] fred::error::Error),
    /// Removing bytes failed.
    #[error("cannot delete from the cache store")]
    Delete(#[source] fred::error::Error),
    /// Raising a version failed; it may or may not have been raised.
    #[error("cannot raise a version in the cache store")]
    RaiseVersion(#[source] fred::error::Error),
    /// Reading a version failed.
    #[error("cannot read a version from the cache store")]
    ReadVersion(#[source] fred::error::Error),
    /// Adding to scores failed; they may or may not have been added.
    #[error("cannot add to scores in the cache store")]
    AddScores(#[source] fred::error::Error),
    /// Reading scores failed.
    #[error("cannot read scores from the cache store")]
    ReadScores(#[source] fred::error::Error),
    /// The folder of the file tier is not usable.
    #[error("cannot keep cached entries in {}", dir.display())]
    OpenFiles {
        /// Path of the folder.
        dir: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Somebody else wrote this key.
    #[error("the value of {key} is not a version: {value:?}")]
    NotAVersion {
        /// Key, with its prefix.
        key: String,
        /// Value that is there.
        value: String,
    },
}

impl StoreError {
    /// Returns whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        use fred::error::ErrorKind::{
            Auth, Config, InvalidArgument, InvalidCommand, NotFound, Parse, Tls, Url,
        };
        match self {
            Self::Get(source)
            | Self::Set(source)
            | Self::Delete(source)
            | Self::RaiseVersion(source)
            | Self::ReadVersion(source)
            | Self::AddScores(source)
            | Self::ReadScores(source) => !matches!(
                source.kind(),
                Auth | Config | InvalidArgument | InvalidCommand | NotFound | Parse | Tls | Url
            ),
            Self::Configure(_) | Self::OpenFiles { .. } | Self::NotAVersion { .. } => false,
        }
    }
}

/// Store that the configuration asks for. Cheap to clone; all clones are one store.
#[derive(Clone, Debug)]
pub enum Store {
    /// Redis, shared by all processes.
    Redis(Redis),
    /// Memory of this process only.
    Local(Local),
}

impl Store {
    /// Opens Redis when `USE_REDIS` says so, else memory of this process.
    ///
    /// Redis is connected in the background, forever: an outage at start is like any other. Must be called
    /// inside a tokio runtime.
    pub fn open(config: &CacheConfig) -> Result<Self, StoreError> {
        if config.redis.use_redis {
            Ok(Self::Redis(Redis::connect(&config.redis)?))
        } else {
            Ok(Self::Local(Local::new(config.cache_local_bytes_max.get())))
        }
    }

    /// Kind of store: `redis` or `local`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Local(_) => "local",
        }
    }

    /// Returns whether the store can be reached at this moment, as far as this process knows.
    pub fn is_connected(&self) -> bool {
        match self {
            Self::Redis(redis) => redis.is_connected(),
            Self::Local(_) => true,
        }
    }

    /// Waits until the store can be reached; returns false if it cannot within this time. The first requests
    /// of a process would otherwise fail, and be told that the store is down.
    pub async fn connected(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while !self.is_connected() {
            if Instant::now() >= until {
                return false;
            }
            sleep(CONNECTED_LOOK_EVERY).await;
        }
        true
    }
}

impl EntryStore for Store {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        match self {
            Self::Redis(redis) => redis.get(key).await,
            Self::Local(local) => local.get(key).await,
        }
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.set(key, value, ttl).await,
            Self::Local(local) => local.set(key, value, ttl).await,
        }
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.delete(keys).await,
            Self::Local(local) => local.delete(keys).await,
        }
    }
}

impl CacheStore for Store {
    async fn raise_version(&self, key: &str, version: u64) -> Result<u64, StoreError> {
        match self {
            Self::Redis(redis) => redis.raise_version(key, version).await,
            Self::Local(local) => local.raise_version(key, version).await,
        }
    }

    async fn version(&self, key: &str) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Redis(redis) => redis.version(key).await,
            Self::Local(local) => local.version(key).await,
        }
    }

    async fn add_scores(
        &self,
        key: &str,
        scores: &[(String, f64)],
        members_max: usize,
    ) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.add_scores(key, scores, members_max).await,
            Self::Local(local) => local.add_scores(key, scores, members_max).await,
        }
    }

    async fn top_scores(&self, key: &str, count: usize) -> Result<Vec<(String, f64)>, StoreError> {
        match self {
            Self::Redis(redis) => redis.top_scores(key, count).await,
            Self::Local(local) => local.top_scores(key, count).await,
        }
    }
}
