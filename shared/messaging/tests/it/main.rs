//! The crate against a real nats-server, each test with its own.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod consumer;
mod limits;
mod local_server;
mod publish;
mod replay;
mod service;
mod settled;
mod streams;
mod support;
mod trace;
mod typed;
