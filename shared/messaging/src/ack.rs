//! Acknowledgement of deliveries: from outcomes to acks that the server has confirmed.
//!
//! Which outcome a delivery gets is not decided here.

use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::{Message, Subject};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use toolweaver_contracts::{Fault, Original, Rejection, encode, subjects};
use toolweaver_resilience::error_chain;

use crate::consumer::{ConsumerConfig, Delivery, Outcome};
use crate::publish::{Outgoing, publish};
use crate::{Nats, metrics};

/// Most unconfirmed acknowledgements at a time.
const IN_FLIGHT_MAX: usize = 256;
/// Time the server has to confirm one, per attempt.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);
/// Most attempts to have one confirmed.
const CONFIRM_ATTEMPTS_MAX: usize = 3;
/// Pause before a delivery is tried again whose rejection could not be stored.
const REJECT_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Acknowledgement of one delivery, by its name in JetStream's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// Done: never delivered again.
    Done,
    /// Negative: delivered again after this pause.
    Nak(Duration),
    /// Terminated: rejected, and never delivered again.
    Term,
}

/// Batch of deliveries that is being acknowledged.
pub(crate) struct AckBatch<'a> {
    pub(crate) nats: &'a Nats,
    pub(crate) config: &'a ConsumerConfig,
    pub(crate) deliveries: &'a [Delivery],
    /// The acknowledgement subject of each delivery.
    pub(crate) replies: &'a [Subject],
}

impl AckBatch<'_> {
    /// Stores rejected deliveries in REJECTED, and returns the acknowledgement of each delivery.
    ///
    /// One that could not be stored there is tried again, never dropped.
    pub(crate) async fn store_rejections(&self, outcomes: Vec<Outcome>) -> Vec<Ack> {
        let mut acks = Vec::with_capacity(outcomes.len());
        // While REJECTED cannot be reached, one wait for it is enough per batch.
        let mut reachable = true;
        for (delivery, outcome) in self.deliveries.iter().zip(outcomes) {
            acks.push(match outcome {
                Outcome::Done => Ack::Done,
                Outcome::RetryAfter(pause) => Ack::Nak(pause),
                Outcome::Reject(reason) if reachable => {
                    let ack = self.reject(delivery, reason).await;
                    reachable = ack == Ack::Term;
                    ack
                }
                Outcome::Reject(_) => Ack::Nak(REJECT_AGAIN_AFTER),
            });
        }
        acks
    }

    /// Sends every acknowledgement and waits until the server has confirmed them.
    pub(crate) async fn ack(&self, acks: &[Ack]) {
        let mut in_flight = FuturesUnordered::new();
        let mut confirmed = 0;
        for (reply, ack) in self.replies.iter().zip(acks) {
            if in_flight.len() >= IN_FLIGHT_MAX {
                confirmed += usize::from(in_flight.next().await.unwrap_or_default());
            }
            in_flight.push(self.confirm(reply, *ack));
        }
        while let Some(one) = in_flight.next().await {
            confirmed += usize::from(one);
        }
        if confirmed < acks.len() {
            let unconfirmed = acks.len() - confirmed;
            let stream = &self.config.stream;
            warn!(stream, unconfirmed, "the server did not confirm acknowledgements; it will deliver again");
        }
        let count = |wanted: fn(&Ack) -> bool| acks.iter().filter(|ack| wanted(ack)).count();
        metrics::deliveries(&self.config.stream, "done", count(|ack| *ack == Ack::Done));
        metrics::deliveries(&self.config.stream, "retry", count(|ack| matches!(ack, Ack::Nak(_))));
        metrics::deliveries(&self.config.stream, "rejected", count(|ack| *ack == Ack::Term));
    }

    async fn reject(&self, delivery: &Delivery, reason: Fault) -> Ack {
        let rejection = Rejection {
            reason: reason.clone(),
            subject: delivery.subject.clone(),
            revision: delivery.stream_sequence,
            attempts: delivery.attempts,
            rejected_at: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .expect("a time in UTC has an RFC 3339 form"),
            original: Original::new(&delivery.payload),
        };
        // The id keeps one rejection from being stored twice when the term after it is lost.
        let id = format!("{}-{}", self.config.stream, delivery.stream_sequence);
        let message =
            Outgoing::new(subjects::rejected(&delivery.subject), encode(&rejection)).with_message_id(id);
        if let Err(error) = publish(self.nats, message).await {
            let (stream, sequence) = (&self.config.stream, delivery.stream_sequence);
            warn!(stream, sequence, error = %error_chain(&error), "cannot store a rejection; the message is tried again");
            return Ack::Nak(REJECT_AGAIN_AFTER);
        }
        metrics::rejected(&reason);
        Ack::Term
    }

    async fn confirm(&self, reply: &Subject, ack: Ack) -> bool {
        let mut connections = self.nats.connections();
        for _ in 0..CONFIRM_ATTEMPTS_MAX {
            let request = async_nats::Request::new().payload(kind(ack).into()).timeout(Some(CONFIRM_WITHIN));
            tokio::select! {
                answer = self.nats.client().send_request(reply.clone(), request) => {
                    if answer.is_ok() {
                        return true;
                    }
                }
                // What was in flight is lost with the connection: say it again at once.
                _ = connections.changed() => {}
            }
        }
        false
    }
}

/// Returns messages that nobody will work on to the server, to be delivered again at once.
pub(crate) async fn return_unhandled(nats: &Nats, messages: &[Message]) {
    for message in messages {
        if let Some(reply) = &message.reply {
            // If it is lost, the server delivers again after the acknowledgement deadline.
            let _ = nats.client().publish(reply.clone(), AckKind::Nak(None).into()).await;
        }
    }
    if !messages.is_empty() {
        let _ = nats.client().flush().await;
    }
}

fn kind(ack: Ack) -> AckKind {
    match ack {
        Ack::Done => AckKind::Ack,
        Ack::Nak(pause) => AckKind::Nak((!pause.is_zero()).then_some(pause)),
        Ack::Term => AckKind::Term,
    }
}
