//! The three streams: made when missing, brought up to date when old, otherwise left as operators set them.
//!
//! What is published to them and who reads them is not here.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_nats::jetstream::context::RequestError;
use async_nats::jetstream::{self, ErrorCode, response::Response};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::info;

use toolweaver_contracts::subjects::{
    INDEXED_STREAM, INDEXED_SUBJECTS, REJECTED_STREAM, REJECTED_SUBJECTS, TOOLS_STREAM, TOOLS_SUBJECTS,
};

use toolweaver_resilience::BackoffPolicy;

use crate::Nats;

/// Retention of REJECTED in time (30 days), unless an operator said otherwise.
const REJECTED_AGE_NANOS_MAX: u64 = 30 * 24 * 3_600 * 1_000_000_000;
/// Retention of REJECTED in bytes, unless an operator said otherwise.
const REJECTED_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Attempts at one stream: several workers may create it at once, one wins, the others look again.
const ATTEMPTS_MAX: u64 = 5;
/// Waits between them.
const BACKOFF: BackoffPolicy = BackoffPolicy::new(Duration::from_millis(50), Duration::from_secs(1));

/// Configuration of the streams.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "NATS")]
pub struct StreamsConfig {
    /// Replicas of each stream: 3 on a cluster; unset, a new stream gets 1 and an existing one keeps what it
    /// has
    #[arg(long = "nats-stream-replicas", env = "NATS_STREAM_REPLICAS", value_name = "COUNT")]
    pub replicas: Option<NonZeroUsize>,
}

/// Error of making or reading a stream.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// The server could not be asked, or is not ready.
    #[error(
        "cannot read or write the configuration of stream {stream}; check that nats-server runs with JetStream (-js)"
    )]
    Request {
        /// Name of the stream.
        stream: String,
        /// Error of the client library.
        #[source]
        source: RequestError,
    },
    /// The server answered that it cannot do it now.
    #[error("JetStream is not ready to keep stream {stream}")]
    NotReady {
        /// Name of the stream.
        stream: String,
        /// Error of the server.
        #[source]
        source: jetstream::Error,
    },
    /// A setting is wrong and cannot be changed here.
    #[error("stream {stream}, setting {setting}: {reason}; {hint}")]
    Setting {
        /// Name of the stream.
        stream: String,
        /// Name of the setting, as NATS calls it.
        setting: String,
        /// Reason.
        reason: String,
        /// Advice.
        hint: String,
    },
}

impl EnsureError {
    /// Returns whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Setting { .. })
    }
}

/// State of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamState {
    /// Number of messages.
    pub messages: u64,
    /// Size of the messages in bytes.
    pub bytes: u64,
    /// Sequence of the oldest message.
    pub first_sequence: u64,
    /// Sequence of the newest message ever stored.
    pub last_sequence: u64,
    /// Time at which the stream was made.
    pub created: OffsetDateTime,
}

impl StreamState {
    /// Returns a text that tells this stream from one of the same name that was removed before it, or is made
    /// after it. The sequences of both begin at 1, so what is kept under a sequence outside the stream needs
    /// this beside it.
    pub fn incarnation(&self) -> String {
        format!("{:x}", self.created.unix_timestamp_nanos())
    }
}

/// Makes TOOLS, INDEXED and REJECTED as they must be. Does nothing where they are; several workers may call
/// it at once.
///
/// Only the settings this project depends on are ever changed on a stream that exists. Limits, placement,
/// compression and whatever else an operator set stay.
pub async fn ensure(nats: &Nats, config: &StreamsConfig) -> Result<(), EnsureError> {
    for wanted in wanted(config, nats.supports_message_ttl()) {
        ensure_stream(nats, &wanted).await?;
    }
    Ok(())
}

/// Reads the state of a stream.
pub async fn state(nats: &Nats, stream: &str) -> Result<StreamState, EnsureError> {
    let info = read(nats, stream).await?.ok_or_else(|| EnsureError::Setting {
        stream: stream.to_owned(),
        setting: "name".to_owned(),
        reason: "there is no such stream".to_owned(),
        hint: "start a worker, or `toolweaver up`, which creates it".to_owned(),
    })?;
    let number = |field: &str| info["state"][field].as_u64().unwrap_or_default();
    let created = info["created"].as_str().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    Ok(StreamState {
        messages: number("messages"),
        bytes: number("bytes"),
        first_sequence: number("first_seq"),
        last_sequence: number("last_seq"),
        created: created.ok_or_else(|| EnsureError::Setting {
            stream: stream.to_owned(),
            setting: "created".to_owned(),
            reason: format!("{} is not a time", info["created"]),
            hint: "check that the server at the NATS URL is a nats-server".to_owned(),
        })?,
    })
}

/// Settings of one stream. They are JSON, not the client library's type: an update must carry back every
/// setting that the server knows, also those that the library does not.
struct Wanted {
    name: &'static str,
    /// Settings that are restored on every start.
    enforced: Map<String, Value>,
    /// Settings of a new stream; operators may change them later.
    initial: Map<String, Value>,
}

