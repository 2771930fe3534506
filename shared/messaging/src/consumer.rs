//! Durable pull consumer: batches in, outcomes out. Nothing else acknowledges.
//!
//! ```text
//! stream ──pull request──▶ batch ──BatchHandler──▶ outcomes ──▶ ack | delayed nak | REJECTED + term
//!     (size or linger)  at most one batch in the process: a slow handler slows the requests,
//!                       and the rest waits in the stream
//! ```
//! What a message means, and when to try it again or to give it up, is the handler's to say.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{AckKind, ErrorCode, Message as StreamMessage};
use bytes::Bytes;
use opentelemetry::Context;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, error};

use toolweaver_contracts::Fault;

use crate::ack::AckBatch;
use crate::outage_log::OutageLog;
use crate::pull::Puller;
use crate::trace::BatchSpans;
use crate::{Nats, ack, metrics, trace};

/// Pause before a batch is tried again whose handler broke its contract.
const BROKEN_HANDLER_PAUSE: Duration = Duration::from_secs(5);

/// Message of a stream.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Subject that it was published on.
    pub subject: String,
    /// Body.
    pub payload: Bytes,
    /// Sequence in the stream; in TOOLS this is the tool's revision.
    pub stream_sequence: u64,
    /// Number of deliveries to this consumer, this one included.
    pub attempts: u64,
    /// Time at which the server stored it.
    pub published_at: OffsetDateTime,
    /// Span of this message in the trace of its publisher; disabled where that is not recorded. What is
    /// published because of the message belongs into it.
    pub span: Span,
}

/// Outcome of one delivery, as its handler decides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done: everything it asked for is stored. It is not delivered again.
    Done,
    /// Failed for now: it is delivered again after this pause.
    RetryAfter(Duration),
    /// Can never succeed: it goes to REJECTED with this reason and is not delivered again.
    Reject(Fault),
}

/// Handler of batches.
pub trait BatchHandler: Send + Sync {
    /// Handles a batch in stream order and returns one outcome per delivery, in the same order.
    ///
    /// May take longer than the acknowledgement deadline: it is extended meanwhile. Is never cancelled by a
    /// stop. May see a message again that it has handled before.
    fn handle(&self, batch: &[Delivery]) -> impl Future<Output = Vec<Outcome>> + Send;
}

impl<H: BatchHandler> BatchHandler for Arc<H> {
    async fn handle(&self, batch: &[Delivery]) -> Vec<Outcome> {
        (**self).handle(batch).await
    }
}

/// Configuration of a durable consumer.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Name of the stream to read.
    pub stream: String,
    /// Name under which the server remembers what was acknowledged; several processes share one.
    pub durable: String,
    /// Largest batch.
    pub batch_max: NonZeroUsize,
    /// Time that a batch waits for more messages after its first; zero takes what is there.
    pub linger: Duration,
    /// Acknowledgement deadline: after this time without a word the server delivers a message again.
    pub ack_wait: Duration,
    /// Most messages delivered and not yet acknowledged, over all processes that share the consumer.
    pub ack_pending_max: usize,
}

impl ConsumerConfig {
    /// Creates a configuration with batches of up to 256 within 5 ms, 30 s to acknowledge, and 4,096
    /// unacknowledged.
    pub fn new(stream: impl Into<String>, durable: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            durable: durable.into(),
            batch_max: NonZeroUsize::new(256).expect("256 is not zero"),
            linger: Duration::from_millis(5),
            ack_wait: Duration::from_secs(30),
            ack_pending_max: 4_096,
        }
    }
}

/// Lag of a consumer behind its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// Name of the consumer.
    pub durable: String,
    /// Messages never delivered to it.
    pub pending: u64,
    /// Messages delivered and not acknowledged.
    pub ack_pending: u64,
    /// Every message up to this sequence is acknowledged.
    pub ack_floor_stream_sequence: u64,
}

/// Error of making or reading a consumer on the server.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} consumer {durable} of stream {stream}")]
pub struct ConsumerError {
    operation: &'static str,
    stream: String,
    durable: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl ConsumerError {
    /// Returns whether the same call may succeed later: the stream may not be there yet, the server may be
    /// restarting.
    pub fn is_transient(&self) -> bool {
        true
    }
}

/// Durable consumer of one stream. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Consumer {
    nats: Nats,
    config: ConsumerConfig,
}

impl Consumer {
    /// Creates a consumer; on the server it is made later.
    pub fn new(nats: Nats, config: ConsumerConfig) -> Self {
        Self { nats, config }
    }

