//! Request to a service, from the side of a caller. Serving is in [`crate::service`].

use std::time::Duration;

use async_nats::service::NATS_SERVICE_ERROR_CODE;
use async_nats::{HeaderMap, RequestErrorKind};
use bytes::Bytes;

use toolweaver_contracts::{ErrorBody, ErrorCode, Fault};

use crate::{Nats, trace};
use tracing::Instrument as _;

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The service answered with an error.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Nobody serves this subject.
    #[error("nobody answers on {subject}; check that a query worker runs and is connected to the same NATS")]
    NoService {
        /// Subject of the request.
        subject: String,
    },
    /// No answer in time.
    #[error("no answer on {subject} within {within:?}")]
    TimedOut {
        /// Subject of the request.
        subject: String,
        /// Timeout of the request.
        within: Duration,
    },
    /// The request could not be sent.
    #[error("cannot send the request on {subject}")]
    Send {
        /// Subject of the request.
        subject: String,
        /// Error of the client library.
        #[source]
        source: async_nats::RequestError,
    },
}

impl RequestError {
    /// Returns whether asking again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.code.is_transient(),
            Self::NoService { .. } | Self::TimedOut { .. } => true,
            Self::Send { source, .. } => matches!(source.kind(), RequestErrorKind::Other),
        }
    }
}

/// Sends a request and waits for the body of the answer. The span of the request travels in the headers.
pub async fn request(
    nats: &Nats,
    subject: &str,
    body: impl Into<Bytes>,
    within: Duration,
) -> Result<Bytes, RequestError> {
    request_in_span(nats, subject, body.into(), within).instrument(trace::request_span(subject)).await
}

async fn request_in_span(
    nats: &Nats,
    subject: &str,
    body: Bytes,
    within: Duration,
) -> Result<Bytes, RequestError> {
    let mut headers = HeaderMap::new();
    trace::inject(&mut headers);
    let mut request = async_nats::Request::new().payload(body).timeout(Some(within));
    if !headers.is_empty() {
        request = request.headers(headers);
    }
    let answer = nats.client().send_request(subject.to_owned(), request).await.map_err(|source| {
        let subject = subject.to_owned();
        match source.kind() {
            RequestErrorKind::NoResponders => RequestError::NoService { subject },
            RequestErrorKind::TimedOut => RequestError::TimedOut { subject, within },
            _ => RequestError::Send { subject, source },
        }
    })?;
    match answer.headers.as_ref().and_then(|headers| headers.get(NATS_SERVICE_ERROR_CODE)) {
        None => Ok(answer.payload),
        Some(code) => Err(fault(code.as_str(), &answer.payload).into()),
    }
}

/// Returns the fault of an error answer; made from its code where the body does not hold one.
fn fault(code: &str, body: &[u8]) -> Fault {
    if let Ok(body) = serde_json::from_slice::<ErrorBody>(body) {
        return body.error;
    }
    let known = code.parse::<u16>().ok().and_then(|number| ErrorCode::try_from(number).ok());
    Fault::new(known.unwrap_or(ErrorCode::Internal), format!("the service answered with error {code}"))
}
