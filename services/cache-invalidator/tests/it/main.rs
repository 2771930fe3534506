//! The invalidator against a real nats-server and a real Redis.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod outage;
mod pace;
mod process;
mod stream;
mod support;
mod versions;
