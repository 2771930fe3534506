//! Metrics of this crate, through the process's global OpenTelemetry meter.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};
use toolweaver_contracts::{ErrorCode, Fault};

struct Instruments {
    deliveries: Counter<u64>,
    rejected: Counter<u64>,
    batch_seconds: Histogram<f64>,
    requests: Counter<u64>,
    request_seconds: Histogram<f64>,
    request_queue_seconds: Histogram<f64>,
    requests_shed: Counter<u64>,
    requests_in_flight: Gauge<u64>,
    requests_queued: Gauge<u64>,
    requests_in_flight_max: Gauge<u64>,
    nats_connected: Gauge<u64>,
    nats_reconnects: Counter<u64>,
}

/// Values of the label `reason` of rejections: a field of the event, or one of the last three.
const REASONS: [&str; 16] = [
    "event",
    "tool_name",
    "tool_type",
    "domain",
    "description",
    "parameters",
    "version",
    "last_updated",
    "tags",
    "examples",
    "publisher",
    "allowed_roles",
    "tool",
    // It cannot be read, or is not where it should be.
    "message",
    // It is not at fault, and failed again and again.
    "internal",
    "other",
];

// Made at first use: by then the process has set its meter provider.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = global::meter("toolweaver_messaging");
    Instruments {
        deliveries: meter
            .u64_counter("toolweaver_deliveries_total")
            .with_description("Stream messages handled, by stream and outcome.")
            .build(),
        rejected: meter
            .u64_counter("toolweaver_rejected_total")
            .with_description("Stream messages given up and stored in REJECTED, by what was wrong with them.")
            .build(),
        batch_seconds: meter
            .f64_histogram("toolweaver_batch_seconds")
            .with_description("Time from a whole batch to its last acknowledgement, by stream.")
            .build(),
        requests: meter
            .u64_counter("toolweaver_requests_total")
            .with_description("Requests answered, by endpoint and code (200 or an error code).")
            .build(),
        request_seconds: meter
            .f64_histogram("toolweaver_request_seconds")
            .with_description("Time from a request's arrival to its answer, by endpoint.")
            .build(),
        request_queue_seconds: meter
            .f64_histogram("toolweaver_request_queue_seconds")
            .with_description("Time that a request waited before it was worked on, by endpoint.")
            .build(),
        requests_shed: meter
            .u64_counter("toolweaver_requests_shed_total")
            .with_description("Requests refused unread, by endpoint and reason.")
            .build(),
        requests_in_flight: meter
            .u64_gauge("toolweaver_requests_in_flight")
            .with_description("Requests being worked on, by endpoint.")
            .build(),
        requests_queued: meter
            .u64_gauge("toolweaver_requests_queued")
            .with_description("Requests waiting to be worked on, by endpoint.")
            .build(),
        requests_in_flight_max: meter
            .u64_gauge("toolweaver_requests_in_flight_max")
            .with_description("Most requests worked on at a time, as adapted to the machine, by endpoint.")
            .build(),
        nats_connected: meter
            .u64_gauge("toolweaver_nats_connected")
            .with_description("1 while the connection to NATS stands, by client.")
            .build(),
        nats_reconnects: meter
            .u64_counter("toolweaver_nats_reconnects_total")
            .with_description("Connections to NATS that were made anew, by client.")
            .build(),
    }
});

/// Makes the counters of a stream at 0: what appears at 1 has no increase.
pub(crate) fn declare(stream: &str) {
    for outcome in ["done", "retry", "rejected"] {
        let labels = [KeyValue::new("stream", stream.to_owned()), KeyValue::new("outcome", outcome)];
        INSTRUMENTS.deliveries.add(0, &labels);
    }
    for reason in REASONS {
        INSTRUMENTS.rejected.add(0, &[KeyValue::new("reason", reason)]);
    }
}

/// Makes the counters of an endpoint at 0.
pub(crate) fn declare_endpoint(endpoint: &str, shed_reasons: impl IntoIterator<Item = &'static str>) {
    let name = KeyValue::new("endpoint", endpoint.to_owned());
    for code in ErrorCode::ALL.map(ErrorCode::number).into_iter().chain([200]) {
        INSTRUMENTS.requests.add(0, &[name.clone(), KeyValue::new("code", i64::from(code))]);
    }
    for reason in shed_reasons {
        INSTRUMENTS.requests_shed.add(0, &[name.clone(), KeyValue::new("reason", reason)]);
    }
}

