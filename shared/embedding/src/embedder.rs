//! The thread that owns the work: callers hand in texts, it batches them, computes and answers.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::stats::Counters;
use crate::{DeviceKind, Fingerprint, Model, ModelError, Role, Stats, Tokens, plan};

/// A handle to one thread that embeds. Clones share the thread; dropping the last one ends it.
#[derive(Debug, Clone)]
pub struct Embedder {
    requests: mpsc::Sender<Request>,
    counters: Arc<Counters>,
    fingerprint: Fingerprint,
    dimensions: NonZeroUsize,
}

/// The limits of the work that an embedder takes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of one batch, padding included.
    pub tokens_per_batch_max: NonZeroUsize,
    /// Requests that wait while one batch is computed; further callers wait for a place. Requests that wait
    /// together are computed together, so a higher number serves many small callers better.
    pub requests_waiting_max: NonZeroUsize,
    /// After a single text did not fit into the GPU's memory the CPU computes; so much later the GPU is tried
    /// again.
    pub device_retry_after: Duration,
}

impl Default for Limits {
    /// Returns 4096 tokens a batch, one request waiting so that exactly one is prefetched, a minute on the
    /// CPU.
    fn default() -> Self {
        Self {
            tokens_per_batch_max: const { NonZeroUsize::new(4096).unwrap() },
            requests_waiting_max: NonZeroUsize::MIN,
            device_retry_after: Duration::from_mins(1),
        }
    }
}

/// The reason why texts were not embedded.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The model failed on one of the texts, or on a text of the same batch.
    #[error("cannot embed {texts} texts")]
    Model {
        /// The number of texts asked for.
        texts: usize,
        /// The model's error.
        #[source]
        source: Arc<ModelError>,
    },
    /// The thread is gone: it panicked, and this process will not embed again.
    #[error("the embedding thread has stopped")]
    Stopped,
}

impl EmbedError {
    /// Returns whether the same texts may succeed later, in this process or in the one that replaces it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Model { source, .. } => source.is_transient(),
            Self::Stopped => true,
        }
    }
}

impl Embedder {
    /// Starts the thread.
    pub fn spawn(model: Arc<dyn Model>, limits: Limits) -> Self {
        let (requests, inbox) = mpsc::channel(limits.requests_waiting_max.get());
        let counters = Arc::new(Counters::new(model.device()));
        let handle = Self {
            requests,
            counters: Arc::clone(&counters),
            fingerprint: model.fingerprint().clone(),
            dimensions: model.dimensions(),
        };
        let worker = Worker { inbox, model, limits, cpu: None, cpu_until: None, counters };
        std::thread::Builder::new()
            .name("embedder".to_owned())
            .spawn(move || worker.run())
            .expect("the operating system starts one more thread");
        handle
    }

    /// Computes one vector of length 1 for each text, in the order of the texts, all of the same `role`.
    ///
    /// The texts come without prefix; the model puts it before them.
    ///
    /// Waits for its turn. A caller that gives up (drops the future) before its turn costs nothing.
    pub async fn embed(&self, role: Role, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { role, texts, reply }).await.map_err(|_| EmbedError::Stopped)?;
        answer.await.map_err(|_| EmbedError::Stopped)?
    }

    /// Returns whether the thread still runs. It ends by itself only when it panicked.
    pub fn is_alive(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Returns when the thread has stopped. A service that cannot embed should stop too.
    pub async fn stopped(&self) {
        self.requests.closed().await;
    }

    /// Returns the totals since the start.
    pub fn stats(&self) -> Stats {
        self.counters.snapshot()
    }

    /// Returns the model's identity.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Returns the dimensions of the model's vectors.
    pub fn dimensions(&self) -> NonZeroUsize {
        self.dimensions
    }
}

#[derive(Debug)]
struct Request {
    role: Role,
    texts: Vec<String>,
    reply: oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>,
}

/// A request whose texts are being computed.
struct Open {
    vectors: Vec<Vec<f32>>,
    missing: usize,
    /// `None` once answered.
    reply: Option<oneshot::Sender<Result<Vec<Vec<f32>>, EmbedError>>>,
}

/// The destination of a vector: the request and the text's place in it.
type Place = (usize, usize);

struct Worker {
    inbox: mpsc::Receiver<Request>,
    model: Arc<dyn Model>,
    limits: Limits,
    /// The model on the CPU, once it was needed.
    cpu: Option<Arc<dyn Model>>,
    cpu_until: Option<Instant>,
    counters: Arc<Counters>,
}

impl Worker {
    // A panic in here unwinds: the inbox and the open replies are dropped, which is how callers learn of it.
    fn run(mut self) {
        while let Some(first) = self.inbox.blocking_recv() {
            let started = Instant::now();
            self.answer(first);
            self.counters.busy_for(started.elapsed());
        }
    }

