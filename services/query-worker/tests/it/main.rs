//! The query worker against a real nats-server, each test with its own.

mod answers;
mod away;
mod degraded;
mod freshness;
mod leaks;
mod shards;
mod support;
