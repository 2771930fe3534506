//! The thread behind an embedder: order, batches, full devices, callers that leave, and its own end.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use toolweaver_embedding::{
    DeviceKind, EmbedError, Embedder, Fingerprint, Hashing, Limits, Model, ModelError, Role, Tokens,
};

/// A GPU with room for so many texts at once, and hashing for weights.
struct SmallGpu {
    hashing: Hashing,
    texts_max: usize,
    /// Whether the CPU takes over.
    cpu: Option<Arc<dyn Model>>,
}

impl SmallGpu {
    fn new(texts_max: usize) -> Arc<Self> {
        Arc::new(Self { hashing: Hashing::new(), texts_max, cpu: Some(Arc::new(Hashing::new())) })
    }
}

impl Model for SmallGpu {
    fn fingerprint(&self) -> &Fingerprint {
        self.hashing.fingerprint()
    }
    fn dimensions(&self) -> NonZeroUsize {
        self.hashing.dimensions()
    }
    fn device(&self) -> DeviceKind {
        DeviceKind::Cuda
    }
    fn tokenize(&self, role: Role, text: &str) -> Result<Tokens, ModelError> {
        self.hashing.tokenize(role, text)
    }
    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        if batch.len() > self.texts_max {
            let (texts, tokens_longest) = (batch.len(), 1);
            return Err(ModelError::OutOfMemory { device: DeviceKind::Cuda, texts, tokens_longest });
        }
        self.hashing.encode(batch)
    }
    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        Ok(self.cpu.clone())
    }
}

/// Hashing that stops in every batch until it is let go, and panics when told to.
struct Gated {
    hashing: Hashing,
    entered: UnboundedSender<()>,
    go_on: Mutex<Receiver<()>>,
    panics: AtomicBool,
}

/// The other side of [`Gated`].
struct Gate {
    model: Arc<Gated>,
    entered: UnboundedReceiver<()>,
    go_on: Sender<()>,
}

fn gated() -> Gate {
    let (entered_by, entered) = unbounded_channel();
    let (go_on, goes_on) = channel();
    let model = Arc::new(Gated {
        hashing: Hashing::new(),
        entered: entered_by,
        go_on: Mutex::new(goes_on),
        panics: AtomicBool::new(false),
    });
    Gate { model, entered, go_on }
}

impl Model for Gated {
    fn fingerprint(&self) -> &Fingerprint {
        self.hashing.fingerprint()
    }
    fn dimensions(&self) -> NonZeroUsize {
        self.hashing.dimensions()
    }
    fn device(&self) -> DeviceKind {
        DeviceKind::Cpu
    }
    fn tokenize(&self, role: Role, text: &str) -> Result<Tokens, ModelError> {
        if text == "untokenizable" {
            return Err(ModelError::Tokenize("as the test wants it".into()));
        }
        self.hashing.tokenize(role, text)
    }
    fn encode(&self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        self.entered.send(()).expect("the test waits");
        self.go_on.lock().expect("not poisoned").recv().expect("the test lets it go");
        assert!(!self.panics.load(Ordering::Relaxed), "as the test wants it");
        self.hashing.encode(batch)
    }
    fn on_cpu(&self) -> Result<Option<Arc<dyn Model>>, ModelError> {
        Ok(None)
    }
}

fn texts(count: usize) -> Vec<String> {
    // Of different lengths, longest first, so that sorting by length changes the order.
    (0..count).map(|i| format!("text {i}, {}", "and more ".repeat(count - i))).collect()
}

fn directly(texts: &[String]) -> Vec<Vec<f32>> {
    let model = Hashing::new();
    let tokens: Vec<_> =
        texts.iter().map(|text| model.tokenize(Role::Passage, text).expect("it hashes anything")).collect();
    model.encode(&tokens).expect("it hashes anything")
}

