//! The log: what passes the filter, as lines on stderr; the same spans and events go to the tracer.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, FilterFn, ParseError};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::{LogFormat, TelemetryConfig, TelemetryError};

pub(super) fn filter(config: &TelemetryConfig) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(&config.log_filter)
}

pub(super) fn install(
    service_name: &'static str,
    config: &TelemetryConfig,
    tracer_provider: &SdkTracerProvider,
) -> Result<(), TelemetryError> {
    // stderr, because a program's stdout may be its result (`toolweaver search --json`).
    let lines = match config.log_format {
        LogFormat::Human => {
            fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed()
        }
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(std::io::stderr)
            .boxed(),
    };
    let traces = tracing_opentelemetry::layer()
        .with_tracer(tracer_provider.tracer(service_name))
        .with_filter(FilterFn::new(|metadata| !is_of_the_exporter(metadata.target())));
    tracing_subscriber::registry()
        .with(filter(config).map_err(TelemetryError::LogFilter)?)
        .with(lines)
        .with(traces)
        .try_init()
        .map_err(TelemetryError::Subscriber)
}

/// Whether a span comes from what sends spans. With debug logs on, sending one would make more to send.
fn is_of_the_exporter(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    ["h2", "hyper", "hyper_util", "tonic", "tower"].contains(&library)
}
