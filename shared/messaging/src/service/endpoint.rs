//! The loop of one endpoint: takes requests, bounds them, answers them. The protocol's own requests are not here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use async_nats::{Client, HeaderMap, Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, error, warn};

use toolweaver_contracts::{ErrorBody, ErrorCode, Fault, encode};

use super::micro::EndpointStats;
use super::{Request, ServiceError};
use crate::{Nats, metrics, trace};

/// Longest error text in a header, in bytes; the body has all of it.
const HEADER_TEXT_MAX: usize = 256;

pub(super) struct EndpointLoop<H> {
    name: String,
    permits: Arc<Semaphore>,
    answerer: Arc<Answerer>,
    handler: Arc<H>,
    abandon: CancellationToken,
    nats: Nats,
}

/// What it takes to answer, whoever computed the answer.
struct Answerer {
    client: Client,
    name: String,
    stats: Arc<EndpointStats>,
}

impl<H, F> EndpointLoop<H>
where
    H: Fn(Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Bytes, Fault>> + Send + 'static,
{
    pub(super) fn new(
        nats: Nats,
        name: String,
        concurrency_max: usize,
        stats: Arc<EndpointStats>,
        handler: Arc<H>,
        abandon: CancellationToken,
    ) -> Self {
        let answerer = Arc::new(Answerer { client: nats.client().clone(), name: name.clone(), stats });
        Self { name, permits: Arc::new(Semaphore::new(concurrency_max)), answerer, handler, abandon, nats }
    }

    /// Answers until stopped; then what the server has already sent, then waits for the last answer.
    pub(super) async fn run(
        self,
        mut requests: Subscriber,
        stop: CancellationToken,
    ) -> Result<(), ServiceError> {
        let tasks = TaskTracker::new();
        while let Some(next) = stop.run_until_cancelled(requests.next()).await {
            let Some(message) = next else {
                return Err(ServiceError::EndpointEnded { endpoint: self.name });
            };
            self.take(message, &tasks).await;
        }
        for message in self.nats.drain(requests).await {
            self.take(message, &tasks).await;
        }
        tasks.close();
        tasks.wait().await;
        Ok(())
    }

    async fn take(&self, message: Message, tasks: &TaskTracker) {
        let received_at = Instant::now();
        // Nobody waits for an answer that has nowhere to go.
        let Some(reply) = message.reply else { return };
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            let busy = Fault::new(ErrorCode::Busy, "too many requests at a time")
                .hint("try again after a moment, or run more workers");
            self.answerer.answer(reply, Err(busy), received_at).await;
            return;
        };
        let context = trace::extract(message.headers.as_ref());
        let span = trace::answer_span(&message.subject, &self.name, &context);
        let request =
            Request { subject: message.subject.to_string(), payload: message.payload, context, received_at };
        let answerer = Arc::clone(&self.answerer);
        let handler = Arc::clone(&self.handler);
        let abandon = self.abandon.clone();
        answerer.stats.begin();
        let answering = async move {
            // The call itself may panic before it returns a future.
            let answer = AssertUnwindSafe(async { handler(request).await }).catch_unwind();
            let result = match abandon.run_until_cancelled(answer).await {
                Some(Ok(result)) => result,
                Some(Err(_)) => {
                    error!(endpoint = answerer.name, "a request handler panicked");
                    Err(Fault::new(ErrorCode::Internal, "the request broke its handler")
                        .hint("this is a bug; report it"))
                }
                None => Err(Fault::new(ErrorCode::Unavailable, "the service is stopping")
                    .hint("ask again; another worker answers")),
            };
            answerer.answer(reply, result, received_at).await;
            answerer.stats.end();
            drop(permit);
        };
        tasks.spawn(answering.instrument(span));
    }
}

impl Answerer {
    async fn answer(&self, reply: Subject, result: Result<Bytes, Fault>, received_at: Instant) {
        let sent = match &result {
            Ok(body) => self.client.publish(reply.clone(), body.clone()).await,
            Err(fault) => self.send_fault(reply.clone(), fault).await,
        };
        let mut fault = result.err();
        if let Err(error) = sent {
            // Most likely larger than the server takes: the caller must hear something.
            warn!(endpoint = self.name, %error, "cannot send an answer");
            let unsent = Fault::new(ErrorCode::Internal, format!("the answer cannot be sent: {error}"))
                .hint("ask for less at a time");
            // If this cannot be sent either, the connection is gone, and the client reports that itself.
            let _ = self.send_fault(reply, &unsent).await;
            fault = Some(unsent);
        }
        let elapsed = received_at.elapsed();
        let code = fault.as_ref().map_or(200, |fault| fault.code.number());
        metrics::request(&self.name, code, elapsed.as_secs_f64());
        self.stats.record(elapsed, fault.as_ref());
    }

    async fn send_fault(&self, reply: Subject, fault: &Fault) -> Result<(), async_nats::PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_SERVICE_ERROR, header_text(&fault.message));
        headers.insert(NATS_SERVICE_ERROR_CODE, fault.code.number().to_string());
        let body = encode(&ErrorBody { error: fault.clone() });
        self.client.publish_with_headers(reply, headers, body.into()).await
    }
}

/// A text that is one header line whatever it quotes.
fn header_text(text: &str) -> String {
    let end = text.floor_char_boundary(HEADER_TEXT_MAX);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_text_is_one_short_line() {
        assert_eq!(header_text("a\r\nNats-Evil: 1"), "a  Nats-Evil: 1");
        assert!(header_text(&"ä".repeat(1_000)).len() <= HEADER_TEXT_MAX);
    }
}