fn limits(tokens_per_batch_max: usize, requests_waiting_max: usize) -> Limits {
    Limits {
        tokens_per_batch_max: NonZeroUsize::new(tokens_per_batch_max).expect("not zero"),
        requests_waiting_max: NonZeroUsize::new(requests_waiting_max).expect("not zero"),
        ..Limits::default()
    }
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_texts_whatever_the_batches() {
    let texts = texts(40);
    for tokens_per_batch_max in [1, 100, 1000, 1_000_000] {
        let embedder = Embedder::spawn(Arc::new(Hashing::new()), limits(tokens_per_batch_max, 1));
        assert_eq!(embedder.embed(Role::Passage, texts.clone()).await.unwrap(), directly(&texts));
        let stats = embedder.stats();
        assert_eq!(stats.texts, 40);
        assert!(stats.padded_tokens >= stats.tokens && stats.tokens > 40);
        assert!(stats.batches >= 40 / u64::try_from(tokens_per_batch_max.min(40)).unwrap());
    }
}

#[tokio::test]
async fn no_texts_are_no_work() {
    let embedder = Embedder::spawn(Arc::new(Hashing::new()), Limits::default());
    assert!(embedder.embed(Role::Passage, Vec::new()).await.unwrap().is_empty());
    assert_eq!(embedder.stats().batches, 0);
}

#[tokio::test]
async fn a_batch_that_does_not_fit_is_halved() {
    let texts = texts(16);
    let embedder = Embedder::spawn(SmallGpu::new(4), limits(1_000_000, 1));
    assert_eq!(embedder.embed(Role::Passage, texts.clone()).await.unwrap(), directly(&texts));
    let stats = embedder.stats();
    // 16 and twice 8 were too many; four times 4 fitted.
    assert_eq!((stats.out_of_memory, stats.batches, stats.texts), (3, 4, 16));
    assert_eq!(stats.device, DeviceKind::Cuda);
}

#[tokio::test]
async fn the_cpu_takes_over_when_not_even_one_text_fits() {
    let texts = texts(4);
    let embedder = Embedder::spawn(SmallGpu::new(0), limits(1_000_000, 1));
    assert_eq!(embedder.stats().device, DeviceKind::Cuda);
    assert_eq!(embedder.embed(Role::Passage, texts.clone()).await.unwrap(), directly(&texts));
    assert_eq!(embedder.stats().device, DeviceKind::Cpu);
    let out_of_memory = embedder.stats().out_of_memory;
    embedder.embed(Role::Passage, texts).await.unwrap();
    assert_eq!(embedder.stats().out_of_memory, out_of_memory, "it stays on the cpu for a while");
}

#[tokio::test]
async fn the_device_is_tried_again_later() {
    let limits = Limits { device_retry_after: Duration::ZERO, ..Limits::default() };
    let embedder = Embedder::spawn(SmallGpu::new(0), limits);
    for i in 1..=3 {
        assert_eq!(embedder.embed(Role::Passage, texts(1)).await.unwrap(), directly(&texts(1)));
        assert_eq!(embedder.stats().out_of_memory, i);
    }
}

#[tokio::test]
async fn without_a_cpu_to_go_to_the_error_is_told_and_the_thread_lives_on() {
    let model = SmallGpu { hashing: Hashing::new(), texts_max: 0, cpu: None };
    let embedder = Embedder::spawn(Arc::new(model), Limits::default());
    let error = embedder.embed(Role::Passage, texts(2)).await.unwrap_err();
    assert!(matches!(&error, EmbedError::Model { source, .. } if source.is_out_of_memory()), "{error:?}");
    assert!(error.is_transient());
    assert!(embedder.is_alive());
}

#[tokio::test]
async fn requests_that_wait_together_are_computed_together() {
    let mut gate = gated();
    let embedder = Embedder::spawn(gate.model, limits(1_000_000, 8));
    let first = tokio::spawn({
        let embedder = embedder.clone();
        async move { embedder.embed(Role::Passage, texts(1)).await }
    });
    gate.entered.recv().await.expect("the first request reaches the model");
    // Each is polled once, and so waits in the channel, before the gate opens.
    let (a, b, c, ()) = tokio::join!(
        embedder.embed(Role::Passage, texts(3)),
        embedder.embed(Role::Passage, vec!["untokenizable".to_owned()]),
        embedder.embed(Role::Passage, texts(2)),
        async {
            gate.go_on.send(()).expect("the model waits");
            gate.go_on.send(()).expect("the model waits");
        }
    );
    assert_eq!(first.await.unwrap().unwrap(), directly(&texts(1)));
    assert_eq!(a.unwrap(), directly(&texts(3)));
    assert_eq!(c.unwrap(), directly(&texts(2)));
    assert!(!b.unwrap_err().is_transient(), "only the bad request fails, and for ever");
    assert_eq!(embedder.stats().batches, 2);
}

#[tokio::test]
async fn a_caller_that_left_costs_nothing() {
    let gate = gated();
    let embedder = Embedder::spawn(gate.model, limits(1_000_000, 8));
    for _ in 0..3 {
        // Times out after the one poll that puts the request into the channel.
        let left = tokio::time::timeout(Duration::ZERO, embedder.embed(Role::Passage, texts(5))).await;
        assert!(left.is_err());
    }
    gate.go_on.send(()).unwrap();
    gate.go_on.send(()).unwrap();
    assert_eq!(embedder.embed(Role::Passage, texts(1)).await.unwrap(), directly(&texts(1)));
    let computed = embedder.stats().texts;
    assert!(computed == 1 || computed == 6, "at most the one that had begun was computed: {computed}");
}

#[tokio::test]
async fn a_panic_reaches_every_caller_and_ends_the_embedder() {
    let gate = gated();
    gate.model.panics.store(true, Ordering::Relaxed);
    let embedder = Embedder::spawn(gate.model, limits(1_000_000, 1));
    gate.go_on.send(()).unwrap();
    let (a, b, c) = tokio::join!(
        embedder.embed(Role::Passage, texts(1)),
        embedder.embed(Role::Passage, texts(1)),
        embedder.embed(Role::Passage, texts(1))
    );
    for result in [a, b, c] {
        assert!(matches!(result, Err(EmbedError::Stopped)), "{result:?}");
    }
    tokio::time::timeout(Duration::from_secs(10), embedder.stopped()).await.expect("it has stopped");
    assert!(!embedder.is_alive());
    assert!(matches!(embedder.embed(Role::Passage, texts(1)).await, Err(EmbedError::Stopped)));
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_thread() {
    let model = Arc::new(Hashing::new());
    let embedder = Embedder::spawn(Arc::clone(&model) as Arc<dyn Model>, Limits::default());
    let clone = embedder.clone();
    drop(embedder);
    assert_eq!(clone.embed(Role::Passage, texts(1)).await.unwrap().len(), 1);
    drop(clone);
    let deadline = Instant::now() + Duration::from_secs(10);
    while Arc::strong_count(&model) > 1 {
        assert!(Instant::now() < deadline, "the thread still holds the model");
        tokio::task::yield_now().await;
    }
}
