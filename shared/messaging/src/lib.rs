//! NATS: connection, streams, consumers, publishing, request-reply services.
//!
//! Here live the connection and its configuration ([`NatsConfig`], [`connect`]), the three streams
//! ([`streams`]), the batching consumer that alone acknowledges messages ([`consumer`]), reading a stream
//! from a sequence ([`replay`]), publishing ([`publish`](mod@publish)), request-reply services in the NATS
//! *micro* protocol ([`service`]) and their clients ([`request`](mod@request)), trace context in headers
//! ([`trace`]) and a `nats-server` as a child process ([`local_server`]).
//!
//! Here does **not** live: what an event means, how it is stored, or when to try a failed start again. A
//! handler gets a batch and returns outcomes; it never sees an acknowledgement.

mod ack;
mod config;
mod connection;
pub mod consumer;
pub mod local_server;
mod metrics;
mod outage_log;
pub mod publish;
mod pull;
pub mod replay;
pub mod request;
pub mod service;
mod settled;
pub mod streams;
pub mod trace;

pub use config::NatsConfig;
pub use connection::{ConnectError, Nats, connect};
pub use consumer::{BatchHandler, Consumer, ConsumerConfig, Delivery, Outcome};
pub use local_server::{LocalServer, LocalServerConfig};
pub use publish::{Outgoing, PublishError, Stored, publish};
pub use replay::{Replay, ReplayBatch, Replayed};
pub use request::{RequestError, request};
pub use service::{Accepted, Endpoint, Limits, Request, Service, ServiceConfig, ServiceError, TenantRate};
pub use settled::{Settled, SettledError, settled};
pub use streams::StreamsConfig;
