//! The seam: where bytes, versions and scores are kept.

mod files;
mod kept;
mod local;
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

/// What the shared store is called where its health is told.
pub(crate) const DEPENDENCY: &str = "redis";

/// How often is looked whether the store is connected, by who waits for it.
const CONNECTED_LOOK_EVERY: Duration = Duration::from_millis(10);

/// Keeps bytes under keys for some time.
///
/// Three implementations, one conformance suite (`tests/cache/conformance.rs`). Keys are given without the prefix of
/// the installation.
pub trait EntryStore: Send + Sync {
    /// The bytes under this key, if they are there and not expired.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// Puts bytes under this key for `ttl`, in place of what was there.
    fn set(
        &self,
        key: &str,
        value: Bytes,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes what is under these keys; keys without anything are no error.
    fn delete(&self, keys: &[String]) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Keeps entries, and besides them versions for ever and scores for long.
///
/// Two implementations, in the same suite.
pub trait CacheStore: EntryStore {
    /// Makes the version under this key `version` unless it is higher already, in one atomic step. Returns the version
    /// that holds afterwards.
    fn raise_version(&self, key: &str, version: u64) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The version under this key; none when it was never raised (or the store was emptied since).
    fn version(&self, key: &str) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Adds to the scores of members under this key, in one atomic step, and then keeps the `members_max` highest.
    /// Members without a score have 0.
    fn add_scores(
        &self,
        key: &str,
        scores: &[(String, f64)],
        members_max: usize,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The members with the highest scores under this key, at most `count`, the highest first.
    fn top_scores(
        &self,
        key: &str,
        count: usize,
    ) -> impl Future<Output = Result<Vec<(String, f64)>, StoreError>> + Send;
}

/// What a store could not do.
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
        /// Which folder.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else wrote this key.
    #[error("the value of {key} is not a version: {value:?}")]
    NotAVersion {
        /// The key, with its prefix.
        key: String,
        /// What is there.
        value: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
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

/// The store that the configuration asks for. Cheap to clone; all clones are one store.
#[derive(Clone, Debug)]
pub enum Store {
    /// Shared by all processes.
    Redis(Redis),
    /// In this process only.
    Local(Local),
}

impl Store {
    /// Opens Redis when `USE_REDIS` says so, else memory of this process.
    ///
    /// Redis is connected in the background, for ever: an outage at start is like any other. Must be called
    /// inside a tokio runtime.
    pub fn open(config: &CacheConfig) -> Result<Self, StoreError> {
        if config.redis.use_redis {
            Ok(Self::Redis(Redis::connect(&config.redis)?))
        } else {
            Ok(Self::Local(Local::new(config.cache_local_bytes_max.get())))
        }
    }

    /// `redis` or `local`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Local(_) => "local",
        }
    }

    /// Whether the store can be reached at this moment, as far as this process knows.
    pub fn is_connected(&self) -> bool {
        match self {
            Self::Redis(redis) => redis.is_connected(),
            Self::Local(_) => true,
        }
    }

    /// Waits until the store can be reached; false if it cannot within this time. The first requests of a process would
    /// otherwise fail, and be told that the store is down.
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
