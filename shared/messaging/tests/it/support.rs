//! A server per test, and handlers written as closures.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use toolweaver_messaging::{
    BatchHandler, Consumer, ConsumerConfig, Delivery, LocalServer, LocalServerConfig, Nats, NatsConfig,
    Outcome, Outgoing, StreamsConfig, connect, publish, streams,
};
use toolweaver_testkit::parts;

/// Time that a state may take to come.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) struct TestServer {
    pub(crate) server: LocalServer,
    pub(crate) dir: TempDir,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = LocalServer::start(config(&dir, 0)).await.unwrap();
        Self { server, dir }
    }

    /// Restarts it: the same port and data, another process.
    pub(crate) async fn restart(self) -> Self {
        let Self { server, dir } = self;
        let port = server.port();
        server.shutdown().await;
        let server = LocalServer::start(config(&dir, port)).await.unwrap();
        Self { server, dir }
    }

    pub(crate) async fn connect(&self) -> Nats {
        connect(&NatsConfig::for_url(self.server.url()), "test").await.unwrap()
    }

    /// Returns a connection, after the three streams were made.
    pub(crate) async fn ready(&self) -> Nats {
        let nats = self.connect().await;
        streams::ensure(&nats, &StreamsConfig::default()).await.unwrap();
        nats
    }
}

pub(crate) fn config(dir: &TempDir, port: u16) -> LocalServerConfig {
    LocalServerConfig { binary: Some(parts::nats_server()), data_dir: dir.path().to_owned(), port }
}

pub(crate) fn tool_subject(number: usize) -> String {
    format!("tools.v1.acme.github.tool_{number}")
}

/// Publishes one message for each of `count` tools.
pub(crate) async fn publish_tools(nats: &Nats, count: usize) {
    for number in 0..count {
        publish(nats, Outgoing::new(tool_subject(number), format!("body {number}"))).await.unwrap();
    }
}

pub(crate) fn consumer(nats: &Nats, change: impl FnOnce(&mut ConsumerConfig)) -> Consumer {
    let mut config = ConsumerConfig::new("TOOLS", "test-worker");
    change(&mut config);
    Consumer::new(nats.clone(), config)
}

pub(crate) fn at_most(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

/// Handler from a closure; remembers every batch it saw.
pub(crate) struct Script<F> {
    pub(crate) seen: Mutex<Vec<Vec<Delivery>>>,
    decide: F,
}

impl<F: Fn(&Delivery) -> Outcome> Script<F> {
    pub(crate) fn new(decide: F) -> Self {
        Self { seen: Mutex::default(), decide }
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.seen.lock().unwrap().concat()
    }

    pub(crate) fn batch_sizes(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().map(Vec::len).collect()
    }
}

impl<F: Fn(&Delivery) -> Outcome + Send + Sync> BatchHandler for Script<F> {
    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        self.seen.lock().unwrap().push(batch.to_vec());
        batch.iter().map(&self.decide).collect()
    }
}

/// A consumer that runs until it is stopped.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(consumer: &Consumer, handler: impl BatchHandler + 'static) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (consumer, stop) = (consumer.clone(), stop.clone());
            async move { consumer.run(handler, stop).await }
        });
        Self { stop, task }
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(SOON, self.task).await.expect("the consumer stops in time").unwrap();
    }
}

/// Returns whether everything was delivered and acknowledged.
pub(crate) async fn is_drained(consumer: &Consumer) -> bool {
    consumer.lag().await.is_ok_and(|lag| lag.pending == 0 && lag.ack_pending == 0)
}

/// Returns the payloads that a stream holds, in order.
pub(crate) async fn contents(nats: &Nats, stream: &str) -> Vec<(String, Bytes)> {
    let handle = nats.jetstream().get_stream(stream).await.unwrap();
    let state = handle.cached_info().state.clone();
    let mut messages = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        if let Ok(message) = handle.get_raw_message(sequence).await {
            messages.push((message.subject.to_string(), message.payload));
        }
    }
    messages
}
