//! Tally of the replies of a phase.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::Serialize;
use toolweaver_contracts::{SearchReply, ServedFrom};

use super::truth::Verdict;
use crate::latencies::{Latencies, Quantiles};

/// Stale replies that are reported in full.
const EXAMPLES_MAX: usize = 5;

/// Outcome of one request.
pub(super) struct Answer {
    latency: Duration,
    outcome: Outcome,
    verdict: Verdict,
}

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Search,
    Get,
}

enum Outcome {
    Searched { served_from: ServedFrom, degraded: Vec<String> },
    Got,
    Failed { asked: Asked, why: String },
}

impl Answer {
    pub(super) fn searched(due: Instant, reply: SearchReply, verdict: Verdict) -> Self {
        let outcome = Outcome::Searched { served_from: reply.served_from, degraded: reply.degraded };
        Self { latency: due.elapsed(), outcome, verdict }
    }

    /// Makes the outcome of a get; also of a right 404.
    pub(super) fn got(due: Instant, verdict: Verdict) -> Self {
        Self { latency: due.elapsed(), outcome: Outcome::Got, verdict }
    }

    pub(super) fn failed(due: Instant, asked: Asked, why: String) -> Self {
        let outcome = Outcome::Failed { asked, why };
        Self { latency: due.elapsed(), outcome, verdict: Verdict::default() }
    }
}

/// Counters of the replies of one phase.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    cached: Latencies,
    uncached: Latencies,
    got: Latencies,
    /// Time from the publishing of a change to the reply of a search that waited for it.
    found: Latencies,
    searches_failed: u64,
    errors: BTreeMap<String, u64>,
    degraded: BTreeMap<String, u64>,
    changes_seen: u64,
    older: u64,
    behind: u64,
    stale: u64,
    examples: Vec<String>,
}

/// Figures of one phase, ready to be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figures {
    pub(crate) phase: String,
    pub(crate) requests: u64,
    /// Number of searches among them, and of searches that were not answered or with an error.
    pub(crate) searches_sent: u64,
    pub(crate) searches_failed: u64,
    /// Share of searches answered from a cache; `None` where none was answered.
    pub(crate) hit_rate: Option<f64>,
    /// Latency of searches, cached or not.
    pub(crate) searches: Option<Quantiles>,
    pub(crate) searches_max_ms: f64,
    pub(crate) cached: Option<Quantiles>,
    pub(crate) uncached: Option<Quantiles>,
    pub(crate) gets: Option<Quantiles>,
    /// The longest that a change took from its publishing to the answer of a search that waited for it; 0
    /// without changes.
    pub(crate) found_max_ms: f64,
    /// Errors by kind of request and code, or reason why there was no reply.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Degraded replies, by the dependency that was missing.
    pub(crate) degraded: BTreeMap<String, u64>,
    /// Replies that show a change that was published. Without any, that none is stale proves nothing.
    pub(crate) changes_seen: u64,
    /// Replies of a version before one that was known when they were asked for.
    pub(crate) older: u64,
    /// Of these, of a version before one that had been known for five seconds: the worker had not read the
    /// catalog.
    pub(crate) behind: u64,
    /// Replies that contradict what holds in their own version.
    pub(crate) stale: u64,
    /// First stale replies.
    pub(crate) stale_examples: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, answer: Answer) {
        match answer.outcome {
            Outcome::Searched { served_from, degraded } => {
                match served_from {
                    ServedFrom::Cache => self.cached.record(answer.latency),
                    ServedFrom::Index => self.uncached.record(answer.latency),
                }
                for part in degraded {
                    *self.degraded.entry(part).or_default() += 1;
                }
            }
            Outcome::Got => self.got.record(answer.latency),
            Outcome::Failed { asked, why } => {
                let asked = match asked {
                    Asked::Search => {
                        self.searches_failed += 1;
                        "search"
                    }
                    Asked::Get => "get",
                };
                *self.errors.entry(format!("{asked}: {why}")).or_default() += 1;
            }
        }
        self.changes_seen += u64::from(answer.verdict.shows_change);
        self.older += u64::from(answer.verdict.is_older);
        self.behind += u64::from(answer.verdict.is_behind);
        self.stale += u64::from(answer.verdict.stale.is_some());
        self.exemplify(answer.verdict.stale);
    }

    /// Adds the time after which a change was found.
    pub(super) fn found(&mut self, took: Duration) {
        self.found.record(took);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.cached.add(&other.cached);
        self.uncached.add(&other.uncached);
        self.got.add(&other.got);
        self.found.add(&other.found);
        self.searches_failed += other.searches_failed;
        for (sum, more) in [(&mut self.errors, &other.errors), (&mut self.degraded, &other.degraded)] {
            for (name, count) in more {
                *sum.entry(name.clone()).or_default() += count;
            }
        }
        self.changes_seen += other.changes_seen;
        self.older += other.older;
        self.behind += other.behind;
        self.stale += other.stale;
        self.exemplify(other.examples.iter().cloned());
    }

    /// Keeps the first distinct examples: a popular query is stale in the same way again and again.
    fn exemplify(&mut self, stale: impl IntoIterator<Item = String>) {
        for text in stale {
            if self.examples.len() < EXAMPLES_MAX && !self.examples.contains(&text) {
                self.examples.push(text);
            }
        }
    }

    pub(super) fn figures(self, phase: &str) -> Figures {
        let mut searches = self.cached.clone();
        searches.add(&self.uncached);
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        Figures {
            phase: phase.to_owned(),
            requests: searches.count() + self.got.count() + self.errors.values().sum::<u64>(),
            searches_sent: searches.count() + self.searches_failed,
            searches_failed: self.searches_failed,
            hit_rate: share(self.cached.count(), searches.count()),
            searches: quantiles(&searches),
            searches_max_ms: searches.max_ms(),
            cached: quantiles(&self.cached),
            uncached: quantiles(&self.uncached),
            gets: quantiles(&self.got),
            found_max_ms: self.found.max_ms(),
            errors: self.errors,
            degraded: self.degraded,
            changes_seen: self.changes_seen,
            older: self.older,
            behind: self.behind,
            stale: self.stale,
            stale_examples: self.examples,
        }
    }
}

/// Returns the quantiles; `None` where there was nothing to measure.
fn quantiles(latencies: &Latencies) -> Option<Quantiles> {
    (latencies.count() > 0).then(|| latencies.quantiles())
}
