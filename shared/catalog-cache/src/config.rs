//! Configuration of the caches.

use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use fred::types::config::Config;

/// Schemes that a Redis URL may have; those of a cluster are the last two.
const SCHEMES: [&str; 4] = ["redis://", "rediss://", "redis-cluster://", "rediss-cluster://"];

const POOL_SIZE_MIN: u8 = 10;
const POOL_SIZE_MAX: u8 = 50;

/// Default memory of the caches: 256 MiB.
const FILES_BYTES_MAX: NonZeroU64 = NonZeroU64::new(256 << 20).expect("256 MiB are not zero");

/// Configuration of the stores: Redis, memory, files.
#[derive(Args, Clone, Debug)]
pub struct CacheConfig {
    /// Configuration of the shared store.
    #[command(flatten)]
    pub redis: RedisConfig,

    /// Most bytes that this process caches in its own memory
    #[arg(long, env = "CACHE_LOCAL_BYTES_MAX", value_name = "BYTES", default_value = "67108864")]
    pub cache_local_bytes_max: NonZeroU64,

    /// Folder of this process's own for cached things, for when Redis is away and after a restart; unset,
    /// none
    #[arg(long, env = "CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Most bytes in that folder
    #[arg(long, env = "CACHE_FILES_BYTES_MAX", value_name = "BYTES", default_value_t = FILES_BYTES_MAX)]
    pub cache_files_bytes_max: NonZeroU64,
}

/// Configuration of the Redis server or cluster that all processes share.
#[derive(Args, Clone, Debug)]
pub struct RedisConfig {
    /// Keep versions and caches in Redis; without it each process has its own
    #[arg(
        long, env = "USE_REDIS", default_value = "false", default_missing_value = "true", num_args = 0..=1,
        action = ArgAction::Set, value_parser = BoolishValueParser::new()
    )]
    pub use_redis: bool,

    /// Redis (`redis://`, `rediss://` with TLS) or Redis Cluster (`redis-cluster://`, `rediss-cluster://`)
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        value_name = "URL",
        default_value = "redis://127.0.0.1:6379"
    )]
    pub redis_url: RedisUrl,

    /// Connections to Redis, 10 to 50
    #[arg(long, env = "REDIS_POOL_SIZE", value_name = "COUNT", default_value_t = POOL_SIZE_MIN)]
    pub redis_pool_size: u8,

    /// First part of every key, so that several installations can share a Redis
    #[arg(long, env = "REDIS_PREFIX", value_name = "TEXT", default_value = "toolweaver")]
    pub redis_prefix: String,

    /// Milliseconds after which a command counts as failed
    //
    // A GET takes a tenth of a millisecond; who waits longer than this gets its answer faster without the
    // cache.
    #[arg(long, env = "REDIS_TIMEOUT_MS", value_name = "MS", default_value = "100")]
    pub redis_timeout_ms: NonZeroU64,

    /// Milliseconds after which an attempt to connect counts as failed
    #[arg(long, env = "REDIS_CONNECT_TIMEOUT_MS", value_name = "MS", default_value = "2000")]
    pub redis_connect_timeout_ms: NonZeroU64,
}

/// A URL that may hold a password; `Debug` and `Display` leave it out.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl CacheConfig {
    /// Creates a configuration that keeps everything in this process, whatever the environment says, within
    /// so many bytes.
    pub fn local(bytes_max: NonZeroU64) -> Self {
        let redis = RedisConfig {
            use_redis: false,
            redis_url: RedisUrl(String::new()),
            redis_pool_size: POOL_SIZE_MIN,
            redis_prefix: String::new(),
            redis_timeout_ms: NonZeroU64::MIN,
            redis_connect_timeout_ms: NonZeroU64::MIN,
        };
        Self {
            redis,
            cache_local_bytes_max: bytes_max,
            cache_dir: None,
            cache_files_bytes_max: FILES_BYTES_MAX,
        }
    }

    /// Returns all faults at once, for a human.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = self.redis.validate();
        if let Some(dir) = self.cache_dir.as_deref().filter(|dir| dir.exists() && !dir.is_dir()) {
            faults.push(format!("CACHE_DIR={} is not a folder", dir.display()));
        }
        faults
    }
}

