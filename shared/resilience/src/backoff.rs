//! Exponential backoff with jitter: the wait between two attempts. The only module that uses the `backoff`
//! crate.

use std::time::{Duration, Instant};

use ::backoff::Clock;
use ::backoff::backoff::Backoff as _;
use ::backoff::exponential::ExponentialBackoff;

/// Growth of the interval from one failure to the next.
const MULTIPLIER: u32 = 2;
/// Share by which a wait is shortened or lengthened at random: many workers must not knock in step.
const JITTER: f64 = 0.5;

/// Exponential backoff policy: the waits between attempts, and the time after which there is no further one.
///
/// The interval doubles from `interval_min` to `interval_max`; a wait is the interval ± 50 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Interval after the first failure.
    pub interval_min: Duration,
    /// Longest interval, before jitter.
    pub interval_max: Duration,
    /// Time from the first attempt after which no wait may end; `None` retries forever.
    pub elapsed_max: Option<Duration>,
}

impl BackoffPolicy {
    /// Policy that never gives up, with intervals from 100 ms to 5 s.
    pub const FOREVER: Self = Self::new(Duration::from_millis(100), Duration::from_secs(5));

    /// Creates a policy that never gives up.
    pub const fn new(interval_min: Duration, interval_max: Duration) -> Self {
        Self { interval_min, interval_max, elapsed_max: None }
    }

    /// Returns the same policy with a limit on the time from the first attempt.
    #[must_use]
    pub const fn within(self, elapsed_max: Duration) -> Self {
        Self { elapsed_max: Some(elapsed_max), ..self }
    }

    /// Returns the interval after this many failures in a row, without jitter.
    ///
    /// For pauses that somebody else keeps, such as the server that redelivers a message: each has its own
    /// already.
    pub fn interval(&self, failures: u64) -> Duration {
        let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.interval_min.saturating_mul(MULTIPLIER.saturating_pow(doublings)).min(self.interval_max)
    }

    /// Returns the wait after this many failures in a row, with jitter. For loops that never give up.
    pub fn wait_after(&self, failures: u64) -> Duration {
        let interval = self.interval(failures);
        let mut waits = Self { interval_min: interval, elapsed_max: None, ..*self }.waits();
        // Only a limit on the elapsed time makes the crate give up.
        waits.next_wait().unwrap_or(interval)
    }

    /// Begins a sequence of waits; the first attempt counts as made now.
    pub(crate) fn waits(&self) -> Waits {
        let mut waits = ExponentialBackoff {
            current_interval: self.interval_min,
            initial_interval: self.interval_min,
            randomization_factor: JITTER,
            multiplier: MULTIPLIER.into(),
            max_interval: self.interval_max,
            max_elapsed_time: self.elapsed_max,
            clock: TokioClock,
            start_time: TokioClock.now(),
        };
        waits.reset();
        Waits(waits)
    }
}

/// Waits of one operation that is retried.
#[derive(Debug)]
pub(crate) struct Waits(ExponentialBackoff<TokioClock>);

impl Waits {
    /// Returns the next wait; none once the policy gives up.
    pub(crate) fn next_wait(&mut self) -> Option<Duration> {
        self.0.next_backoff()
    }
}

/// Clock of the async runtime, which tests can pause.
#[derive(Clone, Copy, Debug, Default)]
struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BackoffPolicy = BackoffPolicy::new(Duration::from_secs(1), Duration::from_secs(30));

    #[test]
    fn intervals_double_up_to_the_longest() {
        let seconds: Vec<u64> = (0..9).map(|failures| POLICY.interval(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(POLICY.interval(u64::MAX), POLICY.interval_max);
    }

    #[test]
    fn waits_stay_within_half_of_their_interval() {
        for failures in [1, 2, 5, 100] {
            let interval = POLICY.interval(failures);
            for _ in 0..100 {
                let wait = POLICY.wait_after(failures);
                assert!(
                    wait >= interval / 2 && wait <= interval * 3 / 2,
                    "{wait:?} after {failures} failures"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bounded_sequence_ends_before_its_time_is_over() {
        let limit = Duration::from_secs(20);
        let begun = tokio::time::Instant::now();
        let mut waits = POLICY.within(limit).waits();
        let mut count = 0;
        while let Some(wait) = waits.next_wait() {
            tokio::time::sleep(wait).await;
            count += 1;
        }
        assert!(count >= 2 && begun.elapsed() <= limit, "{count} waits took {:?}", begun.elapsed());
    }
}
