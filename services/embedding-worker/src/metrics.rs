//! The figures this service reports, each a named function. What the consumer itself counts (deliveries,
//! rejections, batch time) is `messaging`'s.

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::metrics::{Counter, Gauge, Histogram};
use opentelemetry::{KeyValue, global};

const METER: &str = "toolweaver_embedding_worker";

/// Upper bounds of the batch size histogram.
const EVENTS_BUCKETS: [f64; 12] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];

struct Instruments {
    indexed: Counter<u64>,
    skipped: Counter<u64>,
    failures: Counter<u64>,
    store_refused: Counter<u64>,
    vectors: Counter<u64>,
    batch_events: Histogram<u64>,
    stage_seconds: Histogram<f64>,
    unindexed: Gauge<u64>,
    unindexed_age: Gauge<f64>,
}

// Made when the worker starts: by then the process has set its meter provider.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = global::meter(METER);
    Instruments {
        indexed: meter
            .u64_counter("toolweaver_indexed_total")
            .with_description("Changes that became visible in INDEXED, by event.")
            .build(),
        skipped: meter
            .u64_counter("toolweaver_index_skipped_total")
            .with_description("Events of TOOLS that had nothing left to change, by reason.")
            .build(),
        failures: meter
            .u64_counter("toolweaver_index_failures_total")
            .with_description("Changes that could not be indexed at an attempt, by stage.")
            .build(),
        store_refused: meter
            .u64_counter("toolweaver_index_store_refused_total")
            .with_description(
                "Writes that the vector store refused for good at an attempt, by what it refused.",
            )
            .build(),
        vectors: meter
            .u64_counter("toolweaver_tool_vectors_total")
            .with_description("Vectors of the passages of tools, by where they came from.")
            .build(),
        batch_events: meter
            .u64_histogram("toolweaver_index_batch_events")
            .with_description("Events in a batch.")
            .with_boundaries(EVENTS_BUCKETS.to_vec())
            .build(),
        stage_seconds: meter
            .f64_histogram("toolweaver_index_stage_seconds")
            .with_description("Time that a batch spent in a stage.")
            .build(),
        unindexed: meter
            .u64_gauge("toolweaver_unindexed_events")
            .with_description("Events in TOOLS that are not indexed yet.")
            .build(),
        unindexed_age: meter
            .f64_gauge("toolweaver_unindexed_age_seconds")
            .with_description("Age of the oldest event in TOOLS that is not indexed yet; 0 if there is none.")
            .build(),
    }
});

/// The stages of a batch, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Reading what INDEXED holds.
    Read,
    /// Turning texts into vectors.
    Embed,
    /// Writing to the vector store.
    Store,
    /// Publishing to INDEXED.
    Publish,
}

impl Stage {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Embed, Self::Store, Self::Publish];

    /// Returns its name in metrics and traces.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Embed => "embed",
            Self::Store => "store",
            Self::Publish => "publish",
        }
    }
}

/// The reasons for which an event changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// A newer event of the same tool was in the same batch.
    Superseded,
    /// INDEXED holds a newer event of the same tool.
    Stale,
    /// INDEXED holds this very event: it was delivered again.
    Repeated,
}

/// The reach of a refusal by the vector store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// One point; it goes to REJECTED after some attempts.
    Point,
    /// Every point: a wrong key, a collection that is missing or of another shape.
    Store,
}

/// The source of a tool's vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VectorSource {
    /// Computed now.
    Model,
    /// Computed before, by this process.
    Memory,
    /// Computed before, by whoever wrote it to INDEXED.
    Indexed,
}

/// Makes the counters, so that they are there before the first time: what appears at 1 has no increase.
pub(crate) fn declare() {
    for (counter, label, values) in [
        (&INSTRUMENTS.indexed, "event", &["registered", "removed"][..]),
        (&INSTRUMENTS.skipped, "reason", &["superseded", "stale", "repeated"]),
        (&INSTRUMENTS.failures, "stage", &Stage::ALL.map(Stage::as_str)),
        (&INSTRUMENTS.store_refused, "refused", &["point", "store"]),
        (&INSTRUMENTS.vectors, "source", &["model", "memory", "indexed"]),
    ] {
        for value in values {
            counter.add(0, &[KeyValue::new(label, *value)]);
        }
    }
}

/// Counts changes that INDEXED stored.
pub(crate) fn indexed(registered: usize, removed: usize) {
    add(&INSTRUMENTS.indexed, registered, "event", "registered");
    add(&INSTRUMENTS.indexed, removed, "event", "removed");
}

/// Counts events that changed nothing.
pub(crate) fn skipped(reason: Skipped, count: usize) {
    let reason = match reason {
        Skipped::Superseded => "superseded",
        Skipped::Stale => "stale",
        Skipped::Repeated => "repeated",
    };
    add(&INSTRUMENTS.skipped, count, "reason", reason);
}

/// Counts changes that failed in a stage.
pub(crate) fn failures(stage: Stage, count: usize) {
    add(&INSTRUMENTS.failures, count, "stage", stage.as_str());
}

/// Counts writes that the vector store refused for good.
pub(crate) fn store_refused(refused: Refused, count: usize) {
    let refused = match refused {
        Refused::Point => "point",
        Refused::Store => "store",
    };
    add(&INSTRUMENTS.store_refused, count, "refused", refused);
}

/// Counts vectors of tools.
pub(crate) fn vectors(source: VectorSource, count: usize) {
    let source = match source {
        VectorSource::Model => "model",
        VectorSource::Memory => "memory",
        VectorSource::Indexed => "indexed",
    };
    add(&INSTRUMENTS.vectors, count, "source", source);
}

/// Records the size of a batch.
pub(crate) fn batch(events: usize) {
    INSTRUMENTS.batch_events.record(events as u64, &[]);
}

/// Records how long a batch was in a stage.
pub(crate) fn stage(stage: Stage, time: Duration) {
    INSTRUMENTS.stage_seconds.record(time.as_secs_f64(), &[KeyValue::new("stage", stage.as_str())]);
}

/// Records how far we are behind TOOLS.
pub(crate) fn lag(events: u64, oldest: Duration) {
    INSTRUMENTS.unindexed.record(events, &[]);
    INSTRUMENTS.unindexed_age.record(oldest.as_secs_f64(), &[]);
}

fn add(counter: &Counter<u64>, count: usize, label: &'static str, value: &'static str) {
    if count > 0 {
        counter.add(count as u64, &[KeyValue::new(label, value)]);
    }
}
