//! The seam: where bytes and versions are kept.

mod local;
mod redis;

use std::time::Duration;

use bytes::Bytes;

pub use local::Local;
pub use redis::Redis;

use crate::config::CacheConfig;
use crate::versions::Scope;

/// Keeps bytes under keys for some time, and versions for ever.
///
/// Two implementations, one conformance suite (`tests/conformance.rs`). Keys are given without the prefix of the
/// installation.
pub trait CacheStore: Send + Sync {
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

    /// Makes the scope's version `version` unless it is higher already, in one atomic step. Returns the version that
    /// holds afterwards.
    fn raise_version(
        &self,
        scope: &Scope,
        version: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The scope's version; none when it was never raised (or the store was emptied since).
    fn version(&self, scope: &Scope) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;
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
            | Self::ReadVersion(source) => !matches!(
                source.kind(),
                Auth | Config | InvalidArgument | InvalidCommand | NotFound | Parse | Tls | Url
            ),
            Self::Configure(_) | Self::NotAVersion { .. } => false,
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
}

impl CacheStore for Store {
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

    async fn raise_version(&self, scope: &Scope, version: u64) -> Result<u64, StoreError> {
        match self {
            Self::Redis(redis) => redis.raise_version(scope, version).await,
            Self::Local(local) => local.raise_version(scope, version).await,
        }
    }

    async fn version(&self, scope: &Scope) -> Result<Option<u64>, StoreError> {
        match self {
            Self::Redis(redis) => redis.version(scope).await,
            Self::Local(local) => local.version(scope).await,
        }
    }
}
