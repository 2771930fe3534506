//! Admission control: which request is admitted now, which one is queued, and which one is refused.
//!
//! ```text
//! offer ──▶ limit not reached ───────────────────────────────────────────▶ admitted
//!    │                                                                        ▲
//!    └────▶ fair queue, ≤ queue_max, ≤ queue_wait_max ── one is completed ────┘
//!             └─ full, too long by the forecast, too long in fact: refused
//! ```
//! No clock and no I/O: every call says what time it is and returns what to do.

#![expect(clippy::cast_precision_loss, reason = "counts of requests in flight and in the queue are small")]

mod concurrency;
mod queue;

use std::time::{Duration, Instant};

use toolweaver_contracts::Tenant;

use self::concurrency::ConcurrencyLimit;
use self::queue::{FairQueue, Queued};
use super::Limits;
use super::refusal::Refusal;

/// Weight of one more request in the mean time in flight.
const MEAN_WEIGHT: f64 = 0.05;

/// Decision about a request that was offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<T> {
    /// Start it; so long it was queued.
    Admit(T, Duration),
    /// Refuse it.
    Refuse(T, Refusal),
}

/// State of one endpoint: requests in flight and queued. Something is queued only while the limit is reached.
#[derive(Debug)]
pub(super) struct Admission<T> {
    concurrency: ConcurrencyLimit,
    queue: FairQueue<T>,
    queue_max: usize,
    queue_wait_max: Duration,
    in_flight: usize,
    /// Mean time in flight; none until one request has completed.
    mean_seconds: Option<f64>,
}

impl<T> Admission<T> {
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            concurrency: ConcurrencyLimit::new(
                limits.concurrency_min.get(),
                limits.concurrency_max.get(),
                now,
            ),
            queue: FairQueue::new(),
            queue_max: limits.queue_max,
            queue_wait_max: limits.queue_wait_max,
            in_flight: 0,
            mean_seconds: None,
        }
    }

    /// Returns the concurrency limit now in force.
    pub(super) fn limit(&self) -> usize {
        self.concurrency.get()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Returns the instant at which the next queued request expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.queue.next_expiry()
    }

    /// Offers a new request. In the queue it expires at its deadline at the latest.
    pub(super) fn offer(
        &mut self,
        tenant: Option<Tenant>,
        item: T,
        deadline: Option<Instant>,
        now: Instant,
    ) -> Vec<Decision<T>> {
        if self.in_flight < self.limit() {
            self.in_flight += 1;
            return vec![Decision::Admit(item, Duration::ZERO)];
        }
        let retry_after = self.wait_behind(self.queue.ahead_of(tenant.as_ref()));
        if retry_after > self.queue_wait_max {
            return vec![Decision::Refuse(item, Refusal::WouldWait { retry_after })];
        }
        let full = Refusal::QueueFull { retry_after };
        let expires_at = now + self.queue_wait_max;
        let queued =
            Queued { item, since: now, expires_at: deadline.map_or(expires_at, |at| at.min(expires_at)) };
        if self.queue.len() < self.queue_max {
            self.queue.push(tenant, queued);
            return Vec::new();
        }
        let Some(other) = self.queue.make_room(tenant.as_ref()) else {
            return vec![Decision::Refuse(queued.item, full)];
        };
        self.queue.push(tenant, queued);
        vec![Decision::Refuse(other, full)]
    }

    /// Completes a request that was in flight since `started_at`.
    pub(super) fn completed(&mut self, started_at: Instant, now: Instant) -> Vec<Decision<T>> {
        self.concurrency.completed(started_at, self.in_flight, now);
        let seconds = now.saturating_duration_since(started_at).as_secs_f64();
        let mean = self.mean_seconds.get_or_insert(seconds);
        *mean += MEAN_WEIGHT * (seconds - *mean);
        self.in_flight -= 1;
        let mut decisions = self.expire(now);
        while self.in_flight < self.limit()
            && let Some(next) = self.queue.pop()
        {
            self.in_flight += 1;
            decisions.push(Decision::Admit(next.item, now.saturating_duration_since(next.since)));
        }
        decisions
    }

    /// Refuses the queued requests that have expired by now.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Decision<T>> {
        let expired = self.queue.take_expired(now);
        let retry_after = self.wait_behind(self.queue.len());
        expired.into_iter().map(|item| Decision::Refuse(item, Refusal::Waited { retry_after })).collect()
    }

    /// Returns the forecast of the wait behind `ahead` others, by Little's law; zero before the first has
    /// completed.
    fn wait_behind(&self, ahead: usize) -> Duration {
        let turns = (ahead + 1) as f64 / self.limit() as f64;
        Duration::from_secs_f64(turns * self.mean_seconds.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
