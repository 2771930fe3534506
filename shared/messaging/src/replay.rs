//! Replay of a stream: ordered reading from a sequence on, forever, without acknowledgements.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use opentelemetry::Context;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::outage_log::OutageLog;
use crate::trace::BatchSpans;
use crate::{Nats, streams, trace};

/// Silence before the end of the stream after which the end is looked up: its last messages may have expired
/// meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// Message of a stream.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// Subject that it was published on.
    pub subject: String,
    /// Body.
    pub payload: Bytes,
    /// Sequence in the stream; in INDEXED this is the catalog version.
    pub stream_sequence: u64,
    /// Time at which the server stored it.
    pub published_at: OffsetDateTime,
    /// Number of messages that followed it in the stream when it was sent.
    pub pending: u64,
}

/// Batch of messages that a reader gets at a time.
#[derive(Debug, Clone)]
pub struct ReplayBatch {
    /// Messages in stream order; may be empty when the end was reached without one.
    pub messages: Vec<Replayed>,
    /// Whether the stream held nothing more after these messages.
    pub caught_up: bool,
    /// Spans of applying it, until it is dropped. None before the end was reached once: what was published
    /// long ago is over for whoever looks at its trace.
    pub spans: BatchSpans,
}

/// Error that ends a replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The stream was made anew, or lost its end: what was read from it so far no longer describes it. Drop
    /// what was built and read again from the beginning.
    #[error(
        "stream {stream} ends at sequence {last_sequence}, before {next_sequence} which was to be read next"
    )]
    StreamReset {
        /// Name of the stream.
        stream: String,
        /// Sequence that would have been read next.
        next_sequence: u64,
        /// Last sequence of the stream.
        last_sequence: u64,
    },
}

/// Reader of one stream. It resumes by itself after lost connections and restarted servers.
pub struct Replay {
    nats: Nats,
    connections: watch::Receiver<u64>,
    stream: String,
    next_sequence: u64,
    source: Option<Ordered>,
    /// The batch that is being read.
    read: Vec<Replayed>,
    /// The publishers' trace contexts of what is read, once the end was reached.
    senders: Vec<Context>,
    /// Whether nothing followed what was read last.
    caught_up: bool,
    /// Whether the end was reached before.
    follows: bool,
    outages: OutageLog,
}

impl Replay {
    /// Creates a reader that begins at `from_sequence`; 0 and 1 both mean the beginning. It connects at the
    /// first read.
    pub fn new(nats: &Nats, stream: impl Into<String>, from_sequence: u64) -> Self {
        let stream = stream.into();
        Self {
            nats: nats.clone(),
            connections: nats.connections(),
            next_sequence: from_sequence.max(1),
            source: None,
            read: Vec::new(),
            senders: Vec::new(),
            caught_up: false,
            follows: false,
            outages: OutageLog::new(&stream, "replay"),
            stream,
        }
    }

