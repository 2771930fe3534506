//! Outage log of a reader that never gives up: one line when reading fails, one when it works again.

use std::error::Error;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use toolweaver_resilience::{BackoffPolicy, error_chain};

/// Waits between two attempts to read: at most 4.5 s with jitter, because an outage ends when somebody looks.
const BACKOFF: BackoffPolicy = BackoffPolicy::new(Duration::from_millis(50), Duration::from_secs(3));

/// Outages of one reader of one stream, logged once each instead of once per attempt.
#[derive(Debug)]
pub(crate) struct OutageLog {
    stream: String,
    reader: String,
    since: Option<Instant>,
    /// Failures since the last success.
    failures: u64,
}

impl OutageLog {
    pub(crate) fn new(stream: &str, reader: &str) -> Self {
        Self { stream: stream.to_owned(), reader: reader.to_owned(), since: None, failures: 0 }
    }

    /// Counts a failure, logs the first of an outage, and returns the wait before the next attempt.
    pub(crate) fn failed(&mut self, problem: &(dyn Error + 'static)) -> Duration {
        self.failures += 1;
        if self.since.is_none() {
            self.since = Some(Instant::now());
            let Self { stream, reader, .. } = self;
            let error = error_chain(problem);
            warn!(%stream, %reader, %error, "cannot read the stream; trying until it works again");
        }
        BACKOFF.wait_after(self.failures)
    }

    /// Ends the outage, if there is one.
    pub(crate) fn succeeded(&mut self) {
        if let Some(since) = self.since.take() {
            let Self { stream, reader, failures, .. } = self;
            let outage_seconds = since.elapsed().as_secs_f64();
            info!(%stream, %reader, failures, outage_seconds, "reading the stream again");
        }
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_the_outage_and_start_over_after_it() {
        let mut outages = OutageLog::new("TOOLS", "reader");
        let waits: Vec<Duration> = (0..20).map(|_| outages.failed(&std::fmt::Error)).collect();
        assert!(waits[0] <= BACKOFF.interval_min * 3 / 2);
        assert!(waits[19] >= BACKOFF.interval_max / 2);
        outages.succeeded();
        assert!(outages.failed(&std::fmt::Error) <= BACKOFF.interval_min * 3 / 2);
    }
}
