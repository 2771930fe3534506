//! A server per test, workers on it, and what they left in the streams.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use toolweaver_contracts::subjects::{self, INDEXED_STREAM, REJECTED_STREAM, TOOLS_STREAM};
use toolweaver_contracts::{IndexedEvent, Rejection, TEXT_VECTOR, Tenant, Tool, ToolKey, decode};
use toolweaver_embedding::{
    DeviceKind, Embedder, Fingerprint, Hashing, Limits, Model, ModelError, Role, Tokens, template,
};
use toolweaver_embedding_worker::{Dependencies, IndexingSettings, run};
use toolweaver_messaging::consumer::{Lag, lag};
use toolweaver_messaging::publish::{StoredMessage, last_message};
use toolweaver_messaging::{
    LocalServer, LocalServerConfig, Nats, NatsConfig, Outgoing, StreamsConfig, connect, publish, streams,
};
use toolweaver_service_runtime::telemetry::metrics;
use toolweaver_service_runtime::{DrainConfig, Runtime, ServiceError};
use toolweaver_testkit::{parts, sample, wait};
use toolweaver_vector_store::{Qdrant, QdrantConfig};

/// The time in which a state must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The same where something must be delivered again first.
pub(crate) const AFTER_REDELIVERY: Duration = Duration::from_mins(1);

/// A server with the three streams, and a connection to it.
pub(crate) struct Rig {
    pub(crate) nats: Nats,
    server: LocalServer,
    _data: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        metrics::install("embedding-worker-test");
        let data = tempfile::tempdir().unwrap();
        let config = LocalServerConfig {
            binary: Some(parts::nats_server()),
            data_dir: data.path().to_owned(),
            port: 0,
        };
        let server = LocalServer::start(config).await.unwrap();
        let nats = connect(&NatsConfig::for_url(server.url()), "test").await.unwrap();
        streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
        Self { nats, server, _data: data }
    }

    /// Returns the configuration of a connection of its own, for a worker that is to die with it.
    pub(crate) fn nats_config(&self) -> NatsConfig {
        NatsConfig::for_url(self.server.url())
    }

    /// Publishes to TOOLS; returns the revision.
    pub(crate) async fn publish(&self, subject: &str, body: &[u8]) -> u64 {
        publish(&self.nats, Outgoing::new(subject, body.to_vec())).await.unwrap().stream_sequence
    }

    pub(crate) async fn register(&self, tool: &Tool) -> u64 {
        self.publish(&subjects::tools(&key(tool)), &registered(tool)).await
    }

    pub(crate) async fn remove(&self, tool: &Tool) -> u64 {
        self.publish(&subjects::tools(&key(tool)), br#"{"event":"removed"}"#).await
    }

    pub(crate) async fn indexed(&self, key: &ToolKey) -> Option<IndexedEvent> {
        decode(&self.indexed_message(key).await?.payload).expect("INDEXED holds events")
    }

    pub(crate) async fn indexed_message(&self, key: &ToolKey) -> Option<StoredMessage> {
        last_message(&self.nats, INDEXED_STREAM, &subjects::indexed(key)).await.unwrap()
    }

    /// Returns the last rejection of what was published on `subject`.
    pub(crate) async fn rejected(&self, subject: &str) -> Option<Rejection> {
        let message =
            last_message(&self.nats, REJECTED_STREAM, &subjects::rejected(subject)).await.unwrap()?;
        Some(decode(&message.payload).expect("REJECTED holds rejections"))
    }

    /// Waits until INDEXED has this revision of the tool, and returns its event.
    pub(crate) async fn until_indexed(&self, tool: &Tool, revision: u64, within: Duration) -> IndexedEvent {
        let what = format!("revision {revision} of {} in INDEXED", tool.tool_name);
        wait::until(&what, within, async || {
            self.indexed(&key(tool)).await.filter(|event| event.revision() == revision)
        })
        .await
    }

    pub(crate) async fn messages(&self, stream: &str) -> u64 {
        streams::state(&self.nats, stream).await.unwrap().messages
    }

    /// Returns the lag of the workers with this model.
    pub(crate) async fn lag(&self, model: &Fingerprint) -> Lag {
        lag(&self.nats, TOOLS_STREAM, &subjects::embedding_consumer(model.short())).await.unwrap()
    }

    /// Waits until every event is acknowledged.
    pub(crate) async fn until_acknowledged(&self, model: &Fingerprint, within: Duration) {
        wait::until("everything is acknowledged", within, async || {
            let lag = self.lag(model).await;
            lag.pending == 0 && lag.ack_pending == 0
        })
        .await;
    }
}

