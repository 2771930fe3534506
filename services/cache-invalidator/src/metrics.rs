//! What is counted. Batches and their durations are counted by `messaging`.

use std::sync::LazyLock;

use opentelemetry::global;
use opentelemetry::metrics::{Counter, Gauge, Meter};

/// First used by a running service, so after telemetry was started.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter: Meter = global::meter("toolweaver.cache-invalidator");
    Instruments {
        events: meter
            .u64_counter("toolweaver_invalidation_events_total")
            .with_description("INDEXED events handled, deliveries again included")
            .build(),
        raised: meter
            .u64_counter("toolweaver_invalidation_writes_total")
            .with_description("Versions written, one a scope and batch")
            .build(),
        pending: meter
            .u64_gauge("toolweaver_invalidation_pending_messages")
            .with_description("INDEXED events whose versions are not raised yet")
            .build(),
    }
});

struct Instruments {
    events: Counter<u64>,
    raised: Counter<u64>,
    pending: Gauge<u64>,
}

/// So many events were handled.
pub(crate) fn events(count: usize) {
    INSTRUMENTS.events.add(count as u64, &[]);
}

/// So many versions were written.
pub(crate) fn raised(scopes: usize) {
    INSTRUMENTS.raised.add(scopes as u64, &[]);
}

/// So many events wait.
pub(crate) fn pending(messages: u64) {
    INSTRUMENTS.pending.record(messages, &[]);
}