/// Records whether a client is connected.
pub(crate) fn nats_connected(client: &str, is_connected: bool) {
    INSTRUMENTS.nats_connected.record(u64::from(is_connected), &[KeyValue::new("client", client.to_owned())]);
}

/// Counts connections of a client that were made anew.
pub(crate) fn nats_reconnected(client: &str, times: u64) {
    INSTRUMENTS.nats_reconnects.add(times, &[KeyValue::new("client", client.to_owned())]);
}

/// Counts deliveries of one stream with one outcome.
pub(crate) fn deliveries(stream: &str, outcome: &'static str, count: usize) {
    if count > 0 {
        let labels = [KeyValue::new("stream", stream.to_owned()), KeyValue::new("outcome", outcome)];
        INSTRUMENTS.deliveries.add(count as u64, &labels);
    }
}

/// Counts one rejection.
pub(crate) fn rejected(reason: &Fault) {
    INSTRUMENTS.rejected.add(1, &[KeyValue::new("reason", rejected_for(reason))]);
}

/// Returns the field of the event that a fault points at.
fn rejected_for(reason: &Fault) -> &'static str {
    if reason.code != ErrorCode::BadRequest {
        return "internal";
    }
    let Some(pointer) = reason.pointer.as_deref().filter(|pointer| !pointer.is_empty()) else {
        return "message";
    };
    let mut tokens = pointer.split('/').skip(1);
    let (first, second) = (tokens.next().unwrap_or_default(), tokens.next());
    let field = if first == "tool" { second.unwrap_or(first) } else { first };
    REASONS.into_iter().find(|reason| *reason == field).unwrap_or("other")
}

/// Records the duration of one batch.
pub(crate) fn batch(stream: &str, seconds: f64) {
    INSTRUMENTS.batch_seconds.record(seconds, &[KeyValue::new("stream", stream.to_owned())]);
}

/// Records one answered request.
pub(crate) fn request(endpoint: &str, code: u16, seconds: f64) {
    let name = KeyValue::new("endpoint", endpoint.to_owned());
    INSTRUMENTS.requests.add(1, &[name.clone(), KeyValue::new("code", i64::from(code))]);
    INSTRUMENTS.request_seconds.record(seconds, &[name]);
}

/// Records the time that a request was queued.
pub(crate) fn queued(endpoint: &str, seconds: f64) {
    INSTRUMENTS.request_queue_seconds.record(seconds, &[KeyValue::new("endpoint", endpoint.to_owned())]);
}

/// Counts a request that was refused unread.
pub(crate) fn shed(endpoint: &str, reason: &'static str) {
    let labels = [KeyValue::new("endpoint", endpoint.to_owned()), KeyValue::new("reason", reason)];
    INSTRUMENTS.requests_shed.add(1, &labels);
}

/// Records the load of an endpoint, and its concurrency limit.
pub(crate) fn load(endpoint: &str, in_flight: usize, queued: usize, in_flight_max: usize) {
    let name = [KeyValue::new("endpoint", endpoint.to_owned())];
    INSTRUMENTS.requests_in_flight.record(in_flight as u64, &name);
    INSTRUMENTS.requests_queued.record(queued as u64, &name);
    INSTRUMENTS.requests_in_flight_max.record(in_flight_max as u64, &name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_is_counted_under_the_field_that_was_wrong() {
        let wrong = |pointer: &str| rejected_for(&Fault::new(ErrorCode::BadRequest, "wrong").at(pointer));
        assert_eq!(wrong("/tool/parameters/properties/x"), "parameters");
        assert_eq!(wrong("/tool"), "tool");
        assert_eq!(wrong("/event"), "event");
        assert_eq!(wrong("/tool/no_such_field"), "other");
        assert_eq!(rejected_for(&Fault::new(ErrorCode::BadRequest, "not JSON")), "message");
        assert_eq!(rejected_for(&Fault::new(ErrorCode::Internal, "no luck")), "internal");
    }
}
