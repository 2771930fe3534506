//! Runtime that a service's `run` receives, and its configuration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tracing::info;

use crate::health::Health;
use crate::http::{HttpConfig, HttpServer};
use crate::shutdown::{DrainConfig, Shutdown};
use crate::tasks::{ServiceError, Tasks};
use crate::telemetry::{TelemetryConfig, observe_readiness};

/// Options that every service has; flatten it into the service's own configuration.
#[derive(Args, Clone, Debug)]
pub struct RuntimeConfig {
    /// Logs, traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// Health and metrics.
    #[command(flatten)]
    pub http: HttpConfig,
    /// Shutdown.
    #[command(flatten)]
    pub drain: DrainConfig,
}

impl RuntimeConfig {
    /// Returns all faults at once, for a human.
    pub fn validate(&self) -> Vec<String> {
        self.telemetry.validate()
    }
}

/// Runtime of one process: health, shutdown, tasks. Several services may share one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Health, in which services make their readiness gates.
    pub health: Health,
    /// Shutdown of the process.
    pub shutdown: Shutdown,
    /// Tasks, among which services spawn their work.
    pub tasks: Tasks,
    drain: DrainConfig,
    http: Option<Arc<HttpServer>>,
}

impl Runtime {
    /// Creates a runtime without an HTTP server and signals; what a test gives to a service.
    pub fn new(drain: DrainConfig) -> Self {
        let (health, shutdown) = (Health::new(), Shutdown::new());
        let tasks = Tasks::new(shutdown.clone(), health.clone());
        Self { health, shutdown, tasks, drain, http: None }
    }

    /// Starts the runtime of a real process: serves health and metrics, and obeys SIGTERM and SIGINT.
    pub async fn start(http: &HttpConfig, drain: DrainConfig) -> anyhow::Result<Self> {
        let mut runtime = Self::new(drain);
        runtime.shutdown.on_signals().context("cannot listen for signals")?;
        observe_readiness(runtime.health.clone());
        let server = HttpServer::start(http, runtime.health.clone())
            .await
            .with_context(|| format!("cannot listen on {} (HTTP_ADDR)", http.http_addr))?;
        info!(address = %server.address, "serving /livez, /readyz and /metrics");
        runtime.http = Some(Arc::new(server));
        Ok(runtime)
    }

    /// Returns the address of health and metrics, if they are served.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|server| server.address)
    }

    /// Returns the drain timeout: the time that tasks have to finish what they have begun.
    pub fn drain_timeout(&self) -> Duration {
        self.drain.timeout()
    }

    /// Waits for a signal, or a task that died; then for the tasks to finish what they have begun.
    pub async fn join(&self) -> Result<(), ServiceError> {
        self.tasks.join(self.drain.timeout()).await
    }
}
