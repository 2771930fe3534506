//! The one error shape of the wire: the fault, its place in the body, and advice.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::limits::FAULT_MESSAGE_BYTES_MAX;

/// The error codes of replies; numbers as in HTTP, carried in `Nats-Service-Error-Code` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum ErrorCode {
    /// 400: the request or event is wrong and will stay wrong.
    BadRequest,
    /// 404: no such tool, or none that this caller may see.
    NotFound,
    /// 409: the asked version is not applied yet.
    NotYet,
    /// 429: too busy, or over quota; try again later.
    Busy,
    /// 500: a fault of the service itself.
    Internal,
    /// 503: the dependency that could answer is down.
    Unavailable,
    /// 504: the deadline passed first.
    Deadline,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BadRequest,
        Self::NotFound,
        Self::NotYet,
        Self::Busy,
        Self::Internal,
        Self::Unavailable,
        Self::Deadline,
    ];

    /// Returns the number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotFound => 404,
            Self::NotYet => 409,
            Self::Busy => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Deadline => 504,
        }
    }

    /// Returns whether the same request may succeed later.
    pub const fn is_transient(self) -> bool {
        !matches!(self, Self::BadRequest | Self::NotFound)
    }
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> Self {
        code.number()
    }
}

impl TryFrom<u16> for ErrorCode {
    type Error = String;

    fn try_from(number: u16) -> Result<Self, Self::Error> {
        Self::ALL
            .into_iter()
            .find(|code| code.number() == number)
            .ok_or_else(|| format!("unknown error code {number}"))
    }
}

impl JsonSchema for ErrorCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer",
            "description": "400 bad request, 404 not found, 409 not yet at the asked version, 429 busy, 500 internal, 503 cannot say, 504 deadline.",
            "enum": Self::ALL.map(Self::number)
        })
    }
}

/// One fault: what was wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{}", Rendered(self))]
pub struct Fault {
    /// The kind of fault.
    pub code: ErrorCode,
    /// The fault, as a sentence without a full stop.
    pub message: String,
    /// JSON pointer (RFC 6901) to the faulty value in the body, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Advice that ends the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Fault {
    /// Returns a fault of the given kind, without place or advice yet. A message over
    /// [`FAULT_MESSAGE_BYTES_MAX`] bytes is cut.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into()), pointer: None, hint: None }
    }

    /// Returns a bad request at a place in the body.
    pub fn bad(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, message).at(pointer)
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Messages quote what was sent. Uncut, a rejection would carry a large event twice and outgrow the server's
/// limit, and an event that cannot be rejected blocks everybody behind it.
fn cut(mut message: String) -> String {
    if message.len() > FAULT_MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(FAULT_MESSAGE_BYTES_MAX - '…'.len_utf8()));
        message.push('…');
    }
    message
}

struct Rendered<'a>(&'a Fault);

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { code, message, pointer, hint } = self.0;
        write!(f, "{message} ({}", code.number())?;
        if let Some(pointer) = pointer {
            write!(f, " at {}", if pointer.is_empty() { "the root" } else { pointer })?;
        }
        f.write_str(")")?;
        if let Some(hint) = hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// The body of every error reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The fault.
    pub error: Fault,
}