    /// Reads the next messages, at most `count_max`; or an empty batch, once, when the end of the stream is
    /// reached without a message. Until the end was reached once a batch is full, from then on it is what is
    /// there. Never gives up while the server is away. Safe to cancel.
    pub async fn next_batch(&mut self, count_max: usize) -> Result<ReplayBatch, ReplayError> {
        loop {
            let Some(source) = &mut self.source else {
                let pending = self.open().await?;
                if pending == 0 && !self.caught_up {
                    (self.caught_up, self.follows) = (true, true);
                    return Ok(ReplayBatch {
                        messages: Vec::new(),
                        caught_up: true,
                        spans: BatchSpans::none(),
                    });
                }
                continue;
            };
            let arrived = tokio::select! {
                arrived = source.next() => arrived,
                // What the server kept for the old connection may be gone; ask anew instead of waiting for
                // silence.
                _ = self.connections.changed() => None,
                () = tokio::time::sleep(SILENCE_MAX), if !self.caught_up => None,
            };
            let mut arrived = Some(arrived);
            while let Some(next) = arrived {
                match next {
                    Some(Ok(message)) => {
                        let message = self.accept(&message);
                        self.read.extend(message);
                    }
                    Some(Err(problem)) => {
                        // Opening it again makes the pause, if one is needed.
                        self.outages.failed(&problem);
                        self.source = None;
                    }
                    None => self.source = None,
                }
                // Take what is here already, without waiting.
                arrived = match &mut self.source {
                    Some(source) if self.read.len() < count_max => source.next().now_or_never(),
                    _ => None,
                };
            }
            // Who reads a whole stream pays for each batch, so they are few; who follows it wants to know at
            // once.
            let is_over = self.follows || self.read.len() >= count_max || self.source.is_none();
            if let Some(last) = self.read.last()
                && (last.pending == 0 || is_over)
            {
                self.caught_up = last.pending == 0;
                let spans = self.spans();
                self.follows |= self.caught_up;
                return Ok(ReplayBatch {
                    caught_up: self.caught_up,
                    messages: std::mem::take(&mut self.read),
                    spans,
                });
            }
        }
    }

    /// Returns the spans of the batch that was read; its senders are forgotten.
    fn spans(&mut self) -> BatchSpans {
        let senders = std::mem::take(&mut self.senders);
        if senders.len() != self.read.len() {
            return BatchSpans::none();
        }
        let messages = self.read.iter().zip(&senders);
        let sent: Vec<_> =
            messages.map(|(message, sender)| trace::Sent { subject: &message.subject, sender }).collect();
        BatchSpans::new("apply", &self.stream, "projection", &sent)
    }

    /// Returns the sequence that is read next.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    fn accept(&mut self, message: &async_nats::jetstream::Message) -> Option<Replayed> {
        let info = message.info().ok()?;
        let stream_sequence = info.stream_sequence;
        let replayed = Replayed {
            subject: message.subject.to_string(),
            payload: message.payload.clone(),
            stream_sequence,
            published_at: info.published,
            pending: info.pending,
        };
        if stream_sequence < self.next_sequence {
            return None;
        }
        self.next_sequence = stream_sequence + 1;
        if self.follows {
            self.senders.push(trace::extract(message.headers.as_ref()));
        }
        Some(replayed)
    }

    /// Opens the source at the next sequence, however long it takes, and returns the number of messages to
    /// read.
    async fn open(&mut self) -> Result<u64, ReplayError> {
        loop {
            self.connections.mark_unchanged();
            match self.try_open().await {
                Ok(pending) => {
                    self.outages.succeeded();
                    return Ok(pending);
                }
                Err(Failure::Reset { last_sequence }) => {
                    return Err(ReplayError::StreamReset {
                        stream: self.stream.clone(),
                        next_sequence: self.next_sequence,
                        last_sequence,
                    });
                }
                Err(Failure::Later(problem)) => {
                    let wait = self.outages.failed(problem.as_ref());
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = self.connections.changed() => {}
                    }
                }
            }
        }
    }

    async fn try_open(&mut self) -> Result<u64, Failure> {
        let state = streams::state(&self.nats, &self.stream).await.map_err(later)?;
        if state.last_sequence + 1 < self.next_sequence {
            return Err(Failure::Reset { last_sequence: state.last_sequence });
        }
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.next_sequence },
            ..OrderedConfig::default()
        };
        let consumer =
            self.nats.jetstream().create_consumer_on_stream(config, &self.stream).await.map_err(later)?;
        let pending = consumer.cached_info().num_pending;
        self.source = Some(consumer.messages().await.map_err(later)?);
        Ok(pending)
    }
}

enum Failure {
    Reset { last_sequence: u64 },
    Later(Box<dyn Error + Send + Sync>),
}

fn later(problem: impl Into<Box<dyn Error + Send + Sync>>) -> Failure {
    Failure::Later(problem.into())
}