    /// Makes the consumer on the server, or brings it up to date. [`Consumer::run`] does it too; call this to
    /// know early, or to have [`Consumer::lag`] before the first batch.
    pub async fn ensure(&self) -> Result<(), ConsumerError> {
        metrics::declare(&self.config.stream);
        self.open().await.map(|_| ())
    }

    /// Forgets what was acknowledged: every message the stream still holds is delivered again. Processes that
    /// read with this consumer go on by themselves.
    pub async fn start_over(&self) -> Result<(), ConsumerError> {
        let ConsumerConfig { stream, durable, .. } = &self.config;
        match self.nats.jetstream().delete_consumer_from_stream(durable, stream).await {
            Ok(_) => {}
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(refusal)
                    if refusal.error_code() == ErrorCode::CONSUMER_NOT_FOUND => {}
                _ => return Err(consumer_error("delete", stream, durable, error)),
            },
        }
        self.ensure().await
    }

    /// Handles batches until `stop`. Then the batch in hand is finished, its outcomes are confirmed by the
    /// server, and this returns.
    ///
    /// Survives lost connections, restarted servers and a deleted consumer; an outage is logged when it
    /// begins and when it ends.
    pub async fn run(&self, handler: impl BatchHandler, stop: CancellationToken) {
        let mut outages = OutageLog::new(&self.config.stream, &self.config.durable);
        while !stop.is_cancelled() {
            let Some(opened) = stop.run_until_cancelled(self.open_puller()).await else { return };
            let problem = match opened {
                Ok(mut puller) => {
                    let problem = self.pull_batches(&mut puller, &handler, &stop, &mut outages).await;
                    let late = puller.close().await;
                    ack::return_unhandled(&self.nats, &late).await;
                    problem
                }
                Err(problem) => Some(problem),
            };
            let Some(problem) = problem else { return };
            let wait = outages.failed(problem.as_ref());
            let mut connections = self.nats.connections();
            let pause = async {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = connections.changed() => {}
                }
            };
            stop.run_until_cancelled(pause).await;
        }
    }

    /// Returns the lag of this consumer.
    pub async fn lag(&self) -> Result<Lag, ConsumerError> {
        lag(&self.nats, &self.config.stream, &self.config.durable).await
    }

    /// Pulls and handles batches; returns none when stopped, and else the error that ended it.
    async fn pull_batches(
        &self,
        puller: &mut Puller,
        handler: &impl BatchHandler,
        stop: &CancellationToken,
        outages: &mut OutageLog,
    ) -> Option<Box<dyn std::error::Error + Send + Sync>> {
        loop {
            let first = match stop.run_until_cancelled(puller.first()).await? {
                Ok(message) => message,
                Err(problem) => return Some(problem.into()),
            };
            outages.succeeded();
            let mut messages = puller.rest(self.config.batch_max.get() - 1, self.config.linger).await;
            messages.insert(0, first);
            // Outside the token: a batch is never cancelled half-way.
            self.process(messages, handler).await;
        }
    }

    async fn process(&self, messages: Vec<async_nats::Message>, handler: &impl BatchHandler) {
        let begin = Instant::now();
        let (deliveries, replies, batch) = self.parse(messages);
        if deliveries.is_empty() {
            return;
        }
        async {
            let ack_batch = AckBatch {
                nats: &self.nats,
                config: &self.config,
                deliveries: &deliveries,
                replies: &replies,
            };
            let work = async {
                let mut outcomes = handler.handle(&deliveries).await;
                let broken = outcomes.len() != deliveries.len();
                debug_assert!(!broken, "a handler must return one outcome per delivery");
                if broken {
                    error!(
                        stream = self.config.stream,
                        deliveries = deliveries.len(),
                        outcomes = outcomes.len(),
                        "a handler did not return one outcome per delivery; the whole batch is tried again"
                    );
                    outcomes = vec![Outcome::RetryAfter(BROKEN_HANDLER_PAUSE); deliveries.len()];
                }
                ack_batch.store_rejections(outcomes).await
            };
            let mut work = pin!(work);
            let mut extend = pin!(self.extend_deadlines(&replies));
            let acks = tokio::select! {
                acks = &mut work => acks,
                never = &mut extend => match never {},
            };
            ack_batch.ack(&acks).await;
        }
        .instrument(batch)
        .await;
        metrics::batch(&self.config.stream, begin.elapsed().as_secs_f64());
    }

    /// Returns the deliveries in stream order, the acknowledgement subject of each, and the span of the
    /// batch.
    fn parse(&self, messages: Vec<async_nats::Message>) -> (Vec<Delivery>, Vec<async_nats::Subject>, Span) {
        let mut parsed: Vec<(Delivery, (async_nats::Subject, Context))> = Vec::with_capacity(messages.len());
        for message in messages {
            let message = StreamMessage { message, context: self.nats.jetstream().clone() };
            let (Ok(info), Some(reply)) = (message.info(), message.reply.clone()) else {
                error!(subject = %message.subject, "ignored a message without JetStream's reply subject");
                continue;
            };
            let delivery = Delivery {
                subject: message.subject.to_string(),
                payload: message.payload.clone(),
                stream_sequence: info.stream_sequence,
                attempts: u64::try_from(info.delivered).unwrap_or(1),
                published_at: info.published,
                span: Span::none(),
            };
            parsed.push((delivery, (reply, trace::extract(message.headers.as_ref()))));
        }
        // Redeliveries come in between; handlers may rely on the order of the stream.
        parsed.sort_by_key(|(delivery, _)| delivery.stream_sequence);
        let sent: Vec<_> = parsed
            .iter()
            .map(|(delivery, (_, sender))| trace::Sent { subject: &delivery.subject, sender })
            .collect();
        let spans = BatchSpans::new("process", &self.config.stream, &self.config.durable, &sent);
        let (mut deliveries, rest): (Vec<_>, Vec<_>) = parsed.into_iter().unzip();
        for (delivery, span) in deliveries.iter_mut().zip(spans.messages) {
            delivery.span = span;
        }
        (deliveries, rest.into_iter().map(|(reply, _)| reply).collect(), spans.batch)
    }

    /// Extends the acknowledgement deadlines of a batch for as long as it is being worked on.
    async fn extend_deadlines(&self, replies: &[async_nats::Subject]) -> std::convert::Infallible {
        let period = self.config.ack_wait / 3;
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        loop {
            ticks.tick().await;
            for reply in replies {
                // A lost one is made good by the next, and by the handler being able to see a message twice.
                let _ = self.nats.client().publish(reply.clone(), AckKind::Progress.into()).await;
            }
        }
    }

    async fn open_puller(&self) -> Result<Puller, Box<dyn std::error::Error + Send + Sync>> {
        let consumer = self.open().await?;
        Ok(Puller::new(&self.nats, consumer).await?)
    }

    async fn open(&self) -> Result<PullConsumer, ConsumerError> {
        let config = pull::Config {
            durable_name: Some(self.config.durable.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.config.ack_wait,
            // A message that was given up silently would be lost: the handler decides, and says so in
            // REJECTED.
            max_deliver: -1,
            max_ack_pending: i64::try_from(self.config.ack_pending_max).unwrap_or(i64::MAX),
            ..pull::Config::default()
        };
        self.nats
            .jetstream()
            .create_consumer_on_stream(config, &self.config.stream)
            .await
            .map_err(|error| consumer_error("make", &self.config.stream, &self.config.durable, error))
    }
}

