//! Pull requests to a durable consumer, one subscription for all of them.
//!
//! The client library's `batch()` opens a new inbox per batch; a message that reaches an inbox after its
//! batch was given up is lost until its acknowledgement deadline. Here every request answers to the same
//! subscription, so a late message simply belongs to the next batch.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::BatchConfig;
use async_nats::{Message, StatusCode, Subscriber};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::Nats;

/// Time that one request for a first message stays open.
const LONG_POLL: Duration = Duration::from_secs(30);
/// Interval at which the server says that an open request still lives.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Time beyond its linger after which the end of a second request is not waited for any more.
const LATE: Duration = Duration::from_secs(2);

/// Error of pulling a batch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PullError {
    #[error("cannot send a pull request")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the consumer does not answer: {0}")]
    Ended(String),
    #[error("the server went silent")]
    Silent,
    #[error("the connection was closed")]
    Closed,
}

/// Requests messages of one consumer and collects them into batches.
pub(crate) struct Puller {
    nats: Nats,
    consumer: PullConsumer,
    connections: watch::Receiver<u64>,
    inbox: String,
    subscriber: Subscriber,
    /// Number of the latest request; its status messages come to `inbox.<number>`.
    request: u64,
}

enum Arrival {
    Message(Message),
    /// The latest request ended: expired, or full.
    RequestOver,
    /// A status of an older request, or a heartbeat.
    Noise,
}

impl Puller {
    pub(crate) async fn new(nats: &Nats, consumer: PullConsumer) -> Result<Self, PullError> {
        let inbox = nats.client().new_inbox();
        let subscriber = nats
            .client()
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| PullError::Request(error.into()))?;
        let connections = nats.connections();
        Ok(Self { nats: nats.clone(), consumer, connections, inbox, subscriber, request: 0 })
    }

    /// Waits for the first message of a batch, as long as it takes. Safe to cancel: [`Puller::close`] then
    /// returns what was on its way.
    pub(crate) async fn first(&mut self) -> Result<Message, PullError> {
        loop {
            self.send_request(1, LONG_POLL, HEARTBEAT).await?;
            let mut silent_at = Instant::now() + HEARTBEAT * 2;
            loop {
                let arrived = tokio::select! {
                    arrived = self.subscriber.next() => arrived,
                    // The server forgot our request when the connection broke.
                    _ = self.connections.changed() => break,
                    () = sleep_until(silent_at) => return Err(PullError::Silent),
                };
                match self.read(arrived)? {
                    Arrival::Message(message) => return Ok(message),
                    Arrival::RequestOver => break,
                    Arrival::Noise => silent_at = Instant::now() + HEARTBEAT * 2,
                }
            }
        }
    }

    /// Collects more messages for a batch that has its first one: up to `count_max`, for up to `linger`.
    pub(crate) async fn rest(&mut self, count_max: usize, linger: Duration) -> Vec<Message> {
        let mut messages = Vec::new();
        if count_max == 0 || self.send_request(count_max, linger, Duration::ZERO).await.is_err() {
            return messages;
        }
        let late = Instant::now() + linger + LATE;
        while messages.len() < count_max {
            let arrived = tokio::select! {
                arrived = self.subscriber.next() => arrived,
                _ = self.connections.changed() => break,
                () = sleep_until(late) => break,
            };
            match self.read(arrived) {
                Ok(Arrival::Message(message)) => messages.push(message),
                Ok(Arrival::Noise) => {}
                // What is wrong will show again at the next first message.
                Ok(Arrival::RequestOver) | Err(_) => break,
            }
        }
        messages
    }

    /// Ends the subscription and returns what was already on its way, so that it can be given back at once.
    pub(crate) async fn close(self) -> Vec<Message> {
        let mut messages = self.nats.drain(self.subscriber).await;
        messages.retain(|message| message.status.is_none());
        messages
    }

    async fn send_request(
        &mut self,
        batch: usize,
        expires: Duration,
        heartbeat: Duration,
    ) -> Result<(), PullError> {
        self.request += 1;
        let wanted = BatchConfig {
            batch,
            // Without any time to wait the request must say so: a zero expiry would mean forever.
            expires: (!expires.is_zero()).then_some(expires),
            no_wait: expires.is_zero(),
            idle_heartbeat: heartbeat,
            ..BatchConfig::default()
        };
        let inbox = format!("{}.{}", self.inbox, self.request);
        self.consumer
            .request_batch(wanted, inbox.into())
            .await
            .map_err(|error| PullError::Request(error.into()))
    }

    fn read(&self, arrived: Option<Message>) -> Result<Arrival, PullError> {
        let message = arrived.ok_or(PullError::Closed)?;
        let Some(status) = message.status else { return Ok(Arrival::Message(message)) };
        if status == StatusCode::OK {
            return Ok(Arrival::Message(message));
        }
        let current = message
            .subject
            .rsplit('.')
            .next()
            .and_then(|number| number.parse::<u64>().ok())
            .is_some_and(|number| number == self.request);
        let description = message.description.as_deref().unwrap_or_default();
        match status {
            _ if !current => Ok(Arrival::Noise),
            StatusCode::IDLE_HEARTBEAT => Ok(Arrival::Noise),
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => Ok(Arrival::RequestOver),
            // Too many unacknowledged messages, or a full batch by bytes: ask again, the server answers when
            // it can.
            StatusCode::REQUEST_TERMINATED
                if description.contains("MaxAckPending") || description.contains("Batch Completed") =>
            {
                Ok(Arrival::RequestOver)
            }
            _ => Err(PullError::Ended(format!("{status} {description}"))),
        }
    }
}
