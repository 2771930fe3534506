//! Sends the answers of one endpoint, and counts them. Who computed them is not known here.

use std::sync::Arc;
use std::time::Instant;

use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use async_nats::{Client, HeaderMap, Subject};
use bytes::Bytes;
use tracing::warn;

use toolweaver_contracts::{ErrorBody, ErrorCode, Fault, encode};

use super::micro::EndpointStats;
use crate::metrics;

/// Longest error text in a header, in bytes; the body has all of it.
const HEADER_TEXT_MAX: usize = 256;

/// What it takes to answer, whoever computed the answer.
pub(super) struct Answerer {
    client: Client,
    endpoint: String,
    stats: Arc<EndpointStats>,
}

impl Answerer {
    pub(super) fn new(client: Client, endpoint: String, stats: Arc<EndpointStats>) -> Self {
        Self { client, endpoint, stats }
    }

    /// The name of its endpoint.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Takes note of a request that is owed an answer.
    pub(super) fn taken(&self) {
        self.stats.begin();
    }

    /// Gives the answer to a request that was taken.
    pub(super) async fn answer(&self, reply: Subject, result: Result<Bytes, Fault>, received_at: Instant) {
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