    /// Answers `first` and what waits behind it, as far as one batch reaches.
    fn answer(&mut self, first: Request) {
        let mut open = Vec::new();
        let mut work: Vec<(Place, Tokens)> = Vec::new();
        let mut tokens = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            // A closed reply is a caller that has given up.
            if !request.reply.is_closed() {
                tokens += self.open(request, &mut open, &mut work);
            }
            next = if tokens < self.limits.tokens_per_batch_max.get() {
                self.inbox.try_recv().ok()
            } else {
                None
            };
        }

        work.sort_by_key(|(_, tokens)| tokens.len());
        let (places, texts): (Vec<Place>, Vec<Tokens>) = work.into_iter().unzip();
        let lengths: Vec<usize> = texts.iter().map(Tokens::len).collect();
        for batch in plan(&lengths, self.limits.tokens_per_batch_max.get()) {
            match self.encode(&texts[batch.clone()]) {
                Ok(vectors) => {
                    for (&(request, text), vector) in places[batch].iter().zip(vectors) {
                        open[request].accept(text, vector);
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    places[batch].iter().for_each(|&(request, _)| open[request].fail(&error));
                }
            }
        }
    }

    /// Tokenizes a request into `work`, or fails it. Returns the number of its tokens.
    fn open(&self, request: Request, open: &mut Vec<Open>, work: &mut Vec<(Place, Tokens)>) -> usize {
        let texts = request.texts.len();
        let mut entry = Open { vectors: vec![Vec::new(); texts], missing: texts, reply: Some(request.reply) };
        match request
            .texts
            .iter()
            .map(|text| self.model.tokenize(request.role, text))
            .collect::<Result<Vec<_>, _>>()
        {
            Ok(tokens) => {
                let total = tokens.iter().map(Tokens::len).sum();
                work.extend(
                    tokens.into_iter().enumerate().map(|(text, tokens)| ((open.len(), text), tokens)),
                );
                open.push(entry);
                total
            }
            Err(error) => {
                entry.fail(&Arc::new(error));
                0
            }
        }
    }

    fn encode(&mut self, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        let model = self.model_now();
        self.encode_on(&model, batch)
    }

    /// Halves a batch that does not fit; hands a single text that does not fit to the CPU.
    fn encode_on(&mut self, model: &Arc<dyn Model>, batch: &[Tokens]) -> Result<Vec<Vec<f32>>, ModelError> {
        match model.encode(batch) {
            Ok(vectors) => {
                let longest = batch.iter().map(Tokens::len).max().unwrap_or(0);
                let tokens = batch.iter().map(Tokens::len).sum();
                self.counters.batch_done(batch.len(), tokens, batch.len() * longest, model.device());
                Ok(vectors)
            }
            Err(error) if error.is_out_of_memory() => {
                self.counters.out_of_memory();
                if batch.len() > 1 {
                    let (left, right) = batch.split_at(batch.len() / 2);
                    let mut vectors = self.encode(left)?;
                    vectors.extend(self.encode(right)?);
                    return Ok(vectors);
                }
                let cpu = self.move_to_cpu(model, error)?;
                self.encode_on(&cpu, batch)
            }
            Err(error) => Err(error),
        }
    }

    fn model_now(&mut self) -> Arc<dyn Model> {
        match (&self.cpu, self.cpu_until) {
            (Some(cpu), Some(until)) if Instant::now() < until => return Arc::clone(cpu),
            (_, Some(_)) => {
                self.cpu_until = None;
                tracing::info!(device = %self.model.device(), "trying the configured device again");
            }
            _ => {}
        }
        Arc::clone(&self.model)
    }

    /// Returns the model on the CPU in place of `full`, which failed with `error`; that error if `full` is on
    /// the CPU.
    fn move_to_cpu(
        &mut self,
        full: &Arc<dyn Model>,
        error: ModelError,
    ) -> Result<Arc<dyn Model>, ModelError> {
        let retry_after = self.limits.device_retry_after;
        tracing::warn!(%error, ?retry_after, "the device has no memory for a single text: the cpu takes over");
        let cpu = match self.cpu.take() {
            Some(cpu) if full.device() != DeviceKind::Cpu => cpu,
            _ => full.on_cpu()?.ok_or(error)?,
        };
        self.cpu = Some(Arc::clone(&cpu));
        self.cpu_until = Some(Instant::now() + retry_after);
        Ok(cpu)
    }
}

impl Open {
    fn accept(&mut self, text: usize, vector: Vec<f32>) {
        self.vectors[text] = vector;
        self.missing -= 1;
        if self.missing == 0
            && let Some(reply) = self.reply.take()
        {
            // The caller may have given up meanwhile.
            let _ = reply.send(Ok(std::mem::take(&mut self.vectors)));
        }
    }

    fn fail(&mut self, error: &Arc<ModelError>) {
        if let Some(reply) = self.reply.take() {
            let source = Arc::clone(error);
            let _ = reply.send(Err(EmbedError::Model { texts: self.vectors.len(), source }));
        }
    }
}
