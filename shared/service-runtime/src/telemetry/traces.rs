//! Traces: W3C context between processes, sampling, and the export over OTLP.

use opentelemetry::global;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::{TelemetryConfig, TelemetryError, resource};

/// Sets the global propagator and tracer provider. The exporter is there only when an endpoint is configured;
/// without one, trace ids still go from message to message, so that other processes' traces stay whole.
pub(super) fn install(
    service_name: &'static str,
    config: &TelemetryConfig,
) -> Result<SdkTracerProvider, TelemetryError> {
    let mut builder = SdkTracerProvider::builder().with_resource(resource(service_name));
    builder = match config.otlp_endpoint() {
        Some(endpoint) => {
            let exporter = SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .build()
                .map_err(TelemetryError::Exporter)?;
            builder.with_sampler(sampler(config.trace_ratio)).with_batch_exporter(exporter)
        }
        // Nobody would see a trace that begins here, so it is not recorded.
        None => builder.with_sampler(sampler(0.0)),
    };
    let provider = builder.build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    global::set_tracer_provider(provider.clone());
    Ok(provider)
}

fn sampler(ratio: f64) -> Sampler {
    Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)))
}
