//! The query worker against a real nats-server, each test with its own.

mod answers;
mod away;
mod fallback;
mod freshness;
mod leaks;
mod limits;
mod replaced;
mod shards;
mod silent;
mod support;
mod warmth;
