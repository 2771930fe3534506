//! The servers of one test, and invalidators on them.

use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;
use toolweaver_cache_invalidator::{Config, serve};
use toolweaver_catalog_cache::{CatalogCache, Store, Versions};
use toolweaver_contracts::subjects::INDEXED_STREAM;
use toolweaver_contracts::{IndexedEvent, ToolKey, encode};
use toolweaver_messaging::consumer::{self, Lag};
use toolweaver_messaging::{
    LocalServer, LocalServerConfig, Nats, NatsConfig, Outgoing, StreamsConfig, connect, publish, streams,
};
use toolweaver_service_runtime::{DrainConfig, Runtime};
use toolweaver_testkit::parts;
use toolweaver_testkit::redis::RedisServer;
use toolweaver_testkit::wait::until;

/// The time in which a state must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A NATS server with the streams, a Redis server, and a client of each.
pub(crate) struct World {
    pub(crate) nats: Nats,
    pub(crate) store: Store,
    pub(crate) versions: Versions,
    incarnation: String,
    pub(crate) redis: RedisServer,
    pub(crate) nats_server: LocalServer,
    _data: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server_config = LocalServerConfig {
            binary: Some(parts::nats_server()),
            data_dir: data.path().to_owned(),
            port: 0,
        };
        let (nats_server, redis) = tokio::join!(LocalServer::start(server_config), RedisServer::start());
        let nats_server = nats_server.unwrap();
        let nats = connect(&NatsConfig::for_url(nats_server.url()), "test").await.unwrap();
        streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
        let incarnation = streams::state(&nats, INDEXED_STREAM).await.unwrap().incarnation();
        let store = Store::open(&config(nats_server.url(), &redis.url(), &[]).cache).unwrap();
        let versions = Versions::new(store.clone(), &incarnation);
        Self { nats, store, versions, incarnation, redis, nats_server, _data: data }
    }

    /// Starts an invalidator with these servers and waits until it is ready.
    pub(crate) async fn invalidator(&self) -> Runtime {
        let runtime = self.unready_invalidator(&[]).await;
        tokio::time::timeout(SOON, runtime.health.ready()).await.unwrap();
        runtime
    }

    /// Starts an invalidator with more options, and does not wait until it is ready.
    pub(crate) async fn unready_invalidator(&self, options: &[&str]) -> Runtime {
        let config = config(self.nats_server.url(), &self.redis.url(), options);
        let runtime = Runtime::new(DrainConfig { drain_timeout_seconds: 15 });
        serve(&config, &runtime).await.unwrap();
        runtime
    }

    /// Publishes an INDEXED event as the embedding worker does. Returns its sequence.
    pub(crate) async fn indexed(&self, subject: &str) -> u64 {
        // The body does not matter to versions; a removal is the shortest.
        let body = encode(&IndexedEvent::Removed { revision: 1 });
        publish(&self.nats, Outgoing::new(subject, body)).await.unwrap().stream_sequence
    }

    pub(crate) async fn version(&self, tenant: &str) -> Option<u64> {
        self.versions.current_or_restore(&tenant.parse().unwrap(), 0).await
    }

    pub(crate) async fn until_version(&self, tenant: &str, version: u64) {
        until(&format!("{tenant} has version {version}"), SOON, async || {
            self.version(tenant).await == Some(version)
        })
        .await;
    }

    /// Returns the caches of a query worker that has nothing in memory yet.
    pub(crate) fn cache(&self) -> CatalogCache {
        let config = config(self.nats_server.url(), &self.redis.url(), &[]);
        CatalogCache::new(self.store.clone(), &config.cache, &self.incarnation)
    }

    pub(crate) async fn until_all_acknowledged(&self) {
        until("every event is acknowledged", SOON, async || {
            self.lag().await.is_some_and(|lag| lag.pending == 0 && lag.ack_pending == 0)
        })
        .await;
    }

    pub(crate) async fn lag(&self) -> Option<Lag> {
        consumer::lag(&self.nats, INDEXED_STREAM, toolweaver_cache_invalidator::DURABLE).await.ok()
    }
}

/// Stops an invalidator as SIGTERM does; it must end in good order.
pub(crate) async fn stop(runtime: Runtime) {
    runtime.shutdown.begin();
    runtime.join().await.unwrap();
}

/// Returns a tool of the tenant `acme`.
pub(crate) fn tool(domain: &str, name: &str) -> ToolKey {
    ToolKey {
        tenant: "acme".parse().unwrap(),
        domain: domain.parse().unwrap(),
        tool_name: name.parse().unwrap(),
    }
}

fn config(nats_url: &str, redis_url: &str, options: &[&str]) -> Config {
    let arguments = ["test", "--use-redis", "--nats-url", nats_url, "--redis-url", redis_url];
    Config::try_parse_from([&arguments, options].concat()).unwrap()
}