/// A worker that runs until it is stopped.
pub(crate) struct Worker {
    pub(crate) runtime: Runtime,
    pub(crate) embedder: Embedder,
}

impl Worker {
    /// Starts a worker with hashed words and without a vector database.
    pub(crate) async fn start(rig: &Rig) -> Self {
        Self::start_with(rig, Arc::new(Hashing::new()), None).await
    }

    pub(crate) async fn start_with(rig: &Rig, model: Arc<dyn Model>, vectors: Option<Qdrant>) -> Self {
        let worker = Self {
            runtime: Runtime::new(DrainConfig { drain_timeout_seconds: 25 }),
            embedder: Embedder::spawn(model, Limits::default()),
        };
        let dependencies =
            Dependencies { nats: rig.nats.clone(), embedder: worker.embedder.clone(), vectors };
        run(&settings(), &StreamsConfig::default(), dependencies, &worker.runtime).await.unwrap();
        worker
    }

    /// Texts that went through the model so far; compare with [`texts_of`].
    pub(crate) fn embedded(&self) -> u64 {
        self.embedder.stats().texts
    }

    pub(crate) async fn stop(self) {
        self.runtime.shutdown.begin();
        self.joined().await.unwrap();
    }

    pub(crate) async fn joined(&self) -> Result<(), ServiceError> {
        tokio::time::timeout(SOON, self.runtime.join()).await.expect("the worker ends in time")
    }
}

pub(crate) fn settings() -> IndexingSettings {
    let some = |number| NonZeroUsize::new(number).unwrap();
    IndexingSettings {
        embedding_batch_max: some(256),
        embedding_linger_ms: 20,
        embedding_batches_at_once: some(2),
        embedding_tombstone_hours: some(168).try_into().unwrap(),
    }
}

pub(crate) fn qdrant(url: &str) -> Qdrant {
    qdrant_of(url, Hashing::new().dimensions())
}

/// Returns the same collection for vectors of another length.
pub(crate) fn qdrant_of(url: &str, dimensions: NonZeroUsize) -> Qdrant {
    Qdrant::new(&QdrantConfig::at(url), Hashing::new().fingerprint().hex(), dimensions).unwrap()
}

pub(crate) fn tenant() -> Tenant {
    Tenant::default()
}

pub(crate) fn key(tool: &Tool) -> ToolKey {
    sample::key(&tenant(), tool)
}

/// Returns the body of a registration.
pub(crate) fn registered(tool: &Tool) -> Vec<u8> {
    serde_json::to_vec(&json!({ "event": "registered", "tool": tool })).unwrap()
}

/// Returns a tool of the domain `general` with this name and description, and more fields if given.
pub(crate) fn tool(name: &str, description: &str) -> Tool {
    tool_with(json!({ "tool_name": name, "description": description }))
}

pub(crate) fn tool_with(fields: Value) -> Tool {
    serde_json::from_value(fields).unwrap()
}

/// Returns the vector of an event, and the model that made it.
pub(crate) fn vector_of(event: &IndexedEvent) -> (&str, &[f32]) {
    match event {
        IndexedEvent::Indexed { model, vectors, .. } => (model, &vectors[TEXT_VECTOR].0),
        IndexedEvent::Removed { revision } => panic!("revision {revision} is a removal"),
    }
}

/// Hashed words, computed only while a gate is open: a batch can be held in its middle.
pub(crate) struct Gated {
    model: Hashing,
    state: Mutex<GateState>,
    changed: Condvar,
}

struct GateState {
    open: bool,
    waiting: usize,
}

impl Gated {
    pub(crate) fn closed() -> Arc<Self> {
        let state = Mutex::new(GateState { open: false, waiting: 0 });
        Arc::new(Self { model: Hashing::new(), state, changed: Condvar::new() })
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    /// Waits until a batch has come to the gate.
    pub(crate) async fn until_reached(&self) {
        wait::until("a batch is in the model", SOON, async || self.state.lock().unwrap().waiting > 0).await;
    }
}

impl Model for Gated {
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
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        while !state.open {
            state = self.changed.wait(state).unwrap();
        }
        state.waiting -= 1;
        drop(state);
        self.model.encode(batch)
    }

    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        Ok(None)
    }
}

/// Returns the number of different texts that make up the vectors of these tools.
pub(crate) fn texts_of<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> u64 {
    let texts: HashSet<String> = tools.into_iter().flat_map(template::passages).collect();
    texts.len() as u64
}