impl RedisConfig {
    /// Returns all faults at once, for a human. Settings that are not used are not checked.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.use_redis {
            return faults;
        }
        if let Err(error) = self.client_config() {
            faults.push(format!("REDIS_URL={} is not usable: {error}", self.redis_url));
        }
        if !(POOL_SIZE_MIN..=POOL_SIZE_MAX).contains(&self.redis_pool_size) {
            faults.push(format!(
                "REDIS_POOL_SIZE={} must lie between {POOL_SIZE_MIN} and {POOL_SIZE_MAX}",
                self.redis_pool_size
            ));
        }
        let prefix_is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        if self.redis_prefix.is_empty() || !self.redis_prefix.chars().all(prefix_is_plain) {
            faults.push(format!(
                "REDIS_PREFIX={:?} must be one or more of A-Z, a-z, 0-9, _, -, . and :",
                self.redis_prefix
            ));
        }
        faults
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.redis_timeout_ms.get())
    }

    /// Returns the timeout of connecting.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.redis_connect_timeout_ms.get())
    }

    /// Returns the client's configuration that the URL stands for.
    pub(crate) fn client_config(&self) -> Result<Config, fred::error::Error> {
        let url = &self.redis_url.0;
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            let expected = format!("it must begin with one of {}", SCHEMES.join(", "));
            return Err(fred::error::Error::new(fred::error::ErrorKind::Url, expected));
        }
        // A server that is down at start is one that comes later, like any other outage.
        Ok(Config { fail_fast: false, ..Config::from_url(url)? })
    }
}

impl FromStr for RedisUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self(url.to_owned()))
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last @ ends the credentials; a URL without a scheme may be a bare password.
        match (self.0.split_once("://"), self.0.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, server))) => write!(f, "{scheme}://***@{server}"),
            (Some(_), None) => f.write_str(&self.0),
            (None, _) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        cache: CacheConfig,
    }

    fn config(arguments: &[&str]) -> CacheConfig {
        Program::try_parse_from(["program"].iter().chain(arguments)).unwrap().cache
    }

    #[test]
    fn the_flag_works_with_and_without_a_value() {
        assert!(config(&["--use-redis"]).redis.use_redis);
        assert!(config(&["--use-redis", "yes"]).redis.use_redis);
        assert!(!config(&["--use-redis", "false"]).redis.use_redis);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = config(&[
            "--use-redis",
            "--redis-url=http://cache:6379",
            "--redis-pool-size=9",
            "--redis-prefix={x}",
            concat!("--cache-dir=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .validate();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].contains("REDIS_URL") && faults[0].contains("redis-cluster://"), "{faults:?}");
        assert!(faults[1].contains("REDIS_POOL_SIZE=9"), "{faults:?}");
        assert!(faults[2].contains("REDIS_PREFIX"), "{faults:?}");
        assert!(faults[3].contains("CACHE_DIR"), "{faults:?}");
    }

    #[test]
    fn every_kind_of_url_is_understood() {
        for url in [
            "redis://127.0.0.1",
            "redis://user:pa%40ss@cache:6380/2",
            "rediss://:secret@cache:6380",
            "redis-cluster://a:7000?node=b:7001&node=c:7002",
            "rediss-cluster://user:secret@a:7000",
        ] {
            let faults = config(&["--use-redis", "--redis-url", url]).validate();
            assert!(faults.is_empty(), "{url}: {faults:?}");
        }
    }

    #[test]
    fn the_password_is_never_shown() {
        for url in ["redis://user:se@cret@cache:6379/1", "se@cret"] {
            let config = config(&["--use-redis", "--redis-url", url]);
            let shown = format!("{config:?} {:?}", config.validate());
            assert!(!shown.contains("cret@") && !shown.contains("user"), "{shown}");
        }
    }
}
