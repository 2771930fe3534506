//! The stores under one suite, and the layers over real servers that come and go.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod cluster;
mod conformance;
mod faults;
mod files;
mod layers;
mod support;
