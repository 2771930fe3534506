//! From outcomes to acknowledgements that the server has confirmed. Which outcome a delivery gets is not decided here.

use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::stream::DeleteMessageErrorKind;
use async_nats::{Message, Subject};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::warn;

use toolweaver_contracts::{Fault, Original, Rejection, encode, subjects};

use crate::consumer::{ConsumerConfig, Delivery, Outcome};
use crate::publish::{Outgoing, publish};
use crate::trouble::Chain;
use crate::{Nats, metrics};

/// Acknowledgements on their way at a time.
const IN_FLIGHT_MAX: usize = 256;
/// How long the server may take to confirm one, and how often it is asked.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);
const CONFIRM_ATTEMPTS: usize = 3;
/// When a delivery is tried again whose rejection could not be stored.
const REJECT_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What the server is told about one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ack,
    Nak(Duration),
    Term,
}

/// One batch that is being settled.
pub(crate) struct Settlement<'a> {
    pub(crate) nats: &'a Nats,
    pub(crate) config: &'a ConsumerConfig,
    pub(crate) deliveries: &'a [Delivery],
    /// The acknowledgement subject of each delivery.
    pub(crate) replies: &'a [Subject],
}

impl Settlement<'_> {
    /// Puts what is rejected into REJECTED. What could not be put there is to be tried again, never dropped.
    pub(crate) async fn store_rejections(&self, outcomes: Vec<Outcome>) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(outcomes.len());
        // While REJECTED cannot be reached, one wait for it is enough per batch.
        let mut reachable = true;
        for (delivery, outcome) in self.deliveries.iter().zip(outcomes) {
            verdicts.push(match outcome {
                Outcome::Done => Verdict::Ack,
                Outcome::RetryAfter(pause) => Verdict::Nak(pause),
                Outcome::Reject(reason) if reachable => {
                    let verdict = self.reject(delivery, reason).await;
                    reachable = verdict == Verdict::Term;
                    verdict
                }
                Outcome::Reject(_) => Verdict::Nak(REJECT_AGAIN_AFTER),
            });
        }
        verdicts
    }

    /// Tells the server every verdict and waits until it has confirmed them.
    pub(crate) async fn acknowledge(&self, verdicts: &[Verdict]) {
        let mut under_way = FuturesUnordered::new();
        let mut confirmed = 0;
        for (reply, verdict) in self.replies.iter().zip(verdicts) {
            if under_way.len() >= IN_FLIGHT_MAX {
                confirmed += usize::from(under_way.next().await.unwrap_or_default());
            }
            under_way.push(self.confirm(reply, *verdict));
        }
        while let Some(one) = under_way.next().await {
            confirmed += usize::from(one);
        }
        if confirmed < verdicts.len() {
            let unconfirmed = verdicts.len() - confirmed;
            let stream = &self.config.stream;
            warn!(stream, unconfirmed, "the server did not confirm acknowledgements; it will deliver again");
        }
        let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| wanted(verdict)).count();
        metrics::deliveries(&self.config.stream, "done", count(|verdict| *verdict == Verdict::Ack));
        metrics::deliveries(
            &self.config.stream,
            "retry",
            count(|verdict| matches!(verdict, Verdict::Nak(_))),
        );
        metrics::deliveries(&self.config.stream, "rejected", count(|verdict| *verdict == Verdict::Term));
    }

    async fn reject(&self, delivery: &Delivery, reason: Fault) -> Verdict {
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
            warn!(stream, sequence, error = %Chain(&error), "cannot store a rejection; the message is tried again");
            return Verdict::Nak(REJECT_AGAIN_AFTER);
        }
        // Before the term: after it nobody would come back to delete.
        if self.config.delete_rejected && !self.delete(delivery).await {
            return Verdict::Nak(REJECT_AGAIN_AFTER);
        }
        metrics::rejected(&reason);
        Verdict::Term
    }

    /// Removes a rejected message from its stream. False asks for another try.
    async fn delete(&self, delivery: &Delivery) -> bool {
        let stream = &self.config.stream;
        let sequence = delivery.stream_sequence;
        let Ok(handle) = self.nats.jetstream().get_stream_no_info(stream).await else { return false };
        let Err(error) = handle.delete_message(sequence).await else { return true };
        match error.kind() {
            // Replaced by a newer message of its subject, or deleted by an attempt before.
            DeleteMessageErrorKind::JetStream(refusal)
                if matches!(refusal.error_code().0, 10_037 | 10_043 | 10_057) =>
            {
                true
            }
            DeleteMessageErrorKind::JetStream(refusal) if refusal.code() < 500 => {
                warn!(stream, sequence, %refusal, "the stream does not let a rejected message be deleted; it stays there");
                true
            }
            _ => {
                warn!(stream, sequence, error = %Chain(&error), "cannot delete a rejected message; trying again");
                false
            }
        }
    }

    async fn confirm(&self, reply: &Subject, verdict: Verdict) -> bool {
        let mut connections = self.nats.connections();
        for _ in 0..CONFIRM_ATTEMPTS {
            let request =
                async_nats::Request::new().payload(kind(verdict).into()).timeout(Some(CONFIRM_WITHIN));
            tokio::select! {
                answer = self.nats.client().send_request(reply.clone(), request) => {
                    if answer.is_ok() {
                        return true;
                    }
                }
                // What was under way is lost with the connection: say it again at once.
                _ = connections.changed() => {}
            }
        }
        false
    }
}

/// Returns messages that nobody will work on, to be delivered again at once.
pub(crate) async fn give_back(nats: &Nats, messages: &[Message]) {
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

fn kind(verdict: Verdict) -> AckKind {
    match verdict {
        Verdict::Ack => AckKind::Ack,
        Verdict::Nak(pause) => AckKind::Nak((!pause.is_zero()).then_some(pause)),
        Verdict::Term => AckKind::Term,
    }
}
