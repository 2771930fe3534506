//! Responder of one endpoint: sends answers and counts them. How they are computed is not known here.

use std::sync::Arc;
use std::time::Instant;

use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use tracing::warn;

use toolweaver_contracts::{ErrorBody, ErrorCode, Fault, encode};

use super::micro::EndpointStats;
use super::refusal::Refusal;
use crate::metrics;

/// Longest error text in a header, in bytes; the body has all of it.
const HEADER_TEXT_MAX: usize = 256;

/// Sender of the answers of one endpoint.
pub(super) struct Responder {
    client: Client,
    endpoint: String,
    stats: Arc<EndpointStats>,
}

impl Responder {
    pub(super) fn new(client: Client, endpoint: String, stats: Arc<EndpointStats>) -> Self {
        Self { client, endpoint, stats }
    }

    /// Returns the name of its endpoint.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Counts a request that is owed an answer from now on.
    pub(super) fn begin(&self) {
        self.stats.begin();
    }

    /// Answers a request that is not worked on, and counts why.
    pub(super) async fn refuse(&self, reply: Subject, refusal: Refusal, received_at: Instant) {
        metrics::shed(&self.endpoint, refusal.reason());
        self.respond(reply, Err(refusal.fault()), received_at).await;
    }

    /// Sends the answer to a request, and counts it.
    pub(super) async fn respond(&self, reply: Subject, result: Result<Bytes, Fault>, received_at: Instant) {
        let sent = match &result {
            Ok(body) => self.client.publish(reply.clone(), body.clone()).await,
            Err(fault) => self.send_fault(reply.clone(), fault).await,
        };
        let mut fault = result.err();
        if let Err(error) = sent {
            // Most likely larger than the server takes: the caller must hear something.
            warn!(endpoint = self.endpoint, %error, "cannot send an answer");
            let unsent = Fault::new(ErrorCode::Internal, format!("the answer cannot be sent: {error}"))
                .hint("ask for less at a time");
            // If this cannot be sent either, the connection is gone, and the client reports that itself.
            let _ = self.send_fault(reply, &unsent).await;
            fault = Some(unsent);
        }
        let elapsed = received_at.elapsed();
        let code = fault.as_ref().map_or(200, |fault| fault.code.number());
        metrics::request(&self.endpoint, code, elapsed.as_secs_f64());
        self.stats.record(elapsed, fault.as_ref());
        self.stats.end();
    }

    async fn send_fault(&self, reply: Subject, fault: &Fault) -> Result<(), async_nats::PublishError> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_SERVICE_ERROR, header_text(&fault.message));
        headers.insert(NATS_SERVICE_ERROR_CODE, fault.code.number().to_string());
        let body = encode(&ErrorBody { error: fault.clone() });
        self.client.publish_with_headers(reply, headers, body.into()).await
    }
}

/// Returns the text as one header line, whatever it quotes.
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
