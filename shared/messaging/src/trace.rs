//! Tracing: W3C trace context in message headers, and the spans of publishing, processing and answering.
//!
//! A batch has one span, and messages have many senders: its span links to all of them, and belongs to their
//! trace only where they share one. So that each message's own trace stays whole, each sampled message also
//! has a span in the trace of its sender, for as long as its batch takes; what is published because of it
//! goes on from there.
//!
//! ```text
//! trace of a message:  publish tools.v1 ─▶ process tools.v1 ─▶ publish indexed.v1 ─▶ …
//!                               │ link            │ link
//! trace of the batch:           └──▶ process TOOLS ◀┘ ─▶ read, embed, store, publish
//! ```
//!
//! Which exporter, sampler and propagator are used is not decided here: the process sets the global ones.

use async_nats::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, global};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Most messages a batch span links to; the rest is only counted.
const LINKS_MAX: usize = 128;

/// The spans of one batch. They end when this is dropped.
#[derive(Debug, Clone)]
pub struct BatchSpans {
    /// Span of the work on all of it.
    pub batch: Span,
    /// Spans of the messages, each in its own trace; none where that is not recorded.
    pub messages: Vec<Span>,
}

/// Message of a batch, as its spans see it.
pub(crate) struct Sent<'a> {
    pub(crate) subject: &'a str,
    pub(crate) sender: &'a Context,
}

impl BatchSpans {
    /// Creates the spans of an operation on a batch; `group` names the readers that share the stream's
    /// messages.
    pub(crate) fn new(operation: &str, stream: &str, group: &str, sent: &[Sent<'_>]) -> Self {
        let batch = info_span!(
            "batch",
            otel.name = format!("{operation} {stream}"),
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.operation.name = operation,
            messaging.destination.name = stream,
            messaging.consumer.group.name = group,
            messaging.batch.message_count = sent.len(),
        );
        let senders: Vec<SpanContext> = sent
            .iter()
            .map(|sent| sent.sender.span().span_context().clone())
            .filter(SpanContext::is_valid)
            .collect();
        if let Some(first) = senders.first() {
            if senders.iter().all(|sender| sender.trace_id() == first.trace_id()) {
                // Fails only where no tracing layer exports spans; then nobody misses the parent.
                let _ = batch.set_parent(Context::new().with_remote_span_context(first.clone()));
            }
            for sender in senders.iter().take(LINKS_MAX) {
                batch.add_link(sender.clone());
            }
        }
        // Known to the messages' spans only where one of them is recorded: a batch without traces costs
        // nothing more.
        let is_traced = senders.iter().any(SpanContext::is_sampled);
        let of_batch = is_traced.then(|| batch.context().span().span_context().clone());
        let messages = sent.iter().map(|sent| message_span(operation, sent, of_batch.as_ref())).collect();
        Self { batch, messages }
    }

    /// Returns spans that record nothing.
    pub(crate) fn none() -> Self {
        Self { batch: Span::none(), messages: Vec::new() }
    }
}

/// Creates the span of one message in its sender's trace; disabled where that is not recorded.
fn message_span(operation: &str, sent: &Sent<'_>, batch: Option<&SpanContext>) -> Span {
    let Some(batch) = batch.filter(|_| sent.sender.span().span_context().is_sampled()) else {
        return Span::none();
    };
    let destination = destination(sent.subject);
    let span = info_span!(
        parent: None,
        "message",
        otel.name = format!("{operation} {destination}"),
        otel.kind = "consumer",
        messaging.system = "nats",
        messaging.operation.name = operation,
        messaging.destination.name = destination,
    );
    // As above.
    let _ = span.set_parent(sent.sender.clone());
    span.add_link(batch.clone());
    span
}

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

/// Returns the prefix of a subject that names a kind of message and not one message: `tools.v1` of
/// `tools.v1.acme.github.x`.
pub fn destination(subject: &str) -> &str {
    match subject.match_indices('.').nth(1) {
        Some((end, _)) => &subject[..end],
        None => subject,
    }
}

/// Creates the span of publishing one message.
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

/// Creates the span of a request, from sending it to its answer.
pub(crate) fn request_span(subject: &str) -> Span {
    let destination = destination(subject);
    info_span!(
        "request",
        otel.name = format!("request {destination}"),
        otel.kind = "client",
        messaging.system = "nats",
        messaging.operation.name = "request",
        messaging.destination.name = destination,
    )
}

/// Creates the span of answering one request; the caller's span is its parent.
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
