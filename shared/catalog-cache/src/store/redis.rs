//! Store in Redis or Redis Cluster, through fred.
//!
//! fred reconnects by itself with its own backoff and sends what several tasks ask for at once as one
//! pipeline; nothing here retries.

use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client, Pool, WithOptions};
use fred::interfaces::{ClientLike, KeysInterface, LuaInterface, ServerInterface, SortedSetsInterface};
use fred::types::config::{Options, ReconnectPolicy, UnresponsiveConfig};
use fred::types::{Builder, ClusterHash, Expiration, InfoKind, Value};
use fred::util::redis_keyslot;
use tracing::{debug, error};

use super::{CacheStore, EntryStore, StoreError};
use crate::config::RedisConfig;

/// Most commands queued for one connection. More than this at once means that Redis cannot follow, and more
/// waiting would help nobody.
const QUEUE_LEN_MAX: usize = 4_096;

/// Lateness of an answer at which its connection is closed and made anew.
const SILENT_CONNECTION: Duration = Duration::from_secs(5);

/// Time that a raise waits for a replica, which on a healthy network is as quick as the master.
const REPLICA_TIMEOUT: Duration = Duration::from_millis(100);

/// Script that raises a version and returns the one that holds. As text, because Lua would hand a number back
/// as a float.
const RAISE: &str = "\
local current = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
if tonumber(ARGV[1]) > current then
    redis.call('SET', KEYS[1], ARGV[1])
end
return redis.call('GET', KEYS[1]) or '0'";

/// Script that adds to scores, keeps the highest, and drops the whole key when nobody added for 91 days:
/// `ARGV` is how many to keep, then member and score in turn.
const ADD_SCORES: &str = "\
for i = 2, #ARGV, 2 do
    redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], ARGV[i])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[1]))
redis.call('EXPIRE', KEYS[1], 7862400)";

/// Pool of connections to Redis. Cheap to clone; all clones are one pool.
#[derive(Clone, Debug)]
pub struct Redis {
    pool: Pool,
    options: Options,
    timeout: Duration,
    prefix: String,
}

impl Redis {
    /// Starts to connect, in the background and forever. Must be called inside a tokio runtime.
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
        Ok(Self { pool, options, timeout, prefix: config.redis_prefix.clone() })
    }

    /// Returns whether at least one connection of the pool is up.
    pub fn is_connected(&self) -> bool {
        self.pool.clients().iter().any(ClientLike::is_connected)
    }

    fn client(&self) -> WithOptions<Client> {
        self.pool.next_connected().with_options(&self.options)
    }

    /// Waits until a replica has what this client wrote under the key.
    ///
    /// Replication is asynchronous: without this a master could answer, die, and be replaced by a replica
    /// that never heard of the raise, and a version that was acknowledged would go back. A shard that has no
    /// replica (any more) has nothing to wait for. A replica that hangs holds up no raise for long: for a
    /// version to go back then, its master must die too.
    async fn wait_for_replica(&self, client: &WithOptions<Client>, key: &str) -> Result<(), StoreError> {
        let shard = Options {
            cluster_hash: Some(ClusterHash::Custom(redis_keyslot(key.as_bytes()))),
            // The server looks at the time of those who wait only ten times a second.
            timeout: Some(self.timeout + REPLICA_TIMEOUT + Duration::from_millis(100)),
            ..self.options.clone()
        };
        let client = client.with_options(&shard);
        let replication: String = client.info(Some(InfoKind::Replication)).await.unwrap_or_default();
        if replication.lines().any(|line| line == "connected_slaves:0") {
            return Ok(());
        }
        let timeout_ms = i64::try_from(REPLICA_TIMEOUT.as_millis()).unwrap_or(i64::MAX);
        let replicas: i64 = client.wait(1, timeout_ms).await.map_err(StoreError::RaiseVersion)?;
        if replicas == 0 {
            debug!(key, "no replica confirmed the version");
        }
        Ok(())
    }

    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }

    fn parse_version(key: String, value: String) -> Result<u64, StoreError> {
        value.parse().map_err(|_| StoreError::NotAVersion { key, value })
    }
}

impl EntryStore for Redis {
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
        // One command a key, because in a cluster the keys are in different slots; but all in one go.
        let pipeline = self.client().pipeline();
        for key in keys {
            pipeline.unlink::<(), _>(self.key(key)).await.map_err(StoreError::Delete)?;
        }
        pipeline.all::<Value>().await.map(drop).map_err(StoreError::Delete)
    }
}

impl CacheStore for Redis {
    async fn raise_version(&self, key: &str, version: u64) -> Result<u64, StoreError> {
        let key = self.key(key);
        let client = self.client();
        let current: String =
            client.eval(RAISE, key.clone(), version.to_string()).await.map_err(StoreError::RaiseVersion)?;
        if client.is_clustered() {
            self.wait_for_replica(&client, &key).await?;
        }
        Self::parse_version(key, current)
    }

    async fn version(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let key = self.key(key);
        let value: Option<String> = self.client().get(&key).await.map_err(StoreError::ReadVersion)?;
        value.map(|value| Self::parse_version(key, value)).transpose()
    }

    async fn add_scores(
        &self,
        key: &str,
        scores: &[(String, f64)],
        members_max: usize,
    ) -> Result<(), StoreError> {
        let pairs = scores.iter().flat_map(|(member, score)| [member.clone(), format!("{score:e}")]);
        let arguments: Vec<String> = std::iter::once(members_max.to_string()).chain(pairs).collect();
        self.client()
            .eval::<Value, _, _, _>(ADD_SCORES, self.key(key), arguments)
            .await
            .map(drop)
            .map_err(StoreError::AddScores)
    }

    async fn top_scores(&self, key: &str, count: usize) -> Result<Vec<(String, f64)>, StoreError> {
        // To Redis a last index of -1 is the last member.
        let Some(last) = count.checked_sub(1) else { return Ok(Vec::new()) };
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        self.client().zrevrange(self.key(key), 0, last, true).await.map_err(StoreError::ReadScores)
    }
}
