//! Reports of the ladder and of a run of load: a table with the targets beside it, a line.

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use crate::{ladder::Step, latencies::Quantiles, load::Measured};

/// Targets of the p95 of uncached searches, in milliseconds, by number of tools.
const P95_TARGETS_MS: [(usize, f64); 4] = [(100, 30.0), (500, 60.0), (1_000, 80.0), (5_000, 95.0)];
/// Target of the cold start, in milliseconds.
const COLD_START_TARGET_MS: f64 = 2_000.0;

/// Prints the ladder.
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
pub(crate) fn print_ladder(steps: &[Step]) {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "tools",
        "uncached p50 / p95 / p99 ms",
        "target p95",
        "cached p50 / p95 / p99 ms",
        "cache hits",
        "publish → found p50 / p95 ms",
        "cold start ms (target 2000)",
        "indexed /s",
        "MiB: nats, embedding, invalidator, query",
        "errors",
    ]);
    for step in steps {
        let target = P95_TARGETS_MS.iter().find(|(tools, _)| *tools == step.tools);
        let memory = &step.memory;
        table.add_row([
            step.tools.to_string(),
            quantiles(&step.uncached.latency),
            target.map_or_else(
                || "–".to_owned(),
                |(_, target)| target_and_result(step.uncached.latency.p95_ms, *target),
            ),
            quantiles(&step.cached.latency),
            format!("{:.0} %", step.cached.cache_hits * 100.0),
            format!("{:.1} / {:.1}", step.found.p50_ms, step.found.p95_ms),
            value_and_result(step.cold_start_ms, COLD_START_TARGET_MS),
            format!("{:.0}", step.indexed_per_s),
            format!(
                "{:.0}, {:.0}, {:.0}, {:.0}",
                memory.nats, memory.embedding_worker, memory.cache_invalidator, memory.query_worker
            ),
            (step.uncached.errors + step.cached.errors).to_string(),
        ]);
    }
    println!("{table}");
    for step in steps {
        print_errors(&step.uncached);
        print_errors(&step.cached);
    }
}

/// Prints one run of load.
#[expect(clippy::print_stdout, reason = "the report is this program's output")]
pub(crate) fn print_load(measured: &Measured) {
    println!(
        "{} searches at {:.0}/s (asked {:.0}/s): p50 / p95 / p99 {} ms, max {:.1} ms, {:.0} % from cache, {} degraded, {} errors",
        measured.requests,
        measured.rate_reached,
        measured.rate_asked,
        quantiles(&measured.latency),
        measured.max_ms,
        measured.cache_hits * 100.0,
        measured.degraded,
        measured.errors,
    );
    print_errors(measured);
}

#[expect(clippy::print_stdout, reason = "the report is this program's output")]
fn print_errors(measured: &Measured) {
    for (text, count) in &measured.error_texts {
        println!("{count} × {text}");
    }
}

pub(crate) fn quantiles(latency: &Quantiles) -> String {
    format!("{:.1} / {:.1} / {:.1}", latency.p50_ms, latency.p95_ms, latency.p99_ms)
}

fn target_and_result(value: f64, target: f64) -> String {
    format!("{target:.0} {}", if value <= target { "met" } else { "MISSED" })
}

fn value_and_result(value: f64, target: f64) -> String {
    format!("{value:.0} {}", if value <= target { "met" } else { "MISSED" })
}
