//! Deadline of one request: the instant by which it is answered, handed down to whatever works on it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// A wait longer than this is as good as endless, and keeps clear of the clock's end.
const AFTER_MAX: Duration = Duration::from_hours(30 * 365 * 24);

/// Instant by which something must be done. Copied down the call chain, so that every step sees what is left
/// of it.
///
/// Ordered by time: `one.min(other)` is the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// Error of work that was cut off at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline is over")]
pub struct DeadlineExceeded;

impl Deadline {
    /// Creates a deadline at this instant of tokio's or the standard clock.
    pub fn at(instant: impl Into<Instant>) -> Self {
        Self(instant.into())
    }

    /// Creates a deadline this long after now.
    pub fn after(duration: Duration) -> Self {
        Self::since(Instant::now(), duration)
    }

    /// Creates a deadline this long after `start`, for example after a request was received.
    pub fn since(start: impl Into<Instant>, duration: Duration) -> Self {
        Self(start.into() + duration.min(AFTER_MAX))
    }

    /// Returns the earlier of this deadline and `duration` from now: the deadline of one step of the work.
    #[must_use]
    pub fn earlier(self, duration: Duration) -> Self {
        self.min(Self::after(duration))
    }

    /// Returns the time that is left; zero once it is over.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Returns whether no time is left.
    pub fn is_over(self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns the instant, for `tokio::time::sleep_until` and its like.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// Runs `work` until it is done or the deadline is over; then it is dropped.
    ///
    /// Work that is done at its first poll is never cut off, not even by a deadline that is long over.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Result<T, DeadlineExceeded> {
        timeout_at(self.0, work).await.map_err(|_| DeadlineExceeded)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::time::{advance, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_remaining_time_shrinks_to_zero_and_stays_there() {
        let deadline = Deadline::after(SECOND);
        assert_eq!((deadline.remaining(), deadline.is_over()), (SECOND, false));
        advance(SECOND / 4).await;
        assert_eq!(deadline.remaining(), SECOND * 3 / 4);
        advance(SECOND * 3 / 4).await;
        assert_eq!((deadline.remaining(), deadline.is_over()), (Duration::ZERO, true));
        advance(SECOND).await;
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_counts_from_its_start_and_not_from_where_it_was_made() {
        let received = Instant::now();
        advance(SECOND / 2).await;
        assert_eq!(Deadline::since(received, SECOND).remaining(), SECOND / 2);
        assert_eq!(Deadline::at(received + SECOND), Deadline::since(received, SECOND));
        assert_eq!(Deadline::since(received.into_std(), SECOND).remaining(), SECOND / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_never_outlives_the_whole() {
        let whole = Deadline::after(SECOND);
        assert_eq!(whole.earlier(SECOND / 4).remaining(), SECOND / 4);
        assert_eq!(whole.earlier(SECOND * 4), whole);
        assert_eq!(whole.min(Deadline::after(SECOND * 2)), whole);
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_off_at_the_deadline_and_not_before() {
        let deadline = Deadline::after(SECOND);
        assert_eq!(deadline.run(sleep(SECOND / 2)).await, Ok(()));
        let begun = Instant::now();
        assert_eq!(deadline.run(pending::<()>()).await, Err(DeadlineExceeded));
        assert_eq!(begun.elapsed().as_millis() / 100, 5);
        assert_eq!(deadline.run(ready("at once")).await, Ok("at once"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_deadline_is_no_overflow() {
        assert!(!Deadline::after(Duration::MAX).is_over());
    }
}
