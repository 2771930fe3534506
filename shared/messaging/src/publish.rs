//! Publishing to a stream, and reading back the last message of a subject. Retrying is the caller's: an error
//! says whether it can help ([`PublishError::is_transient`]).

use std::error::Error;
use std::future::IntoFuture as _;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DirectGetErrorKind;
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;
use tracing::Instrument as _;

use crate::{Nats, trace};

/// The JetStream error for a message that would expire in a stream that does not allow it.
const MESSAGE_TTL_DISABLED: u64 = 10_166;
/// Time that a publish that saw the connection come back still waits.
const ACKNOWLEDGED_AFTER_RECONNECT_WITHIN: Duration = Duration::from_millis(500);

/// A message to publish to a stream.
#[derive(Debug, Clone)]
pub struct Outgoing {
    subject: String,
    payload: Bytes,
    expected_last_sequence: Option<u64>,
    time_to_live: Option<Duration>,
    message_id: Option<String>,
}

impl Outgoing {
    /// Creates a message without conditions, kept as long as its stream keeps messages.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self {
            subject: subject.into(),
            payload: payload.into(),
            expected_last_sequence: None,
            time_to_live: None,
            message_id: None,
        }
    }

    /// Stores it only if the last message of this subject has this sequence; 0 means that there must be none.
    #[must_use]
    pub fn expecting_last_sequence(mut self, sequence: u64) -> Self {
        self.expected_last_sequence = Some(sequence);
        self
    }

    /// Has the server remove it after this time, whole seconds, at least one. Servers before 2.11 cannot;
    /// there the message stays until it is replaced.
    #[must_use]
    pub fn expiring_after(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = Some(time_to_live);
        self
    }

    /// Sets an id: published again within the stream's duplicate window (two minutes) it is stored once.
    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }
}

/// Confirmation by JetStream that a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Sequence in the stream.
    pub stream_sequence: u64,
    /// Whether a message with the same id was there already; then the sequence is that one's.
    pub duplicate: bool,
}

/// Error of a publish; the message is not known to be stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The subject's last message has another sequence than expected: somebody was faster.
    #[error("the last message of {subject} is not the expected one")]
    WrongLastSequence {
        /// Subject that was published on.
        subject: String,
    },
    /// No stream captures this subject.
    #[error("no stream stores {subject}; check that JetStream is enabled and that the streams were created")]
    NoStream {
        /// Subject that was published on.
        subject: String,
    },
    /// The message is larger than the server accepts.
    #[error("the message for {subject} is larger than the server's max_payload")]
    TooLarge {
        /// Subject that was published on.
        subject: String,
    },
    /// No acknowledgement in time; the message may or may not be stored.
    #[error("no acknowledgement for {subject} in time")]
    TimedOut {
        /// Subject that was published on.
        subject: String,
    },
    /// The stream refused the message.
    #[error("the stream refused the message for {subject}")]
    Refused {
        /// Subject that was published on.
        subject: String,
        /// Error of the server.
        #[source]
        source: async_nats::jetstream::context::PublishError,
        /// Whether the server was short of something for now (its own code 5xx).
        server_side: bool,
    },
    /// The message could not be sent.
    #[error("cannot send the message for {subject}")]
    Send {
        /// Subject that was published on.
        subject: String,
        /// Error of the client library.
        #[source]
        source: async_nats::jetstream::context::PublishError,
    },
}

impl PublishError {
    /// Returns whether publishing the same message again may succeed. A conflict is not transient: look at
    /// the last message first.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::WrongLastSequence { .. } | Self::TooLarge { .. } => false,
            Self::NoStream { .. } | Self::TimedOut { .. } | Self::Send { .. } => true,
            Self::Refused { server_side, .. } => *server_side,
        }
    }
}

/// Publishes and waits until JetStream has stored the message. The current span travels in its headers.
pub async fn publish(nats: &Nats, message: Outgoing) -> Result<Stored, PublishError> {
    let span = trace::publish_span(&message.subject);
    publish_in_span(nats, message).instrument(span).await
}

