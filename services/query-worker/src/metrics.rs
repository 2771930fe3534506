//! The metrics of the query worker. Labels are bounded, ids never appear.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};
use toolweaver_contracts::{SearchReply, SearchStatus, ServedFrom};

use crate::projection::Projection;

/// Upper bounds in seconds: from a cache hit to a part's time-out.
const SECONDS: [f64; 13] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

struct Instruments {
    searches: Counter<u64>,
    degraded: Counter<u64>,
    seconds: Histogram<f64>,
}

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = meter();
    Instruments {
        searches: meter
            .u64_counter("toolweaver_searches_total")
            .with_description("Answered searches.")
            .build(),
        degraded: meter
            .u64_counter("toolweaver_searches_degraded_total")
            .with_description("Answers without a part.")
            .build(),
        seconds: meter
            .f64_histogram("toolweaver_search_seconds")
            .with_description("Time from request to reply inside the worker.")
            .with_boundaries(SECONDS.to_vec())
            .build(),
    }
});

fn meter() -> Meter {
    global::meter("toolweaver.query_worker")
}

/// Counts an answered search.
pub(crate) fn search_answered(reply: &SearchReply) {
    let served_from = match reply.served_from {
        ServedFrom::Index => "index",
        ServedFrom::Cache => "cache",
    };
    let status = match reply.status {
        SearchStatus::Matched => "matched",
        SearchStatus::NothingRelevant => "nothing_relevant",
        SearchStatus::CannotSay => "cannot_say",
    };
    let served = KeyValue::new("served_from", served_from);
    INSTRUMENTS.searches.add(1, &[served.clone(), KeyValue::new("status", status)]);
    INSTRUMENTS.seconds.record(reply.took_ms / 1e3, &[served]);
    for part in &reply.degraded {
        INSTRUMENTS.degraded.add(1, &[KeyValue::new("part", part.clone())]);
    }
}

/// Lets every scrape read how far the projection is and what it holds.
pub(crate) fn observe_projection(projection: &Projection) {
    let meter = meter();
    let gauge = |name: &'static str, description: &'static str, read: fn(&Projection) -> u64| {
        let projection = projection.clone();
        meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| observer.observe(read(&projection), &[]))
            .build();
    };
    gauge("toolweaver_projection_version", "Last INDEXED sequence that searches see.", |p| {
        p.applied().version
    });
    gauge("toolweaver_projection_pending", "Changes in INDEXED not applied yet.", |p| p.applied().pending);
    gauge("toolweaver_projection_tools", "Searchable tools.", |p| p.catalog().tools() as u64);
}
