//! The store in Redis or Redis Cluster, through fred.
//!
//! fred reconnects by itself with its own backoff and sends what several tasks ask for at once as one pipeline;
//! nothing here retries.

use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Pool, WithOptions};
use fred::interfaces::{ClientLike, KeysInterface, LuaInterface};
use fred::types::Builder;
use fred::types::Expiration;
use fred::types::config::{Options, ReconnectPolicy, UnresponsiveConfig};
use tracing::error;

use super::{CacheStore, StoreError};
use crate::config::RedisConfig;
use crate::keys;
use crate::versions::Scope;

/// Commands that wait for one connection. More than this at once means that Redis cannot follow, and more waiting
/// would help nobody.
const QUEUE_LEN_MAX: usize = 4_096;

/// A connection on which an answer is this late is closed and made anew.
const SILENT_CONNECTION: Duration = Duration::from_secs(5);

/// Raises the version in one step and returns what holds afterwards. As text, because Lua would hand a number back
/// as a float.
const RAISE: &str = "\
local current = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if tonumber(ARGV[1]) > current then
    redis.call('SET', KEYS[1], ARGV[1])
end
return redis.call('GET', KEYS[1]) or '0'";

/// A pool of connections to Redis. Cheap to clone; all clones are one pool.
#[derive(Clone, Debug)]
pub struct Redis {
    pool: Pool,
    options: Options,
    prefix: String,
}

impl Redis {
    /// Starts to connect, in the background and for ever. Must be called inside a tokio runtime.
    pub fn connect(config: &RedisConfig) -> Result<Self, StoreError> {
        let client_config = config.client_config().map_err(StoreError::Configure)?;
        // Attempts without end, 50 ms to 2 s apart, doubling, with jitter.
        let mut reconnect = ReconnectPolicy::new_exponential(0, 50, 2_000, 2);
        reconnect.set_jitter(50);
        let timeout = config.timeout();
        let connect_timeout = config.connect_timeout();
        let pool = Builder::from_config(client_config)
            .with_performance_config(|performance| performance.default_command_timeout = timeout)
            .with_connection_config(|connection| {
                connection.connection_timeout = connect_timeout;
                connection.internal_command_timeout = connect_timeout;
                connection.max_command_buffer_len = QUEUE_LEN_MAX;
                connection.unresponsive = UnresponsiveConfig {
                    max_timeout: Some(SILENT_CONNECTION),
                    ..UnresponsiveConfig::default()
                };
                connection.tcp.nodelay = Some(true);
            })
            .set_policy(reconnect)
            .build_pool(config.redis_pool_size.into())
            .map_err(StoreError::Configure)?;
        let connections = pool.connect();
        tokio::spawn(async move {
            // Ends only for a reason that reconnecting does not mend, for example a wrong password.
            if let Ok(Err(error)) = connections.await {
                error!(%error, "gave up connecting to Redis");
            }
        });
        // Fails at once while there is no connection: a cache that has to be waited for is none.
        let options =
            Options { timeout: Some(timeout), max_attempts: Some(1), fail_fast: true, ..Options::default() };
        Ok(Self { pool, options, prefix: config.redis_prefix.clone() })
    }

    /// Whether at least one connection of the pool is up.
    pub fn is_connected(&self) -> bool {
        self.pool.clients().iter().any(ClientLike::is_connected)
    }

    fn client(&self) -> WithOptions<fred::clients::Client> {
        self.pool.next_connected().with_options(&self.options)
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }

    fn parse_version(key: String, value: String) -> Result<u64, StoreError> {
        value.parse().map_err(|_| StoreError::NotAVersion { key, value })
    }
}

impl CacheStore for Redis {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.client().get(self.key(key)).await.map_err(StoreError::Get)
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), StoreError> {
        let milliseconds = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        self.client()
            .set(self.key(key), value, Some(Expiration::PX(milliseconds)), None, false)
            .await
            .map_err(StoreError::Set)
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        for key in keys {
            // One by one: in a cluster the keys are in different slots.
            self.client().unlink::<(), _>(self.key(key)).await.map_err(StoreError::Delete)?;
        }
        Ok(())
    }

    async fn raise_version(&self, scope: &Scope, version: u64) -> Result<u64, StoreError> {
        let key = self.key(&keys::version(scope));
        let current: String = self
            .client()
            .eval(RAISE, key.clone(), version.to_string())
            .await
            .map_err(StoreError::RaiseVersion)?;
        Self::parse_version(key, current)
    }

    async fn version(&self, scope: &Scope) -> Result<Option<u64>, StoreError> {
        let key = self.key(&keys::version(scope));
        let value: Option<String> = self.client().get(&key).await.map_err(StoreError::ReadVersion)?;
        value.map(|value| Self::parse_version(key, value)).transpose()
    }
}
