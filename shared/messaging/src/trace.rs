//! W3C trace context in message headers, and the spans of publishing, processing and answering.
//!
//! Which exporter, sampler and propagator are used is not decided here: the process sets the global ones.

use async_nats::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, global};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Most messages a batch span links to; the rest is only counted.
const LINKS_MAX: usize = 128;

/// Writes the context of the current span into headers (`traceparent`, `tracestate`).
pub fn inject(headers: &mut HeaderMap) {
    let context = Span::current().context();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut HeaderInjector(headers));
    });
}

/// Reads the sender's context out of headers; an empty context when there is none.
pub fn extract(headers: Option<&HeaderMap>) -> Context {
    let Some(headers) = headers else { return Context::new() };
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers))
    })
}

/// The part of a subject that names a kind of message and not one message: `tools.v1` of `tools.v1.acme.github.x`.
pub fn destination(subject: &str) -> &str {
    match subject.match_indices('.').nth(1) {
        Some((end, _)) => &subject[..end],
        None => subject,
    }
}

/// The span of publishing one message.
pub(crate) fn publish_span(subject: &str) -> Span {
    let destination = destination(subject);
    info_span!(
        "publish",
        otel.name = format!("publish {destination}"),
        otel.kind = "producer",
        messaging.system = "nats",
        messaging.operation.name = "publish",
        messaging.destination.name = destination,
    )
}

/// The span of processing one batch; it links to the messages because a span has one parent and they have many.
pub(crate) fn process_span<'a>(
    stream: &str,
    consumer: &str,
    size: usize,
    contexts: impl Iterator<Item = &'a Context>,
) -> Span {
    let span = info_span!(
        "process",
        otel.name = format!("process {stream}"),
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.destination.name = stream,
        messaging.consumer.group.name = consumer,
        messaging.batch.message_count = size,
    );
    for context in contexts.take(LINKS_MAX) {
        let sender = context.span().span_context().clone();
        if sender.is_valid() {
            span.add_link(sender);
        }
    }
    span
}

/// The span of answering one request; the caller's span is its parent.
pub(crate) fn answer_span(subject: &str, endpoint: &str, caller: &Context) -> Span {
    let destination = destination(subject);
    let span = info_span!(
        "process",
        otel.name = format!("process {destination}"),
        otel.kind = "server",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.destination.name = destination,
        toolweaver.endpoint = endpoint,
    );
    if caller.span().span_context().is_valid() {
        // Fails only where no tracing layer exports spans; then nobody misses the parent.
        let _ = span.set_parent(caller.clone());
    }
    span
}

struct HeaderInjector<'a>(&'a mut HeaderMap);

impl Injector for HeaderInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key, value);
    }
}

struct HeaderExtractor<'a>(&'a HeaderMap);

impl Extractor for HeaderExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(async_nats::HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_have_bounded_cardinality() {
        assert_eq!(destination("tools.v1.acme.github.create"), "tools.v1");
        assert_eq!(destination("search.v1.acme"), "search.v1");
        assert_eq!(destination("status.v1"), "status.v1");
        assert_eq!(destination(""), "");
    }

    #[test]
    fn no_headers_are_no_context() {
        assert!(!extract(None).span().span_context().is_valid());
        assert!(!extract(Some(&HeaderMap::new())).span().span_context().is_valid());
    }
}