async fn publish_in_span(nats: &Nats, message: Outgoing) -> Result<Stored, PublishError> {
    let Outgoing { subject, payload, expected_last_sequence, time_to_live, message_id } = message;
    let mut headers = HeaderMap::new();
    trace::inject(&mut headers);
    let mut outgoing = PublishMessage::build().payload(payload).headers(headers);
    if let Some(sequence) = expected_last_sequence {
        outgoing = outgoing.expected_last_subject_sequence(sequence);
    }
    if let Some(id) = message_id {
        outgoing = outgoing.message_id(id);
    }
    if let Some(ttl) = time_to_live
        && nats.supports_message_ttl()
    {
        outgoing = outgoing.ttl(ttl.max(Duration::from_secs(1)));
    }
    let mut connections = nats.connections();
    let acknowledgement = match nats.jetstream().send_publish(subject.clone(), outgoing).await {
        Ok(pending) => tokio::select! {
            answer = pending.into_future() => answer,
            () = connection_replaced(&mut connections) => return Err(PublishError::TimedOut { subject }),
        },
        Err(error) => Err(error),
    };
    match acknowledgement {
        Ok(stored) => Ok(Stored { stream_sequence: stored.sequence, duplicate: stored.duplicate }),
        Err(error) => Err(publish_error(subject, error)),
    }
}

/// Waits until the connection was replaced, and a little longer. An acknowledgement that was on its way when
/// it broke never comes; one for a message that waited for the new connection comes at once.
async fn connection_replaced(connections: &mut watch::Receiver<u64>) {
    if connections.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(ACKNOWLEDGED_AFTER_RECONNECT_WITHIN).await;
}

fn publish_error(subject: String, source: async_nats::jetstream::context::PublishError) -> PublishError {
    match source.kind() {
        PublishErrorKind::WrongLastSequence => PublishError::WrongLastSequence { subject },
        PublishErrorKind::StreamNotFound => PublishError::NoStream { subject },
        PublishErrorKind::MaxPayloadExceeded => PublishError::TooLarge { subject },
        PublishErrorKind::TimedOut | PublishErrorKind::MaxAckPending => PublishError::TimedOut { subject },
        _ => match server_error(&source) {
            Some(refusal) => {
                // A stream that does not allow message TTL yet is being updated by another worker.
                let server_side = refusal.code() >= 500 || refusal.error_code().0 == MESSAGE_TTL_DISABLED;
                PublishError::Refused { subject, source, server_side }
            }
            None => PublishError::Send { subject, source },
        },
    }
}

fn server_error(
    error: &async_nats::jetstream::context::PublishError,
) -> Option<async_nats::jetstream::Error> {
    error.source()?.downcast_ref::<async_nats::jetstream::Error>().cloned()
}

/// Message as its stream holds it.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Subject that it was published on.
    pub subject: String,
    /// Body.
    pub payload: Bytes,
    /// Sequence in the stream.
    pub stream_sequence: u64,
    /// Time at which the server stored it.
    pub published_at: OffsetDateTime,
}

/// Error of reading a message.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the last message of {subject} from {stream}")]
pub struct LastMessageError {
    stream: String,
    subject: String,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl LastMessageError {
    /// Returns whether reading again may succeed: always, the message either is there or is not.
    pub fn is_transient(&self) -> bool {
        true
    }
}

/// Reads the last message of a subject by direct get. Any replica may answer, so it may be a moment old.
pub async fn last_message(
    nats: &Nats,
    stream: &str,
    subject: &str,
) -> Result<Option<StoredMessage>, LastMessageError> {
    let failed = |source: Box<dyn Error + Send + Sync>| LastMessageError {
        stream: stream.to_owned(),
        subject: subject.to_owned(),
        source,
    };
    let handle = nats.jetstream().get_stream_no_info(stream).await.map_err(|error| failed(error.into()))?;
    match handle.direct_get_last_for_subject(subject).await {
        Ok(message) => Ok(Some(StoredMessage {
            subject: message.subject.to_string(),
            payload: message.payload,
            stream_sequence: message.sequence,
            published_at: message.time,
        })),
        Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}
