//! A server per test, a worker on it, and INDEXED events as an embedding worker writes them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use toolweaver_catalog_cache::{CatalogCache, Local, Store};
use toolweaver_contracts::{
    Fault, GetReply, GetRequest, IndexedEvent, SearchReply, SearchRequest, StatusReply, StatusRequest,
    TEXT_VECTOR, Tenant, Tool, ToolKey, Vector, decode, encode, subjects,
};
use toolweaver_embedding::{
    DeviceKind, Embedder, Fingerprint, Hashing, Limits, Model, ModelError, Role, Tokens, template,
};
use toolweaver_messaging::{
    LocalServer, LocalServerConfig, Nats, NatsConfig, Outgoing, RequestError, StreamsConfig, connect,
    publish, request, streams,
};
use toolweaver_query_worker::{Config, Dependencies, query_embedder, run};
use toolweaver_service_runtime::{DrainConfig, Runtime};
use toolweaver_testkit::{parts, wait};
use toolweaver_vector_store::Qdrant;

/// Time that a state may take to come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A server, running workers, and a pen for INDEXED.
pub(crate) struct Rig {
    pub(crate) nats: Nats,
    workers: Vec<Runtime>,
    embedder: Embedder,
    server: LocalServer,
    _data: TempDir,
}

/// Dependencies of a worker where they are not the rig's.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) vectors: Option<Qdrant>,
    /// Address at which it reaches NATS.
    pub(crate) nats: Option<SocketAddr>,
    pub(crate) embedder: Option<Embedder>,
    /// Address at which it reaches Redis.
    pub(crate) redis: Option<SocketAddr>,
}

impl Rig {
    /// A worker that keeps vectors in memory.
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    pub(crate) async fn start_with(vectors: Option<Qdrant>) -> Self {
        let mut rig = Self::without_workers().await;
        rig.add_worker(vectors, &[]).await;
        rig
    }

    /// A server that nobody serves on yet.
    pub(crate) async fn without_workers() -> Self {
        let data = tempfile::tempdir().expect("a folder for the server");
        let config = LocalServerConfig {
            binary: Some(parts::nats_server()),
            data_dir: data.path().to_owned(),
            port: 0,
        };
        let server = LocalServer::start(config).await.expect("a server");
        let nats = connect(&NatsConfig::for_url(server.url()), "test").await.expect("a connection");
        streams::ensure(&nats, &StreamsConfig::default()).await.expect("streams");
        let embedder = query_embedder(Arc::new(Hashing::new()), Limits::default());
        Self { nats, workers: Vec::new(), embedder, server, _data: data }
    }

