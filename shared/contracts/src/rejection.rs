//! An event that could not be accepted, kept with its reason.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Fault, limits::REJECTED_ORIGINAL_BYTES_MAX};

/// A message on `rejected.v1.<tenant>.<domain>.<tool>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejection {
    /// The fault, its place in the event, and advice.
    pub reason: Fault,
    /// Subject the event was published on.
    pub subject: String,
    /// Its sequence in its stream.
    pub revision: u64,
    /// The number of its deliveries.
    pub attempts: u64,
    /// When it was given up, RFC 3339.
    pub rejected_at: String,
    /// The body that was published.
    pub original: Original,
}

/// The rejected body: as text where it is UTF-8, else as base64; cut at 256 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Original {
    /// Its full size in bytes.
    #[schemars(with = "u64")]
    pub bytes: usize,
    /// Whether only the first 256 KiB are kept here.
    pub truncated: bool,
    /// The body, where it is UTF-8 and was not cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The body in base64, in every other case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("contentEncoding" = "base64"))]
    pub base64: Option<String>,
}

impl Original {
    /// Keeps a body as it came.
    pub fn new(body: &[u8]) -> Self {
        let kept = &body[..body.len().min(REJECTED_ORIGINAL_BYTES_MAX)];
        let truncated = kept.len() < body.len();
        // Control characters grow sixfold as JSON text; base64 keeps such a body under the server's message
        // limit.
        let text = std::str::from_utf8(kept).ok().filter(|text| !truncated && is_readable(text));
        Self {
            bytes: body.len(),
            truncated,
            text: text.map(str::to_owned),
            base64: text.is_none().then(|| STANDARD.encode(kept)),
        }
    }
}

/// Returns whether a text is text: no control characters but line ends and tabs.
fn is_readable(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}
