//! Logs: what passes the filter, as lines on stderr; spans and events from INFO on go to the tracer.

use std::fmt;
use std::io::IsTerminal;

use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterFn, ParseError};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer, format};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::{LogFormat, TelemetryConfig, TelemetryError};

/// Formatter of one JSON object a line, which begins with the ids of the current trace and span, so that a
/// line of the log leads to its trace and back.
struct TracedJson(Format<Json>);

impl Default for TracedJson {
    fn default() -> Self {
        Self(format().json().flatten_event(true).with_current_span(true).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for TracedJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let current = opentelemetry::Context::current();
        let span = current.span();
        let span = span.span_context();
        if !span.is_valid() {
            return self.0.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let (trace_id, span_id) = (span.trace_id(), span.span_id());
        let rest = line.strip_prefix('{').unwrap_or(&line);
        write!(writer, r#"{{"trace_id":"{trace_id}","span_id":"{span_id}",{rest}"#)
    }
}

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
            layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).boxed()
        }
        LogFormat::Json => layer()
            .fmt_fields(JsonFields::new())
            .event_format(TracedJson::default())
            .with_writer(std::io::stderr)
            .boxed(),
    };
    // Each has a filter of its own: who wants few lines in the log may still want whole traces.
    let lines = lines.with_filter(filter(config).map_err(TelemetryError::LogFilter)?);
    let traces = tracing_opentelemetry::layer()
        .with_tracer(tracer_provider.tracer(service_name))
        .with_filter(FilterFn::new(|metadata| {
            *metadata.level() <= Level::INFO && !is_of_the_exporter(metadata.target())
        }));
    tracing_subscriber::registry().with(lines).with(traces).try_init().map_err(TelemetryError::Subscriber)
}

/// Returns whether a span comes from the exporter of spans: exporting one would make more to export.
fn is_of_the_exporter(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    ["h2", "hyper", "hyper_util", "tonic", "tower"].contains(&library)
}