    /// Returns the address of its NATS server.
    pub(crate) fn nats_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.server.port()).into()
    }

    /// One more worker with these options, once it is ready.
    pub(crate) async fn add_worker(&mut self, vectors: Option<Qdrant>, options: &[&str]) {
        self.add_worker_with(Own { vectors, ..Own::default() }, options).await;
    }

    /// The same with some parts of its own.
    pub(crate) async fn add_worker_with(&mut self, own: Own, options: &[&str]) {
        let mut arguments = vec!["query-worker".to_owned(), "--model=hashing".to_owned()];
        arguments.extend(options.iter().map(ToString::to_string));
        arguments.extend(
            own.redis
                .iter()
                .flat_map(|redis| ["--use-redis".to_owned(), format!("--redis-url=redis://{redis}")]),
        );
        let config = <Config as clap::Parser>::try_parse_from(arguments).expect("options");
        let runtime = Runtime::new(DrainConfig { drain_timeout_seconds: 5 });
        let nats = match own.nats {
            None => self.nats.clone(),
            Some(address) => {
                let config = NatsConfig::for_url(format!("nats://{address}"));
                connect(&config, "worker").await.expect("a connection of its own")
            }
        };
        let store = match own.redis {
            None => Store::Local(Local::new(1 << 20)),
            Some(_) => Store::open(&config.cache).expect("a usable configuration"),
        };
        wait::until("the store is connected", SOON, async || store.is_connected()).await;
        let cache = CatalogCache::new(store, &config.cache, "test");
        let embedder = own.embedder.unwrap_or_else(|| self.embedder.clone());
        let parts = Dependencies { nats, embedder, qdrant: own.vectors, cache };
        run(&config.query, parts, &runtime).await.expect("a running worker");
        tokio::time::timeout(SOON, runtime.health.ready()).await.expect("a ready worker");
        self.workers.push(runtime);
    }

    /// Tells the worker that was added last to end, and waits for nothing.
    pub(crate) fn begin_to_stop_last_worker(&self) {
        self.workers.last().expect("a worker").shutdown.begin();
    }

    /// Ends the worker that was added last.
    pub(crate) async fn stop_last_worker(&mut self) {
        let runtime = self.workers.pop().expect("a worker");
        runtime.shutdown.begin();
        runtime.join().await.expect("a worker that ends");
    }

    /// Says in INDEXED that a tool can be found; returns the version.
    pub(crate) async fn index(&self, tenant: &str, tool: &Tool, revision: u64) -> u64 {
        let vector = self.vector(tool).await;
        let event = IndexedEvent::Indexed {
            revision,
            model: self.embedder.fingerprint().hex().to_owned(),
            tool: Arc::new(tool.clone()),
            vectors: BTreeMap::from([(TEXT_VECTOR.to_owned(), Vector(vector))]),
        };
        self.write(&key(tenant, tool), &event).await
    }

    /// Says in INDEXED that a tool is gone; returns the version.
    pub(crate) async fn remove(&self, tenant: &str, tool: &Tool, revision: u64) -> u64 {
        self.write(&key(tenant, tool), &IndexedEvent::Removed { revision }).await
    }

    /// The vector of a tool's text.
    pub(crate) async fn vector(&self, tool: &Tool) -> Vec<f32> {
        let passages =
            self.embedder.embed(Role::Passage, template::passages(tool).to_vec()).await.expect("vectors");
        template::combine([&passages[0], &passages[1]])
    }

    pub(crate) fn fingerprint(&self) -> &str {
        self.embedder.fingerprint().short()
    }

    async fn write(&self, key: &ToolKey, event: &IndexedEvent) -> u64 {
        let message = Outgoing::new(subjects::indexed(key), encode(event));
        publish(&self.nats, message).await.expect("INDEXED takes it").stream_sequence
    }

    /// Waits until the worker has applied a version.
    pub(crate) async fn applied(&self, version: u64) {
        wait::until("the worker has applied the version", SOON, async || {
            self.status().await.catalog_version >= version
        })
        .await;
    }

    pub(crate) async fn status(&self) -> StatusReply {
        self.ask(subjects::STATUS_SUBJECT, &StatusRequest {}).await.expect("a status")
    }

    pub(crate) async fn search(&self, tenant: &str, request: &SearchRequest) -> SearchReply {
        self.try_search(tenant, request).await.expect("an answer")
    }

    pub(crate) async fn try_search(
        &self,
        tenant: &str,
        request: &SearchRequest,
    ) -> Result<SearchReply, Fault> {
        self.ask(&format!("search.v1.{tenant}"), request).await
    }

    pub(crate) async fn get(&self, tenant: &str, tool_id: &str, roles: &[&str]) -> Result<GetReply, Fault> {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        self.ask(&format!("get.v1.{tenant}"), &GetRequest { tool_id: tool_id.parse().expect("an id"), roles })
            .await
    }

    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: &impl Serialize,
    ) -> Result<T, Fault> {
        match request(&self.nats, subject, encode(body), 2 * SOON).await {
            Ok(body) => Ok(decode(&body).expect("a reply of the contract")),
            Err(RequestError::Fault(fault)) => Err(fault),
            Err(other) => panic!("no answer on {subject}: {other}"),
        }
    }
}

pub(crate) fn key(tenant: &str, tool: &Tool) -> ToolKey {
    let tenant: Tenant = tenant.parse().expect("a tenant");
    ToolKey { tenant, domain: tool.domain.clone(), tool_name: tool.tool_name.clone() }
}

/// A tool with these fields over empty ones.
pub(crate) fn tool(name: &str, domain: &str, description: &str, more: Value) -> Tool {
    let mut fields = json!({ "tool_name": name, "domain": domain, "description": description });
    let Value::Object(more) = more else { panic!("more fields are an object") };
    fields.as_object_mut().expect("an object").extend(more);
    serde_json::from_value(fields).expect("a tool")
}

/// `count` tools about nothing that a test asks for.
pub(crate) fn crowd(count: usize) -> Vec<Tool> {
    (0..count)
        .map(|i| tool(&format!("filler_{i}"), "filler", &format!("Does thing number {i}."), json!({})))
        .collect()
}

pub(crate) fn ids(reply: &SearchReply) -> Vec<String> {
    reply.results.iter().map(|result| result.tool_id.to_string()).collect()
}

/// A model that takes its time, and counts.
#[derive(Default)]
pub(crate) struct Slow {
    pub(crate) latency_ms: AtomicU64,
    /// Texts that were embedded.
    pub(crate) texts: AtomicUsize,
    model: Hashing,
}

impl Model for Slow {
    fn fingerprint(&self) -> &Fingerprint {
        self.model.fingerprint()
    }

    fn dimensions(&self) -> NonZeroUsize {
        self.model.dimensions()
    }

    fn device(&self) -> DeviceKind {
        self.model.device()
    }

    fn tokenize(&self, role: Role, text: &str) -> Result<Tokens, ModelError> {
        self.model.tokenize(role, text)
    }

    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.texts.fetch_add(batch.len(), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(self.latency_ms.load(Ordering::Relaxed)));
        self.model.encode(batch)
    }

    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        Ok(None)
    }
}
