//! Logs, traces and metrics of one process, started once.
//!
//! What is measured and which spans there are belongs to the crates that do the work. They use the global
//! OpenTelemetry API, which does nothing before [`start`] (or, for metrics alone, [`metrics::install`]) was
//! called: create instruments after it, not in a static that runs before.

mod exemplars;
mod logs;
pub mod metrics;
mod process;
mod traces;

pub(crate) use process::observe_readiness;
pub use process::resident_memory_bytes;

use clap::{Args, ValueEnum};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

/// Format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a terminal.
    Human,
    /// One JSON object a line, for a log store.
    Json,
}

/// Logs and traces; metrics are always there at `/metrics`.
#[derive(Args, Clone, Debug)]
pub struct TelemetryConfig {
    /// Format of log lines
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value = "human")]
    pub log_format: LogFormat,

    /// Filter of the log, in the syntax of the tracing crate's `EnvFilter`, for example
    /// `info,toolweaver_messaging=debug`
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log_filter: String,

    /// OTLP/gRPC endpoint that gets the traces, for example `http://localhost:4317`; none are exported
    /// without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Fraction of new traces that is kept, 0 to 1; a caller's own decision is respected
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value_t = 1.0)]
    pub trace_ratio: f64,
}

impl TelemetryConfig {
    /// Returns all faults at once, for a human.
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) = logs::filter(self) {
            faults.push(format!("RUST_LOG={:?} is not a log filter: {error}", self.log_filter));
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            faults.push(format!("OTEL_TRACES_SAMPLER_ARG={} must lie between 0 and 1", self.trace_ratio));
        }
        if let Some(endpoint) = self.otlp_endpoint()
            && !endpoint.starts_with("http://")
        {
            faults.push(format!(
                "OTEL_EXPORTER_OTLP_ENDPOINT={endpoint:?} must begin with http:// \
                 (for TLS, send to a collector beside the service)"
            ));
        }
        faults
    }

    /// Returns the endpoint; a variable that is set and empty means none, as the OpenTelemetry specification
    /// has it.
    fn otlp_endpoint(&self) -> Option<&str> {
        self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())
    }
}

/// Error of starting telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is not one.
    #[error("cannot parse the log filter")]
    LogFilter(#[source] tracing_subscriber::filter::ParseError),
    /// The exporter cannot be built from this endpoint.
    #[error("cannot build the OTLP exporter")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// This process already has one.
    #[error("cannot install the log subscriber")]
    Subscriber(#[source] tracing_subscriber::util::TryInitError),
}

/// Running telemetry. Call [`Telemetry::shutdown`] at the end, or the last spans are lost.
#[derive(Debug)]
#[must_use = "the last spans are lost unless it is shut down"]
pub struct Telemetry {
    tracer_provider: SdkTracerProvider,
    meter_provider: SdkMeterProvider,
}

/// Starts logs, traces and metrics of this process. Must be called inside a tokio runtime, once.
pub fn start(service_name: &'static str, config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let tracer_provider = traces::install(service_name, config)?;
    logs::install(service_name, config, &tracer_provider)?;
    Ok(Telemetry { tracer_provider, meter_provider: metrics::install(service_name) })
}

impl Telemetry {
    /// Sends what has not been sent yet, for 5 s at most.
    pub async fn shutdown(self) {
        // Both calls block, and the exporter needs this runtime's threads meanwhile.
        let ended = tokio::task::spawn_blocking(move || {
            if let Err(error) = self.tracer_provider.shutdown() {
                tracing::warn!(%error, "the last spans may be lost");
            }
            if let Err(error) = self.meter_provider.shutdown() {
                tracing::debug!(%error, "metrics ended before");
            }
        });
        ended.await.ok();
    }
}

/// Returns the identity of this process in traces and metrics.
fn resource(service_name: &'static str) -> opentelemetry_sdk::Resource {
    opentelemetry_sdk::Resource::builder()
        .with_service_name(service_name)
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