/// Returns the lag of one durable consumer.
pub async fn lag(nats: &Nats, stream: &str, durable: &str) -> Result<Lag, ConsumerError> {
    let failed = |error| consumer_error("read", stream, durable, error);
    let handle = nats
        .jetstream()
        .get_stream_no_info(stream)
        .await
        .map_err(|error| consumer_error("read", stream, durable, error))?;
    let info = handle.consumer_info(durable).await.map_err(failed)?;
    Ok(lag_of(&info))
}

/// Returns the lags of all durable consumers of a stream, sorted by name.
pub async fn lags(nats: &Nats, stream: &str) -> Result<Vec<Lag>, ConsumerError> {
    use futures_util::TryStreamExt as _;

    let handle = nats
        .jetstream()
        .get_stream_no_info(stream)
        .await
        .map_err(|error| consumer_error("list", stream, "*", error))?;
    let infos: Vec<_> =
        handle.consumers().try_collect().await.map_err(|error| consumer_error("list", stream, "*", error))?;
    let mut lags: Vec<Lag> =
        infos.iter().filter(|info| info.config.durable_name.is_some()).map(lag_of).collect();
    lags.sort_by(|one, other| one.durable.cmp(&other.durable));
    Ok(lags)
}

fn lag_of(info: &async_nats::jetstream::consumer::Info) -> Lag {
    Lag {
        durable: info.name.clone(),
        pending: info.num_pending,
        ack_pending: info.num_ack_pending as u64,
        ack_floor_stream_sequence: info.ack_floor.stream_sequence,
    }
}

fn consumer_error(
    operation: &'static str,
    stream: &str,
    durable: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ConsumerError {
    ConsumerError { operation, stream: stream.to_owned(), durable: durable.to_owned(), source: source.into() }
}
