//! Histogram of latencies, and its quantiles.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Highest latency recorded, in microseconds: a minute.
const HIGHEST_US: u64 = 60_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Histogram of the latencies of many requests.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// The usual quantiles, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(clippy::struct_field_names, reason = "the unit stands last in a name")]
pub(crate) struct Quantiles {
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_max(HIGHEST_US, SIGNIFICANT_DIGITS).expect("the bounds are constants"))
    }
}

impl Latencies {
    pub(crate) fn record(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(HIGHEST_US));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// Returns the quantiles; all zero where nothing was recorded.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let at = |quantile| milliseconds(self.0.value_at_quantile(quantile));
        Quantiles { p50_ms: at(0.50), p95_ms: at(0.95), p99_ms: at(0.99) }
    }

    pub(crate) fn max_ms(&self) -> f64 {
        milliseconds(self.0.max())
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds far below 2^52")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e3
}
