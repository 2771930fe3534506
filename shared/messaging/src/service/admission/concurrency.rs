//! Adaptive concurrency limit: the number of requests in flight follows what the machine can do.
//!
//! The control law is the gradient law of Netflix's concurrency-limits (`Gradient2Limit`), a descendant of
//! TCP Vegas: requests that wait for each other inside the machine take longer than they do without load, so
//! the limit is multiplied by the ratio of the two latencies, and it grows by its square root while it is in
//! use and latency has not grown.
//!
//! Two things differ, because answers from a cache and computed ones share an endpoint, and what they cost
//! differs by a factor of ten:
//! - **Upper quantiles are compared, not means.** A mean follows the mix of the two, so that an emptied cache
//!   would look like an overload. The latency without load is the upper quantile of the costlier kind as long
//!   as the kind is one request in twenty now and then; whatever the mix, the recent quantile is then no
//!   higher.
//! - **The latency without load is measured where there is no load:** while no more than the minimum is in
//!   flight. A long average over all requests rises with every long overload. It rises at once, falls slowly,
//!   and stays as it is under load. Should it be too low, the limit falls until it is measured anew.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of requests in flight and of latencies in a window are small, and none is negative"
)]

use std::time::{Duration, Instant};

/// Shortest time over which latencies are gathered before the limit is judged.
const WINDOW_MIN: Duration = Duration::from_millis(100);
/// Fewest latencies in it.
const WINDOW_COUNT_MIN: usize = 50;
/// Quantile of the recent latency.
const RECENT_QUANTILE: f64 = 0.9;
/// Quantile of the latency without load; further up, so that a kind of request is known before it is
/// frequent.
const NO_LOAD_QUANTILE: f64 = 0.95;
/// Greatest growth of latency that is tolerated: half of it may be waiting for others. Less would punish
/// ordinary spread.
const TOLERANCE: f64 = 1.5;
/// Least factor by which one window cuts the limit.
const GRADIENT_MIN: f64 = 0.5;
/// Half-life of a latency without load that is not seen again.
const HALF_LIFE: Duration = Duration::from_mins(5);

/// Concurrency limit of one endpoint. Fixed where minimum and maximum are equal.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    min: usize,
    max: usize,
    limit: f64,
    no_load_seconds: f64,
    window: Window,
}

/// Latencies since the limit was last judged.
#[derive(Debug)]
struct Window {
    opened_at: Instant,
    /// Most requests in flight at a time.
    peak: usize,
    seconds: Vec<f64>,
}

impl ConcurrencyLimit {
    /// Creates a limit at the minimum: the first window then shows the latency without load, even of a worker
    /// that starts into an overload.
    pub(super) fn new(min: usize, max: usize, now: Instant) -> Self {
        let min = min.min(max);
        Self { min, max, limit: min as f64, no_load_seconds: 0.0, window: Window::open(now) }
    }

    /// Returns the limit now in force.
    pub(super) fn get(&self) -> usize {
        self.limit as usize
    }

    /// Counts a request that was completed; `in_flight` still includes it.
    pub(super) fn completed(&mut self, started_at: Instant, in_flight: usize, now: Instant) {
        if self.min == self.max {
            return;
        }
        self.window.peak = self.window.peak.max(in_flight);
        // A request from before the window tells of the limit from before it: one overload would be punished
        // twice.
        if started_at >= self.window.opened_at {
            self.window.seconds.push(now.saturating_duration_since(started_at).as_secs_f64());
        }
        let age = now.saturating_duration_since(self.window.opened_at);
        if age >= WINDOW_MIN && self.window.seconds.len() >= WINDOW_COUNT_MIN {
            let window = std::mem::replace(&mut self.window, Window::open(now));
            self.judge(window, age);
        }
    }

    fn judge(&mut self, mut window: Window, age: Duration) {
        window.seconds.sort_unstable_by(f64::total_cmp);
        if window.peak <= self.min {
            let faded = self.no_load_seconds * 0.5_f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64());
            self.no_load_seconds = window.quantile(NO_LOAD_QUANTILE).max(faded);
        }
        // A limit that is not in use neither causes latency nor prevents work.
        if window.peak < self.get() / 2 {
            return;
        }
        let gradient = TOLERANCE * self.no_load_seconds / window.quantile(RECENT_QUANTILE);
        if gradient < 1.0 {
            self.limit = (self.limit * gradient.max(GRADIENT_MIN)).max(self.min as f64);
        } else if window.peak >= self.get() {
            self.limit = (self.limit + self.limit.sqrt()).min(self.max as f64);
        }
    }
}

impl Window {
    fn open(now: Instant) -> Self {
        Self { opened_at: now, peak: 0, seconds: Vec::new() }
    }

    /// Returns a quantile of the latencies, which are sorted and at least one.
    fn quantile(&self, share: f64) -> f64 {
        self.seconds[((self.seconds.len() - 1) as f64 * share) as usize]
    }
}

#[cfg(test)]
mod tests;
