//! The totals of an embedder as metrics of the process. Where they go is not decided here.

use opentelemetry::{KeyValue, global};

use crate::{Embedder, Stats};

/// Reports what an embedder has done, for as long as the process lives; `purpose` tells several of a process
/// apart.
pub fn observe(embedder: &Embedder, purpose: &'static str) {
    let meter = global::meter("toolweaver_embedding");
    let counter = |name: &'static str, description: &'static str, read: fn(&Stats) -> u64| {
        let embedder = embedder.clone();
        meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| {
                observer.observe(read(&embedder.stats()), &[KeyValue::new("purpose", purpose)]);
            })
            .build();
    };
    counter("toolweaver_embedded_texts_total", "Texts that were embedded, by purpose.", |stats| stats.texts);
    counter("toolweaver_embedded_tokens_total", "Tokens of these texts.", |stats| stats.tokens);
    counter(
        "toolweaver_embedded_padded_tokens_total",
        "Tokens of these texts and of what their batches were padded with.",
        |stats| stats.padded_tokens,
    );
    let busy = embedder.clone();
    meter
        .f64_observable_counter("toolweaver_embedding_busy_seconds_total")
        .with_description("Time spent tokenizing and computing.")
        .with_callback(move |observer| {
            observer.observe(busy.stats().busy.as_secs_f64(), &[KeyValue::new("purpose", purpose)]);
        })
        .build();
}