fn wanted(config: &StreamsConfig, message_ttl: bool) -> [Wanted; 3] {
    let stream = |name: &'static str, subjects: &str, one_per_subject: bool| {
        let mut enforced = object(json!({ "subjects": [subjects], "allow_direct": true }));
        let mut initial = object(json!({ "discard": "old", "num_replicas": 1 }));
        if one_per_subject {
            enforced.insert("max_msgs_per_subject".to_owned(), json!(1));
        } else {
            initial.insert("max_age".to_owned(), json!(REJECTED_AGE_NANOS_MAX));
            initial.insert("max_bytes".to_owned(), json!(REJECTED_BYTES_MAX));
        }
        if one_per_subject && message_ttl {
            enforced.insert("allow_msg_ttl".to_owned(), json!(true));
        }
        if let Some(replicas) = config.replicas {
            enforced.insert("num_replicas".to_owned(), json!(replicas));
        }
        Wanted { name, enforced, initial }
    };
    [
        stream(TOOLS_STREAM, TOOLS_SUBJECTS, true),
        stream(INDEXED_STREAM, INDEXED_SUBJECTS, true),
        stream(REJECTED_STREAM, REJECTED_SUBJECTS, false),
    ]
}

async fn ensure_stream(nats: &Nats, wanted: &Wanted) -> Result<(), EnsureError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let outcome = match read(nats, wanted.name).await? {
            None => create(nats, wanted).await?,
            Some(info) => update(nats, wanted, &info["config"]).await?,
        };
        let Err(error) = outcome else { return Ok(()) };
        let raced = matches!(error.error_code(), ErrorCode::STREAM_NAME_EXIST | ErrorCode::STREAM_NOT_FOUND);
        if !raced || attempts == ATTEMPTS_MAX {
            return Err(refusal(wanted, error));
        }
        tokio::time::sleep(BACKOFF.wait_after(attempts)).await;
    }
}

type Answer = Result<(), jetstream::Error>;

async fn create(nats: &Nats, wanted: &Wanted) -> Result<Answer, EnsureError> {
    let mut config = wanted.initial.clone();
    // Two settings that no stream can change later: checked on existing ones, given to new ones.
    config.extend(object(json!({ "name": wanted.name, "retention": "limits", "storage": "file" })));
    config.extend(wanted.enforced.clone());
    let answer = write(nats, "CREATE", wanted.name, &Value::Object(config)).await?;
    if answer.is_ok() {
        info!(stream = wanted.name, "created the stream");
    }
    Ok(answer)
}

async fn update(nats: &Nats, wanted: &Wanted, current: &Value) -> Result<Answer, EnsureError> {
    for (setting, value) in [("storage", "file"), ("retention", "limits")] {
        if current[setting] != value {
            return Err(EnsureError::Setting {
                stream: wanted.name.to_owned(),
                setting: setting.to_owned(),
                reason: format!(
                    "it is {} and must be \"{value}\", which no update can change",
                    current[setting]
                ),
                hint: format!(
                    "back the stream up, remove it with `nats stream rm {}`, and start again",
                    wanted.name
                ),
            });
        }
    }
    let changed: Vec<&String> = wanted
        .enforced
        .iter()
        .filter(|(setting, value)| current[*setting] != **value)
        .map(|(name, _)| name)
        .collect();
    if changed.is_empty() {
        return Ok(Ok(()));
    }
    let mut config = current.clone();
    for setting in &changed {
        config[setting.as_str()] = wanted.enforced[*setting].clone();
    }
    let answer = write(nats, "UPDATE", wanted.name, &config).await?;
    if answer.is_ok() {
        info!(stream = wanted.name, ?changed, "updated the stream");
    }
    Ok(answer)
}

/// Reads the server's view of a stream; none if there is no such stream.
async fn read(nats: &Nats, stream: &str) -> Result<Option<Value>, EnsureError> {
    match call(nats, format!("STREAM.INFO.{stream}"), stream, &json!({})).await? {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
        Err(source) => Err(EnsureError::NotReady { stream: stream.to_owned(), source }),
    }
}

async fn write(nats: &Nats, verb: &str, stream: &str, config: &Value) -> Result<Answer, EnsureError> {
    Ok(call(nats, format!("STREAM.{verb}.{stream}"), stream, config).await?.map(|_| ()))
}

async fn call(
    nats: &Nats,
    subject: String,
    stream: &str,
    body: &Value,
) -> Result<Result<Value, jetstream::Error>, EnsureError> {
    match nats.jetstream().request(subject, body).await {
        Ok(Response::Ok(value)) => Ok(Ok(value)),
        Ok(Response::Err { error }) => Ok(Err(error)),
        Err(source) => Err(EnsureError::Request { stream: stream.to_owned(), source }),
    }
}

/// Translates the server's refusal into terms of the configuration.
fn refusal(wanted: &Wanted, error: jetstream::Error) -> EnsureError {
    let replicas = wanted.enforced.get("num_replicas").unwrap_or(&Value::Null);
    let (setting, hint) = match error.error_code() {
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
        | ErrorCode::CLUSTER_NO_PEERS
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::REPLICAS_COUNT_CANNOT_BE_NEGATIVE
            if replicas.as_u64().is_some_and(|count| count > 1) =>
        {
            (
                "num_replicas",
                format!(
                    "set NATS_STREAM_REPLICAS to at most the number of servers in the cluster (now {replicas})"
                ),
            )
        }
        ErrorCode::STREAM_SUBJECT_OVERLAP => (
            "subjects",
            format!(
                "another stream stores some of {}; find it with `nats stream find --subject`, then remove or change it",
                wanted.enforced["subjects"]
            ),
        ),
        _ if error.code() >= 500 => {
            return EnsureError::NotReady { stream: wanted.name.to_owned(), source: error };
        }
        _ => (
            "configuration",
            "compare it with `nats stream info` and change what the server names".to_owned(),
        ),
    };
    EnsureError::Setting {
        stream: wanted.name.to_owned(),
        setting: setting.to_owned(),
        reason: error.to_string(),
        hint,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
