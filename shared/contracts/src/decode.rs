//! Bytes to values and back, with the place of a fault as a JSON pointer.

use std::fmt::Write as _;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::{ErrorCode, Fault, limits::PARAMETERS_DEPTH_MAX};

/// Reads a JSON body, which is always an object. Unknown fields are ignored; an empty body reads as `{}`.
///
/// The fault says what was wrong and where, by JSON pointer. Rules across fields are the caller's next step,
/// for example [`SearchRequest::validate`](crate::SearchRequest::validate).
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let body = if body.is_empty() { b"{}" } else { body };
    let value = parse(body)?;
    if !value.is_object() {
        // Said here, because serde would read the fields of a struct from an array too.
        return Err(Fault::bad("", "the body is not a JSON object").hint(SEE_SCHEMAS));
    }
    from_value(value, "")
}

/// Writes a JSON body.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("our wire types have string keys and no failing serializer")
}

const SEE_SCHEMAS: &str =
    "the JSON Schema of every message is in schemas/: it names the fields and their types";

/// Parses JSON text; the fault names the byte, line or nesting that broke it.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Fault::bad("", format!("the body is not UTF-8 from byte {} on", error.valid_up_to()))
            .hint("send JSON encoded as UTF-8")
    })?;
    serde_json::from_str(text).map_err(|error| {
        // The parser stops at depth 128, far past every limit of ours; its own words would not say so.
        if error.to_string().starts_with("recursion limit") {
            Fault::bad("", "the body is nested more than 128 deep")
                .hint(format!("parameters may be nested {PARAMETERS_DEPTH_MAX} deep"))
        } else {
            Fault::bad("", format!("the body is not JSON: {error}")).hint("send one JSON object")
        }
    })
}

/// Reads a value that lies at `prefix` in its body.
pub(crate) fn from_value<T: DeserializeOwned>(value: Value, prefix: &str) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut place = prefix.to_owned();
        push_pointer(&mut place, error.path());
        Fault::new(ErrorCode::BadRequest, error.inner().to_string()).at(place).hint(SEE_SCHEMAS)
    })
}

fn push_pointer(pointer: &mut String, path: &Path) {
    for segment in path {
        match segment {
            Segment::Seq { index } => write!(pointer, "/{index}").expect("writing to a string cannot fail"),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
}
