//! The metrics of the cache invalidator. Batches and their durations are counted by `messaging`.

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
        version: meter
            .u64_gauge("toolweaver_invalidation_version")
            .with_description("Sequence of INDEXED up to which all versions are raised")
            .build(),
    }
});

struct Instruments {
    events: Counter<u64>,
    raised: Counter<u64>,
    pending: Gauge<u64>,
    version: Gauge<u64>,
}

/// Counts events handled.
pub(crate) fn events(count: usize) {
    INSTRUMENTS.events.add(count as u64, &[]);
}

/// Counts versions written.
pub(crate) fn raised(scopes: usize) {
    INSTRUMENTS.raised.add(scopes as u64, &[]);
}

/// Makes the counters, so that they are there before the first time: what appears at 1 has no increase.
pub(crate) fn declare() {
    events(0);
    raised(0);
}

/// Records the events that wait, and the sequence up to which all are done.
pub(crate) fn lag(pending_messages: u64, version: u64) {
    INSTRUMENTS.pending.record(pending_messages, &[]);
    INSTRUMENTS.version.record(version, &[]);
}
