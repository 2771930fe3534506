//! Runtime of every service, whatever it does: telemetry, health over HTTP, metrics, tasks, shutdown.
//!
//! A service's `main` is one call of [`service_main`]; its `run` gets a [`Runtime`] and spawns its work as
//! [`Tasks`]. `toolweaver up` runs several services under one [`Runtime`]. No NATS, no cache and no vectors
//! here: those are crates of their own, which this one does not know.

mod health;
pub mod healthcheck;
mod http;
mod main_fn;
mod runtime;
mod shutdown;
mod tasks;
pub mod telemetry;

pub use health::{Gate, Health, NotReady};
pub use http::HttpConfig;
pub use main_fn::{ServiceConfig, service_main};
pub use runtime::{Runtime, RuntimeConfig};
pub use shutdown::{DrainConfig, Shutdown};
pub use tasks::{ServiceError, Tasks};
pub use telemetry::{LogFormat, Telemetry, TelemetryConfig, TelemetryError};
