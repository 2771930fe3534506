//! Trace context survives the wire: publisher to handler, caller to service.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio_util::sync::CancellationToken;
use toolweaver_messaging::{
    Delivery, Endpoint, Outcome, Outgoing, Replay, Service, ServiceConfig, publish, request,
};
use toolweaver_testkit::wait;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Running, SOON, Script, TestServer, consumer, is_drained};

/// Keeps finished spans for the test to look at.
#[derive(Debug, Clone, Default)]
struct Collector(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Collector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

fn trace_id(context: &Context) -> TraceId {
    context.span().span_context().trace_id()
}

// One test: the propagator and the subscriber are the process's.
#[tokio::test]
async fn context_survives_the_wire() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = Collector::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    // For the whole process: callsites remember what the first thread to reach them thought of them.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = TestServer::start().await;
    let nats = server.ready().await;
    let [root, other, alone] = [(); 3].map(|()| tracing::info_span!("root"));
    let [expected, expected_of_other, expected_alone] =
        [&root, &other, &alone].map(|root| trace_id(&root.context()));
    let publish_one = async |name: &str, root: &tracing::Span| {
        let message = Outgoing::new(format!("tools.v1.acme.github.{name}"), "{}");
        publish(&nats, message).instrument(root.clone()).await.unwrap()
    };
    publish_one("create", &root).await;
    publish_one("remove", &other).await;

    let handler = Arc::new(Script::new(|_: &Delivery| Outcome::Done));
    let consumer = consumer(&nats, |_| {});
    let running = Running::start(&consumer, Arc::clone(&handler));
    wait::until("handled", SOON, async || is_drained(&consumer).await).await;
    let deliveries = handler.deliveries();
    assert_eq!(trace_id(&deliveries[0].span.context()), expected);
    assert_eq!(trace_id(&deliveries[1].span.context()), expected_of_other);

    let mut replay = Replay::new(&nats, "TOOLS", 0);
    let long_ago = replay.next_batch(10).await.unwrap();
    assert_eq!(long_ago.messages.len(), 2);
    assert!(long_ago.spans.messages.is_empty(), "what was published before a reader came is over");
    publish_one("rename", &alone).await;
    let followed = replay.next_batch(10).await.unwrap();
    assert_eq!(trace_id(&followed.spans.messages[0].context()), expected_alone);
    wait::until("handled", SOON, async || is_drained(&consumer).await).await;
    running.stop().await;
    // Spans end with what holds them.
    drop((handler, deliveries, followed));

    let mut service = Service::start(&nats, ServiceConfig::new("test", "1.0.0")).await.unwrap();
    let seen = Arc::new(Mutex::new(None));
    let remember = Arc::clone(&seen);
    service
        .endpoint(Endpoint::new("echo", "search.v1.*"), move |request| {
            *remember.lock().unwrap() = Some(trace_id(&request.context));
            async move { Ok(request.payload) }
        })
        .await
        .unwrap();
    request(&nats, "search.v1.acme", "{}", SOON).instrument(root.clone()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), Some(expected));
    let stop = CancellationToken::new();
    stop.cancel();
    service.run(stop, SOON).await.unwrap();
    drop((root, other, alone));

    let spans = exporter.0.lock().unwrap().clone();
    // Other tests of this process leave spans here too.
    let span = |name: &str, belongs: &dyn Fn(&SpanData) -> bool| {
        spans
            .iter()
            .find(|span| span.name == name && belongs(span))
            .unwrap_or_else(|| panic!("no span {name}"))
    };
    let traced = |trace: TraceId| move |span: &SpanData| span.span_context.trace_id() == trace;
    let links_to = |span: &SpanData, other: &SpanData| {
        span.links.links.iter().any(|link| link.span_context.span_id() == other.span_context.span_id())
    };
    span("process search.v1", &traced(expected));

    let [first, second] = [expected, expected_of_other].map(|trace| span("publish tools.v1", &traced(trace)));
    let batch = span("process TOOLS", &|span| links_to(span, first) && links_to(span, second));
    let trace = batch.span_context.trace_id();
    assert!(trace != expected && trace != expected_of_other, "a batch of two traces belongs to neither");
    for (published, trace) in [(first, expected), (second, expected_of_other)] {
        let of_message = span("process tools.v1", &traced(trace));
        assert_eq!(of_message.parent_span_id, published.span_context.span_id());
        assert!(links_to(of_message, batch));
    }
    for name in ["process TOOLS", "process tools.v1", "apply TOOLS", "apply tools.v1"] {
        span(name, &traced(expected_alone));
    }
}
