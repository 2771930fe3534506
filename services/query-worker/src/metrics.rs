//! Metrics of the query worker. Labels are bounded, ids never appear.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, Meter},
};
use toolweaver_contracts::{Routed, RoutedBy, SearchReply, SearchStatus, ServedFrom};

use crate::projection::Projection;

struct Instruments {
    searches: Counter<u64>,
    degraded: Counter<u64>,
    seconds: Histogram<f64>,
    routed: Counter<u64>,
    stage_seconds: Histogram<f64>,
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
            .with_description("Answers that lack a dependency.")
            .build(),
        seconds: meter
            .f64_histogram("toolweaver_search_seconds")
            .with_description("Time from request to reply inside the worker.")
            .build(),
        routed: meter
            .u64_counter("toolweaver_searches_routed_total")
            .with_description(
                "Computed searches by what led them to a domain, and whether they fell back to all.",
            )
            .build(),
        stage_seconds: meter
            .f64_histogram("toolweaver_search_stage_seconds")
            .with_description("Time that a computed search spent in a stage. Some stages run side by side.")
            .build(),
    }
});

const SERVED_FROM: [&str; 2] = ["index", "cache"];
const STATUSES: [&str; 3] = ["matched", "nothing_relevant", "cannot_say"];
const ROUTED_BY: [&str; 5] = ["hint", "keywords", "centroid", "llm", "none"];
/// Dependencies that an answer may lack. The domains of other shards count as one: there may be any number.
const DEPENDENCIES: [&str; 6] = ["vectors", "embedding", "lexical", "cache", "projection", DOMAIN];
const DOMAIN: &str = "domain";

/// Creates the counters at 0: a counter that appears at 1 has no increase.
pub(crate) fn declare() {
    for served_from in SERVED_FROM {
        for status in STATUSES {
            let labels = [KeyValue::new("served_from", served_from), KeyValue::new("status", status)];
            INSTRUMENTS.searches.add(0, &labels);
        }
    }
    for dependency in DEPENDENCIES {
        INSTRUMENTS.degraded.add(0, &[KeyValue::new("part", dependency)]);
    }
    for by in ROUTED_BY {
        for fell_back in [false, true] {
            INSTRUMENTS
                .routed
                .add(0, &[KeyValue::new("by", by), KeyValue::new("fell_back", fell_back.to_string())]);
        }
    }
}

/// Counts a search that was computed, and the time of its stages.
pub(crate) fn search_computed(routed: &Routed, stages: impl Iterator<Item = (&'static str, Duration)>) {
    let by = match routed.by {
        RoutedBy::Hint => "hint",
        RoutedBy::Keywords => "keywords",
        RoutedBy::Centroid => "centroid",
        RoutedBy::Llm => "llm",
        RoutedBy::None => "none",
    };
    let labels = [KeyValue::new("by", by), KeyValue::new("fell_back", routed.fell_back.to_string())];
    INSTRUMENTS.routed.add(1, &labels);
    for (stage, took) in stages {
        INSTRUMENTS.stage_seconds.record(took.as_secs_f64(), &[KeyValue::new("stage", stage)]);
    }
}

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
    for missing in &reply.degraded {
        let dependency = DEPENDENCIES.into_iter().find(|known| missing == known).unwrap_or(DOMAIN);
        INSTRUMENTS.degraded.add(1, &[KeyValue::new("part", dependency)]);
    }
}

/// Registers gauges of the projection's progress and size.
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
    let lagging = projection.clone();
    meter
        .f64_observable_gauge("toolweaver_projection_lag_seconds")
        .with_description(
            "Age of the oldest change in INDEXED that may not be applied yet; 0 if there is none.",
        )
        .with_callback(move |observer| observer.observe(lagging.applied().lag().as_secs_f64(), &[]))
        .build();
    gauge("toolweaver_projection_tools", "Searchable tools.", |p| p.catalog().tools() as u64);
}
