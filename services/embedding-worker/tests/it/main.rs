//! The embedding worker against a real nats-server, each test with its own.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing there")]

mod catalog;
mod faults;
mod indexing;
mod newer_wins;
mod shutdown;
mod support;
