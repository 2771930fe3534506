//! Which request is worked on now, which one waits, and which one is told to come back: the state of one endpoint.
//!
//! ```text
//! offer ──▶ limit not reached ──────────────────────────────────────▶ work
//!    │                                                                 ▲
//!    └────▶ fair queue, ≤ queue_max, ≤ queue_wait_max ── one ended ────┘
//!             └─ full, too long foretold, too long waited: refused
//! ```
//! No clock and no I/O: every call says what time it is and returns what to do.

#![expect(clippy::cast_precision_loss, reason = "counts of requests in work and in the queue are small")]

mod concurrency;
mod queue;

use std::time::{Duration, Instant};

use toolweaver_contracts::Tenant;

use self::concurrency::ConcurrencyLimit;
use self::queue::FairQueue;
use super::Limits;
use super::refusal::Refusal;

/// The weight of one more request in the mean time that requests are in work.
const MEAN_WEIGHT: f64 = 0.05;

/// What to do with a request that was offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<T> {
    /// Work on it; so long it has waited.
    Work(T, Duration),
    /// Tell its caller so.
    Refuse(T, Refusal),
}

/// Who is in work and who waits. Somebody waits only while the limit is reached.
#[derive(Debug)]
pub(super) struct Admission<T> {
    concurrency: ConcurrencyLimit,
    queue: FairQueue<T>,
    queue_max: usize,
    queue_wait_max: Duration,
    in_work: usize,
    /// Mean time in work; nothing until one has ended.
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
            in_work: 0,
            mean_seconds: None,
        }
    }

    /// Most requests in work now.
    pub(super) fn limit(&self) -> usize {
        self.concurrency.get()
    }

    pub(super) fn in_work(&self) -> usize {
        self.in_work
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// When the first of those that wait has waited too long.
    pub(super) fn due(&self) -> Option<Instant> {
        self.queue.oldest().map(|since| since + self.queue_wait_max)
    }

    /// A request has come.
    pub(super) fn offer(&mut self, tenant: Option<Tenant>, item: T, now: Instant) -> Vec<Decision<T>> {
        if self.in_work < self.limit() {
            self.in_work += 1;
            return vec![Decision::Work(item, Duration::ZERO)];
        }
        let retry_after = self.wait_behind(self.queue.ahead_of(tenant.as_ref()));
        if retry_after > self.queue_wait_max {
            return vec![Decision::Refuse(item, Refusal::WouldWait { retry_after })];
        }
        let full = Refusal::QueueFull { retry_after };
        if self.queue.len() < self.queue_max {
            self.queue.push(tenant, item, now);
            return Vec::new();
        }
        let Some(other) = self.queue.make_room(tenant.as_ref()) else {
            return vec![Decision::Refuse(item, full)];
        };
        self.queue.push(tenant, item, now);
        vec![Decision::Refuse(other, full)]
    }

    /// One that was in work since `started_at` has ended.
    pub(super) fn ended(&mut self, started_at: Instant, now: Instant) -> Vec<Decision<T>> {
        self.concurrency.ended(started_at, self.in_work, now);
        let seconds = now.saturating_duration_since(started_at).as_secs_f64();
        let mean = self.mean_seconds.get_or_insert(seconds);
        *mean += MEAN_WEIGHT * (seconds - *mean);
        self.in_work -= 1;
        let mut decisions = self.overdue(now);
        while self.in_work < self.limit()
            && let Some(next) = self.queue.pop()
        {
            self.in_work += 1;
            decisions.push(Decision::Work(next.item, now.saturating_duration_since(next.since)));
        }
        decisions
    }

    /// Time has passed: refuses those that have waited too long.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Decision<T>> {
        let Some(since) = now.checked_sub(self.queue_wait_max) else { return Vec::new() };
        let old = self.queue.take_waiting_since(since);
        let retry_after = self.wait_behind(self.queue.len());
        old.into_iter().map(|item| Decision::Refuse(item, Refusal::Waited { retry_after })).collect()
    }

    /// How long a request waits for its turn behind `ahead` others, by Little's law; nothing is known before the first
    /// has ended.
    fn wait_behind(&self, ahead: usize) -> Duration {
        let turns = (ahead + 1) as f64 / self.limit() as f64;
        Duration::from_secs_f64(turns * self.mean_seconds.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
